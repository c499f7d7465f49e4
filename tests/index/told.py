"""Random sessions out of few words, and what a plain look through their timeline finds: written without the index."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.session.audit import commands
from tapes.session.commands import pieces
from tapes.session.view import steps
from witnessed import Session

WORDS = ("red", "green", "reddish", "Blue", "größe", "a.py", "v1", "12", "k4", "k6")
"""The last two look like marks of facts."""
TOOLS = ("Bash", "Read")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
happenings = st.lists(
    st.tuples(
        st.sampled_from(("say", "run", "fail", "note", "mark", "unmark", "gap", "read", "person", "late")), texts, texts
    ),
    min_size=1,
    max_size=6,
)


def tell(session: Session, story: list[tuple[str, str, str]]) -> None:
    """Each happening as the records that it makes."""
    for kind, first, second in story:
        match kind:
            case "say":
                opened = session.opened([{"role": "user", "content": first}])
                answer = {"role": "assistant", "type": "message", "content": [{"type": "text", "text": second}]}
                end = {"outcome": "complete", "status": 200, "response": session._stored(json.dumps(answer).encode())}
                session.add("exchange.end", end | {"headers": [[b"content-type", b"application/json"]]}, opened)
            case "run":
                session.run(first, second.encode())
            case "fail":
                session.run(first, second.encode(), status=3)
            case "note":
                session.add("note", {"kind": "note", "text": first, "who": "alice"})
            case "mark" | "unmark":
                body = {"kind": kind, "text": first if kind == "mark" else "", "who": "alice", "item": 0}
                session.add("note", body, session.root)
            case "gap":
                session.add("gap", {"reason": first})
            case "read":
                (use,) = session.ask_all({"file_path": f"/src/{first.split()[0]}", "why": second}, tool="Read")
                session.tell((use, json.dumps({"found": second})), is_error=True)
            case "person":
                session.end(session.start(first, kind="human"), ("o", second.encode()), status=0)
            case "late":
                start = session.start(first)
                session.write(start, ("o", second.encode()))
                session.commit()
                session.write(start, ("e", b" " + first.encode()), n=1)


@dataclass(frozen=True)
class Seen:
    """What of a session can be found, as its timeline and its commands tell it."""

    session: Digest
    record: Digest
    type: str
    text: str
    facts: dict[str, Any]

    @property
    def tokens(self) -> list[str]:
        return tokens(self.text)


def tokens(text: str) -> list[str]:
    return [word.replace("ö", "o") for word in re.findall(r"[^\W_]+", text.lower())]


def seen(archive: Archive) -> list[Seen]:
    found = []
    for session in archive.sessions():
        names = {r.body["id"]: r.body["name"] for _, r in archive.session_records(session) if r.type == "tool.use"}
        for step in steps(archive, session):
            if step.type == "withheld":
                continue
            facts = dict(step.facts) | {"failed": step.failed, "step": step.number, "wall_ns": step.wall_ns}
            facts["stands"] = step.text != "★ taken back" and "taken_back" not in facts
            tool = names.get(facts.get("tool") or "") if step.type == "command" else facts.get("name")
            text = flat(step.text) if step.type.startswith("tool.") else step.text
            found.append(Seen(session, step.hash, step.type, text, facts | {"tool": tool}))
        for command in commands(archive, session):
            if command.ran is None:
                continue
            output = b"".join(data for _, data in pieces(archive, command.ran)).decode()
            if output:
                like = next(one for one in found if one.record == command.ran.start)
                found.append(Seen(session, like.record, "output", output, like.facts))
    return found


def flat(text: str) -> str:
    """Keys and values of JSON, each on a line."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    return "\n".join(f"{key}: {inner}" for key, inner in value.items())


type Test = Callable[[Seen], bool]


def has_words(words: list[str], *, prefix: bool = False) -> Test:
    def test(one: Seen) -> bool:
        there, n = one.tokens, len(words)
        for at in range(len(there) - n + 1):
            part = there[at : at + n]
            if part == words or (prefix and part[:-1] == words[:-1] and part[-1].startswith(words[-1])):
                return True
        return False

    return test


words = st.sampled_from(WORDS).map(lambda word: (word, has_words(tokens(word))))
phrases = st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(
    lambda parts: ('"' + " ".join(parts) + '"', has_words(tokens(" ".join(parts))))
)
prefixes = st.sampled_from(("re*", "gr*", "1*", '"green re"*')).map(
    lambda text: (text, has_words(tokens(text), prefix=True))
)
fields = st.sampled_from(
    (
        ("type:prompt", lambda one: one.type == "prompt"),
        ("type:tool*", lambda one: one.type.startswith("tool")),
        ("tool:bash", lambda one: one.facts["tool"] == "Bash"),
        ("tool:Re*", lambda one: one.facts["tool"] == "Read"),
        ("is:error", lambda one: bool(one.facts["failed"])),
        ("is:mark", lambda one: one.text.startswith("★") and "about" in one.facts and one.facts["stands"]),
        ("exit:nonzero", lambda one: one.facts.get("exit") == 3),
        ("exit:0", lambda one: one.facts.get("exit") == 0),
        ("path:src/red", lambda one: one.type == "tool.use" and "/src/red\n" in one.text),
        ("since:5", lambda one: one.facts["wall_ns"] >= 5),
        ("until:9", lambda one: one.facts["wall_ns"] <= 9),
    )
)
leaves = st.one_of(words, words, phrases, prefixes, fields)


def _and(parts: list[tuple[str, Test]]) -> tuple[str, Test]:
    return "(" + " ".join(text for text, _ in parts) + ")", lambda one: all(test(one) for _, test in parts)


def _or(parts: list[tuple[str, Test]]) -> tuple[str, Test]:
    return "(" + " OR ".join(text for text, _ in parts) + ")", lambda one: any(test(one) for _, test in parts)


def _not(part: tuple[str, Test]) -> tuple[str, Test]:
    return f"-{part[0]}", lambda one: not part[1](one)


nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(_and),
        st.lists(inner, min_size=2, max_size=3).map(_or),
        inner.filter(lambda part: not part[0].startswith("-")).map(_not),
    ),
    max_leaves=6,
)
parts = st.one_of(
    leaves, leaves.map(_not), words.map(_not), st.lists(leaves | leaves.map(_not), min_size=2, max_size=2).map(_or)
)
without = st.tuples(words, words.map(_not), words.map(_not)).map(list).map(_and)
queries = st.one_of(st.lists(parts, min_size=2, max_size=3).map(_and), without, nested)
"""A query as it is typed, and what it means."""
