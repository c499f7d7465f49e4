"""tapes: the flight recorder for AI agents. This module holds the version and loads nothing else."""

__version__ = "0.1.0"
