"""Snapshots of the working directory, by a process of their own (docs/adr/0019).

The capture process starts it and says when a command has ended, a model is asked, the agent has gone; it looks what has
changed, and writes that into the session's chain itself, through the archive. Nobody waits for it but the end of a run.
"""
