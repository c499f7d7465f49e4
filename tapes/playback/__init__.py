"""A recording as a model: which recorded answer a request gets, and what is said where it gets none.

Pure, but for `loading`, which takes a session from an archive: requests and answers are bytes, and nothing here knows
of sockets or of time. A run that is repeated is never quite the same: it has other ids, another date, another
directory. `masks` and `normal` say what is left of a request without these, `places` finds out the new directory,
`matching` gives each recorded exchange away once, `rewriting` puts the new ids and directory into an answer, and
`difference` tells a person why a request fitted none.
"""
