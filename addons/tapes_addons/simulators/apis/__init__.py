"""The APIs the provider speaks, one file each: a request in, a Reply or None out (see reply.py)."""
