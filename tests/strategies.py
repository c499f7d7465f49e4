"""Values for property tests: canonical values, bodies like those agents send and how they change, drafts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tapes.archive.base import Draft

integers = st.integers(-(2**63), 2**64 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | integers | texts | st.binary(max_size=40)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)

_quoted = st.sampled_from(["word ", "a\\n", '\\"', "\\\\", "é", "x" * 40, "the quick brown fox "])
_inside = st.builds(lambda part, n: (part * n).encode(), _quoted, st.integers(0, 60))
_long = st.builds(lambda part, n: (part * n).encode(), _quoted, st.integers(300, 9000))
_token = st.builds(lambda inside: b'"' + inside + b'"', _inside | _inside | _long)
_glue = st.sampled_from([b"{", b"}", b",", b":1,", b'"', b"\\", b'"cache_control":{"type":"ephemeral"},', b"\xff\x00"])

stretches = st.lists(_token | _glue, max_size=40)
"""Pieces of a body: string tokens short and long, glue, stray quotes and backslashes."""


@st.composite
def edits(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and the one that follows it: something inserted, removed, moved or changed inside a token."""
    before = draw(stretches)
    after = list(before)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(after)))
        match draw(st.sampled_from(["insert", "append", "remove", "repeat", "inside"])):
            case "insert":
                after[at:at] = draw(stretches.filter(bool))[:3]
            case "append":
                after += draw(stretches)[:3]
            case "remove":
                del after[at : at + 2]
            case "repeat":
                after[at:at] = after[max(0, at - 3) : at]
            case "inside" if at < len(after):
                place = draw(st.integers(0, len(after[at])))
                new = draw(st.sampled_from([b'"', b"\\", b"x", b"y" * 300]))
                after[at] = after[at][:place] + new + after[at][place:]
    return b"".join(before), b"".join(after)


def opening(**body: Any) -> Draft:
    """A `session.open`."""
    return Draft("session.open", {"agent": "fake", "argv": [b"fake"], "cwd": b"/", "scheme": "plain"} | body, None)


def note(session: Any, text: str = "", **fields: Any) -> Draft:
    return Draft("note", {"text": text}, session, **fields)
