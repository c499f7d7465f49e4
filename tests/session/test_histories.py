"""Requests that are read without what they repeat say the same as when they are read whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.archive.base import Batch
from tapes.archive.cut import cut_once
from tapes.archive.memory_archive import MemoryArchive
from tapes.record.kinds import BodyRef
from tapes.session import histories
from tapes.session.histories import Histories, mark
from tapes.wire import dialects
from tapes.wire.places import Places, places
from tapes.wire.turns import Message, Text, ToolCall
from tapes_addons.simulators.growing import growing_session

DIALECT = dialects.choose_for("anthropic", "POST", "https://api.anthropic.com/v1/messages")


def stored(archive: MemoryArchive, body: bytes) -> BodyRef:
    cut = cut_once(body)
    archive.commit(Batch(objects=cut.objects))
    return cut.ref


def compare(bodies: list[bytes], monkeypatch: pytest.MonkeyPatch) -> int:
    """Holds both readings of each body against each other; how many had to be read whole."""
    archive, whole = MemoryArchive(), []
    plain = histories._whole

    def counted(body: bytes, dialect: Any) -> Any:
        whole.append(body)
        return plain(body, dialect)

    monkeypatch.setattr(histories, "_whole", counted)
    reader = Histories(archive)
    for body in bodies:
        short = reader.read(stored(archive, body), DIALECT)
        full = plain(body, DIALECT)[0]
        assert (short.turn, short.marks) == (full.turn, full.marks)
        assert short.request.messages[:2] == full.request.messages[:2]  # they say what a call is for
        assert (short.request.tools, short.request.system, short.request.params) == (
            full.request.tools,
            full.request.system,
            full.request.params,
        )
    return len(whole)


def test_a_session_that_grows_is_read_whole_only_at_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [request for request, _ in growing_session(30)]
    assert compare(bodies, monkeypatch) < 12


def shifted(body: bytes, turn: int) -> bytes:
    """A head that is another with each request, and messages that stand before the tools."""
    raw = json.loads(body)
    raw = {"system": f"cch={'x' * (turn % 7)}{turn}", "messages": raw.pop("messages"), **raw}
    return json.dumps(raw).encode()


def rewritten(body: bytes, turn: int) -> bytes:
    """A first message that is another with each request."""
    raw = json.loads(body)
    raw["messages"][0]["content"] = f"turn {turn} " + "and so on " * (turn % 5)
    return json.dumps(raw).encode()


def shortened(body: bytes, turn: int) -> bytes:
    """A history that now and then begins anew."""
    raw = json.loads(body)
    raw["messages"] = raw["messages"][-(2 * (turn % 9) + 1) :]
    return json.dumps(raw).encode()


def turned(body: bytes, turn: int) -> bytes:
    """Messages that stand before all else, as Claude Code's do; the rest changes now and then."""
    raw = json.loads(body)
    raw = {"messages": raw.pop("messages"), **raw, "temperature": turn // 5}
    return json.dumps(raw).encode()


def twofold(body: bytes, turn: int) -> bytes:
    """A second list of messages, which is the one that counts."""
    return body[:-1] + b',"messages":' + json.dumps([{"role": "user", "content": f"no, {turn}"}] * 5).encode() + b"}"


@pytest.mark.parametrize("change", [shifted, rewritten, shortened, turned, twofold])
def test_whatever_changes_between_two_requests_both_readings_agree(
    change: Callable[[bytes, int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [change(request, turn) for turn, (request, _) in enumerate(growing_session(24))]
    read_whole = compare(bodies, monkeypatch)
    assert change in (shortened, twofold) or read_whole < 20


def test_a_request_that_is_made_again_is_read_short_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [request for request, _ in growing_session(24)]
    again = [body for body in bodies for _ in range(2)]
    assert compare(again, monkeypatch) < compare(bodies, monkeypatch) + 12


def test_two_conversations_that_take_turns_are_both_read_short(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = zip(growing_session(20, seed=1), growing_session(20, seed=2), strict=True)
    assert compare([request for pair in pairs for request, _ in pair], monkeypatch) < 20


def test_marks_are_equal_for_the_same_words_in_another_form() -> None:
    assert mark(Message("user", (Text("a", {"cache_control": {}}),))) == mark(Message("user", (Text("a"),)))
    one = ToolCall("id 1", "t", {"a": 1, "b": [2]}, '{"a":1,"b":[2]}')
    assert mark(Message("a", (one,))) == mark(Message("a", (ToolCall("2", "t", {"b": [2], "a": 1}, "other"),)))
    assert mark(Message("user", (Text("a"),))) != mark(Message("assistant", (Text("a"),)))


TEXT = st.text(max_size=12)
VALUE = st.recursive(
    st.none() | st.integers() | TEXT, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v), max_leaves=6
)


@given(st.dictionaries(TEXT, VALUE, max_size=3), st.lists(VALUE, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_places_are_where_the_messages_stand(
    others: dict[str, Any], messages: list[Any], plain: bool, indent: int | None
) -> None:
    others = {key: value for key, value in others.items() if key not in ("messages", "input", "contents")}
    body = json.dumps({**others, "messages": messages, "tools": [1]}, ensure_ascii=plain, indent=indent).encode()
    found = places(body)
    assert found is not None
    assert [json.loads(body[a:b]) for a, b in zip(found.starts, found.ends, strict=True)] == messages


@given(st.binary(max_size=60) | st.sampled_from([b'{"messages"', b'{"messages":[1,]}', b'{"input":"x"}', b"[]", b"{}"]))
def test_no_bytes_raise(body: bytes) -> None:
    assert places(body) is None or isinstance(places(body), Places)
