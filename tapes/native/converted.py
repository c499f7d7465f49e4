"""A conversation of one protocol in the form of another, where nothing that the model saw is lost by it.

What a provider has sealed for itself (a compacted history) can not be read by another one, so such a conversation is
refused; sealed thoughts, which the model does not need to go on, are left out and counted.
"""

from __future__ import annotations

from dataclasses import replace

from tapes.errors import UsageError
from tapes.native.carried import Carried


def converted(it: Carried, dialect: str) -> Carried:
    """The same conversation in another protocol. UsageError where that can not be done faithfully."""
    if it.dialect == dialect:
        notes = (
            () if it.agent in ("claude", "codex") else (f"the session is {it.agent}'s: its system text stays behind",)
        )
        return replace(it, notes=(*it.notes, *notes))
    raise UsageError(
        f"this conversation speaks {it.dialect}, and a transcript of that kind needs {dialect}",
        hint="it can be read with `tapes show`, and played again with `tapes run --from`",
    )
