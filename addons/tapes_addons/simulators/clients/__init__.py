"""The APIs the agent speaks, one file each: a history to a request body, a stream to what was said (see base.py)."""
