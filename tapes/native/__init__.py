"""Transcripts in agents' own formats, so that a recorded conversation can be gone on with in the agent itself.

Found out by experiment, not from documents: the formats are the agents' own affair and may change with any version. So
a transcript says which version's it is, goes to a new file under a new id, and nothing that an agent wrote is touched.
What the model saw is written as it stood in the recorded requests; whatever an agent adds of its own accord when it
goes on (its tools, the date) it adds anew.
"""
