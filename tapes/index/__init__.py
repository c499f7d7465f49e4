"""The text index: what was said and run in all sessions, by its words. One SQLite file beside the archive.

Derived and never hashed: it may be deleted at any time and is then made again, with the same answers. `index` is what a
search opens, `file` the SQLite file, `texts` reads items out of records, `words` says what of a text is kept, `follow`
brings the file up to the end of the log.
"""
