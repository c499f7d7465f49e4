"""The type of a parsed JSON value; apart, so that who needs only its name loads nothing else."""

from __future__ import annotations

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
"""Shared with the body it was parsed from: MUST NOT be changed."""
