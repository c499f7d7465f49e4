"""What calls took, told the same by every dialect; what is kept of it; what it costs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.summary import Summary
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session import prices, usage
from tapes.session.exchanges import Exchange
from tapes.session.facts import FILE, Facts, FactsFile, Priced, ToolUse
from tapes.session.sums import Spread, Stats, Wanted
from tapes.session.usage import Call, Tokens, counts
from tapes.wire import dialects

JSON = "application/json"
numbers = st.integers(0, 10**6)


def told(dialect: str, answer: object, content_type: str = JSON) -> Tokens | None:
    """What a dialect and we make of a whole answer."""
    reader = dialects.by_name(dialect).response_reader(200, content_type)
    reader.feed(answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    reading = reader.finish()
    assert reading.usage is not None
    return counts(reading.usage, dialect)


def anthropic(**said: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "model": "m", "content": [], "usage": said}


def chat(**said: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}
    return {"object": "chat.completion", "model": "m", "choices": [choice], "usage": said}


def responses(**said: Any) -> dict[str, Any]:
    return {"object": "response", "status": "completed", "model": "m", "output": [], "usage": said}


def gemini(**said: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi."}]}, "finishReason": "STOP"}
    return {"candidates": [candidate], "usageMetadata": said, "modelVersion": "m"}


@given(numbers, numbers, numbers, numbers, numbers)
def test_the_same_tokens_told_in_each_providers_way_are_the_same(
    fresh: int, read: int, written: int, made: int, thought: int
) -> None:
    expected = Tokens(fresh, read, written, 0, made + thought, thought)
    given_, output = fresh + read + written, made + thought
    said = anthropic(
        input_tokens=fresh,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        output_tokens=output,
        output_tokens_details={"thinking_tokens": thought},
    )
    assert told("anthropic", said) == expected
    said = chat(
        prompt_tokens=given_,
        completion_tokens=output,
        total_tokens=given_ + output,
        prompt_tokens_details={"cached_tokens": read, "cache_write_tokens": written},
        completion_tokens_details={"reasoning_tokens": thought},
    )
    assert told("openai-chat", said) == expected
    said["usage"] |= {"completion_tokens": made}  # reasoning beside it: so the total says
    assert told("openai-chat", said) == expected
    said = responses(
        input_tokens=given_,
        output_tokens=output,
        total_tokens=given_ + output,
        input_tokens_details={"cached_tokens": read, "cache_write_tokens": written},
        output_tokens_details={"reasoning_tokens": thought},
    )
    assert told("openai-responses", said) == expected
    said = gemini(
        promptTokenCount=fresh + read,
        candidatesTokenCount=made,
        thoughtsTokenCount=thought,
        cachedContentTokenCount=read,
        toolUsePromptTokenCount=written,
        totalTokenCount=given_ + output,
    )
    assert told("gemini", said) == Tokens(fresh + written, read, 0, 0, output, thought)
    ollama = {"model": "m", "done": True, "message": {"role": "assistant", "content": "Hi."}}
    ollama |= {"prompt_eval_count": fresh, "eval_count": made}
    assert told("ollama", ollama) == Tokens(input=fresh, output=made)


@given(st.dictionaries(st.sampled_from(list(usage.Usage.__dataclass_fields__)[:-1]), numbers), st.data())
def test_no_count_of_any_provider_becomes_less_than_nothing(said: dict[str, int], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([dialect.name for dialect in dialects.DIALECTS]))
    raw = data.draw(st.dictionaries(st.sampled_from(["total_tokens", "totalTokenCount"]), numbers))
    found = counts(usage.Usage(**said, raw=raw), name)
    if found is not None:
        assert min(getattr(found, kind) for kind in usage.KINDS) >= 0
        assert found.reasoning <= found.output
    else:
        assert "input" not in said and "output" not in said


def test_lifetimes_of_caches_are_told_apart_and_a_stream_says_its_output_last() -> None:
    start = anthropic(
        input_tokens=3,
        cache_creation_input_tokens=50,
        cache_creation={"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        cache_read_input_tokens=7,
        output_tokens=1,
    )
    events = [
        {"type": "message_start", "message": {**start, "id": "msg_1"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 90}},
        {"type": "message_stop"},
    ]
    stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    assert told("anthropic", stream.encode(), "text/event-stream") == Tokens(3, 7, 20, 30, 90)


# -- times


def stream_of(pings: int) -> list[bytes]:
    """Events of an answer; the one that speaks first stands behind the pings."""
    said: list[dict[str, Any]] = [{"type": "message_start", "message": anthropic(input_tokens=1, output_tokens=1)}]
    said += [{"type": "ping"}] * pings
    said.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    said += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}] * 3
    said.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in said]


def exchange_of(body: bytes, times: list[int]) -> Exchange:
    opened = record("exchange.open", provider="anthropic", method="POST", url="https://api.anthropic.com/v1/messages")
    headers = ((b"content-type", b"text/event-stream"),)
    return Exchange(
        ZERO,
        opened,
        "main",
        "",
        end=record("exchange.end", status=200, outcome="complete", headers=headers, times=times, response=None),
    )


ZERO = Digest(bytes(32))


def record(type_: str, **body: Any) -> Record:
    return Record(1, type_, None, 0, None, (), b"", 0, 0, "", b"", body)


@given(st.integers(0, 40), st.lists(st.integers(1, 120), min_size=1, max_size=60))
def test_the_first_content_is_found_in_whatever_pieces_it_arrived(pings: int, sizes: list[int]) -> None:
    events = stream_of(pings)
    body, needed = b"".join(events), sum(map(len, events[: pings + 3]))
    times: list[int] = []
    left = len(body)
    for size in sizes:
        size = min(size, left)
        times += (size, 10)
        left -= size
    times += (left, 10)
    exchange = exchange_of(body, times)
    arrived = list(usage.arrived(exchange))
    # The last line end of an event may come with the next piece: a cut event is read all the same.
    least = next(at for size, at in arrived if size >= needed - 2)
    assert usage.first_content(exchange, body) in (least, next(at for size, at in arrived if size >= needed))


# -- what is kept


CALL = Call(ZERO, ZERO, "", "m-1", "https://api.example.test/v1", 5, "complete", 200, Tokens(1, 2, 3, 4, 5, 1))
FACTS = Facts(
    (
        Priced(replace(CALL, first_byte_us=1, first_content_us=2, duration_us=3, retry_of=ZERO), Decimal("0.00012")),
        Priced(replace(CALL, tokens=None, end=None, outcome="open", whole=False, warm_up=True), None),
    ),
    (ToolUse("bash", "m-1", 6, True, None, 12),),
    ((7, True),),
)


class Counted(MemoryArchive):
    """An archive with one session whose head is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.last_record = bytes(32)

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        return Digest(self.last_record), 1


def reading(monkeypatch: pytest.MonkeyPatch, found: Facts = FACTS) -> list[Digest]:
    """The sessions whose records were read."""
    seen: list[Digest] = []

    def facts(archive: object, session: Digest) -> Facts:
        seen.append(session)
        return found

    monkeypatch.setattr("tapes.session.facts.facts", facts)
    return seen


def test_facts_are_read_once_and_again_once_the_session_has_another_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, archive = reading(monkeypatch), Counted()
    for _ in range(3):
        with FactsFile(tmp_path / "cache") as kept:
            assert kept.of(archive, ZERO) == FACTS
    assert len(seen) == 1
    archive.last_record = bytes([1] * 32)
    with FactsFile(tmp_path / "cache") as kept:
        assert kept.of(archive, ZERO) == FACTS
    assert len(seen) == 2
    assert (tmp_path / "cache" / FILE).stat().st_mode & 0o777 == 0o600


def test_other_price_lists_are_other_costs_and_no_other_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, archive = reading(monkeypatch), Counted()
    costs = []
    for lists, cost in (("1.0", 1), ("1.1", 2), ("1.1", 3), ("", None)):
        monkeypatch.setattr(prices, "version", lambda lists=lists: lists)
        monkeypatch.setattr(prices, "price", lambda *_, cost=cost: cost and Decimal(cost))
        with FactsFile(tmp_path) as kept:
            costs.append(kept.of(archive, ZERO).calls[0].cost)
    assert costs == [FACTS.calls[0].cost, Decimal(2), Decimal(2), None]
    assert len(seen) == 1


@pytest.mark.parametrize("rubbish", [b"", b"no database at all" * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_can_not_be_read_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rubbish: bytes
) -> None:
    seen, archive = reading(monkeypatch), Counted()
    (tmp_path / FILE).write_bytes(rubbish)
    for _ in range(2):
        with FactsFile(tmp_path) as kept:
            assert kept.of(archive, ZERO) == FACTS
    assert len(seen) == 1


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading(monkeypatch)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / FILE).symlink_to(tmp_path / "elsewhere")
    with FactsFile(tmp_path / "cache") as kept:
        assert kept.of(Counted(), ZERO) == FACTS
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_another_holds_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, archive = reading(monkeypatch), Counted()
    with FactsFile(tmp_path) as kept:
        kept.of(archive, ZERO)
    archive.last_record = bytes([1] * 32)
    with closing(sqlite3.connect(tmp_path / FILE)) as other, FactsFile(tmp_path) as kept:
        other.execute("BEGIN IMMEDIATE")
        assert kept.of(archive, ZERO) == FACTS
    assert len(seen) == 2
    assert b"facts" in (tmp_path / FILE).read_bytes()


# -- sums


def summed(found: Facts, by: str = "model", wanted: Wanted | None = None) -> Stats:
    stats = Stats(by, wanted or Wanted(), slowest=2, costliest=2)
    stats.add(ZERO, Summary(agent="claude", cwd="/p"), found)
    return stats


def test_a_cut_call_is_in_the_sum_and_beside_it_and_a_warm_up_is_in_neither() -> None:
    cut = replace(CALL, outcome="partial", tokens=Tokens(input=10, output=1), whole=False, retried=True)
    warm = replace(CALL, tokens=Tokens(input=999), warm_up=True)
    refused = replace(CALL, outcome="http_error", status=429, tokens=None)
    found = Facts((*(Priced(call, Decimal(1)) for call in (CALL, cut, warm)), Priced(refused, None)), (), ())
    total = summed(found).total
    assert (total.calls, total.failed, total.retried, total.warm_ups, total.untold) == (3, 2, 1, 1, 0)
    assert total.tokens == Tokens(11, 2, 3, 4, 6, 1)
    assert total.lost == Tokens(input=10, output=1)
    assert (total.cost, total.lost_cost) == (Decimal(2), Decimal(1))


def test_what_has_no_price_is_told_and_never_nought() -> None:
    total = summed(Facts((Priced(CALL, Decimal("0.5")), Priced(CALL, None)), (), ())).total
    assert (total.cost, total.priced, total.unpriced, total.unpriced_tokens) == (Decimal("0.5"), 1, 1, 15)


def test_filters_hold_for_calls_tools_and_commands() -> None:
    assert summed(FACTS, wanted=Wanted(since_ns=6)).total.calls == 0
    assert summed(FACTS, wanted=Wanted(since_ns=6)).total.tool_uses == 1
    assert summed(FACTS, wanted=Wanted(until_ns=7)).total.commands == 0
    assert summed(FACTS, wanted=Wanted(model="m-2")).groups == {}
    for pattern in ("m", "m-1", "*-1"):
        assert summed(FACTS, wanted=Wanted(model=pattern)).total.calls == 1


@given(st.lists(st.integers(1, 10**8), min_size=1))
def test_percentiles_are_right_to_one_per_cent(times: list[int]) -> None:
    spread = Spread()
    for time in times:
        spread.add(time)
    for share in (0.5, 0.95):
        exact = sorted(times)[max(0, -(-len(times) * int(share * 100) // 100) - 1)]
        found = spread.at(share)
        assert found is not None and exact * 0.99 <= found <= exact


# -- prices


def test_without_the_lists_nothing_has_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "version", lambda: "")
    assert prices.price(Tokens(input=1), "gpt-4o", "https://api.openai.com/v1/responses", 10**18) is None


class TestWithTheLists:
    @pytest.fixture(autouse=True)
    def lists(self) -> None:
        pytest.importorskip("genai_prices", reason="the extra `cost` is not installed")

    def test_caches_have_prices_of_their_own(self) -> None:
        url, at = "https://api.anthropic.com/v1/messages", 1_790_000_000 * 10**9
        million = 10**6
        for tokens, expected in (
            (Tokens(input=100), Decimal(15) * 100 / million),
            (Tokens(output=100), Decimal(75) * 100 / million),
            (Tokens(cache_read=100), Decimal("1.5") * 100 / million),
            (Tokens(cache_write_5m=100), Decimal("18.75") * 100 / million),
            (Tokens(cache_write_1h=100), Decimal(30) * 100 / million),
        ):
            assert prices.price(tokens, "claude-opus-4-1", url, at) == expected

    @pytest.mark.parametrize(
        ("model", "url"),
        [
            ("no-such-model", "https://api.openai.com/v1/responses"),
            ("gpt-4o", "http://127.0.0.1:11434/api/chat"),
            ("gpt-4o", "https://gateway.example.test/v1/chat/completions"),
            ("", "https://api.openai.com/v1/responses"),
        ],
    )
    def test_an_unknown_model_or_provider_is_unpriced(self, model: str, url: str) -> None:
        assert prices.price(Tokens(input=1000), model, url, 1_790_000_000 * 10**9) is None

    def test_a_websocket_costs_what_its_provider_costs(self) -> None:
        at = 1_790_000_000 * 10**9
        found = [
            prices.price(Tokens(5, 5), "gpt-4o", f"{s}://api.openai.com/v1/responses", at) for s in ("wss", "https")
        ]
        assert found[0] == found[1] is not None

    def test_the_price_is_that_of_the_day(self) -> None:
        url, used = "https://api.anthropic.com/v1/messages", Tokens(input=300_000)
        before, after = (prices.price(used, "claude-opus-4-6", url, s * 10**9) for s in (1_770_000_000, 1_775_000_000))
        assert before is not None and after is not None and before > after
