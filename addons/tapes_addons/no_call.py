"""What the launcher says when a run has recorded no model call: why that may be, and what to try.

Three things look alike from afar and are told apart here: a program that made no call, one whose calls came to us but
went to hosts that nobody named a model host, and one that connected past us. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 4


def explain(done: Mapping[str, Any], session: str, route: str) -> str:
    """One warning. Of the capture's last message it reads: `connections` (how many came to us), `hosts` (host:port of
    those that were passed through unread), `refused` (model hosts for which our certificate was not trusted), `past`
    (addresses connected to without us, with the program's name) and `can_tell` (could `past` be seen at all?).
    """
    said = []
    other = "--route base-url" if route == "proxy" else "--route proxy"
    if done.get("past"):
        said.append(
            f"The agent connected past us, to {some(done['past'])}: it does not honour "
            f"{'the proxy variables' if route == 'proxy' else 'the base-URL variables'}; try {other}."
        )
    if done.get("refused"):
        said.append(
            f"It does not trust the certificate that this run gave it for {some(done['refused'])}, so those "
            f"connections could not be read; try {other}."
        )
    if done.get("hosts"):
        said.append(
            f"It called {some(done['hosts'])}, no known model host among them: if one is, name it with "
            f"--model-host HOST. All of them: tapes show {session} --egress."
        )
    if not said and done.get("connections"):
        said.append("Connections came to us, but none of the requests was a model call.")
    if not said and done.get("can_tell"):
        said.append(
            "It seems that the agent made no call: no connection of its own was seen, to us or past us (one past us "
            "that was over within half a second, or before the recorder had started, would not have been)."
        )
    if not said:
        said.append(
            "No connection came to us; whether the agent connected to anyone else, we cannot tell on this system. "
            f"If it did: try {other}."
        )
    return f"WARNING: no model call was captured (session {session}). " + " ".join(said)


def some(names: Sequence[str]) -> str:
    """The first few of a list, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
