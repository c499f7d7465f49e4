"""How exchanges end, by protocol and by transport."""

from __future__ import annotations

import pytest

from tapes.wire.outcome import judge

SSE = "text/event-stream; charset=utf-8"
ANTHROPIC = b'event: message_start\ndata: {"type":"message_start"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
PING = b'event: ping\ndata: {"type":"ping"}\n\n'

STREAMS = {
    "anthropic": (ANTHROPIC + PING, STOP, b'event: error\ndata: {"type":"error","error":{"type":"x"}}\n\n'),
    "openai-chat": (
        b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        b'data: {"error":{"message":"Overloaded"}}\n\n',
    ),
    "openai-responses": (
        b'event: response.created\ndata: {"type":"response.created","response":{"status":"in_progress"}}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed","response":{"output":[]}}\n\n',
        b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"code":"x"}}}\n\n',
    ),
    "gemini": (
        b'data: {"candidates":[{"content":{"parts":[{"text":"x"}]}}]}\r\n\r\n',
        b'data: {"candidates":[{"content":{},"finishReason":"STOP"}]}\r\n\r\n',
        b'data: {"error":{"code":503}}\r\n\r\n',
    ),
}  # fmt: skip

ENDED = [("eof", True), ("eof", False), ("client_gone", False), ("upstream_error", False), ("capture_lost", False)]


def outcome(
    provider: str, body: bytes, ended: str = "eof", framed: bool = True, *, kind: str = SSE, status: int | None = 200
) -> str:
    return judge(provider, "model", status, kind, body[:65536], body, ended, framed)


@pytest.mark.parametrize("provider", STREAMS)
@pytest.mark.parametrize(("ended", "framed"), ENDED)
def test_after_the_last_event_it_is_complete_however_the_transport_ended(
    provider: str, ended: str, framed: bool
) -> None:
    begin, last, error = STREAMS[provider]
    assert outcome(provider, begin + last, ended, framed) == "complete"
    assert outcome(provider, begin + last.rstrip(), ended, framed) == "complete"
    assert outcome(provider, begin + error, ended, framed) == "error_event"


@pytest.mark.parametrize("provider", STREAMS)
@pytest.mark.parametrize(
    ("ended", "framed", "told"),
    [
        ("eof", True, "partial"),
        ("eof", False, "partial"),
        ("upstream_error", False, "partial"),
        ("client_gone", False, "aborted"),
        ("capture_lost", False, "capture_lost"),
    ],
)
def test_before_the_last_event_the_transport_tells(provider: str, ended: str, framed: bool, told: str) -> None:
    begin, last, _ = STREAMS[provider]
    for body in (b"", begin, begin + last[: len(last) // 2]):
        assert outcome(provider, body, ended, framed) == told


def test_words_about_the_last_event_are_not_the_last_event() -> None:
    said = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"event: message_stop"}}\n\n'
    )
    assert outcome("anthropic", ANTHROPIC + said) == "partial"


def test_pings_and_comments_after_the_last_event_change_nothing() -> None:
    assert outcome("anthropic", ANTHROPIC + STOP + PING + b": bye\n\n", "client_gone", False) == "complete"


def test_a_very_long_last_event_is_seen_when_the_tail_holds_it() -> None:
    last = b'data: {"type":"response.completed","response":{"output":["' + b"x" * 300_000 + b'"]}}\n\n'
    assert outcome("openai-responses", b"data: {}\n\n" + last, "client_gone", False) == "complete"


@pytest.mark.parametrize("body", [b'{"message":{"content":"x"},"done":false}\n', b""])
def test_lines_of_json_end_with_done(body: bytes) -> None:
    kind = "application/x-ndjson"
    assert outcome("ollama", body + b'{"done":true,"eval_count":3}\n', "client_gone", False, kind=kind) == "complete"
    assert outcome("ollama", body, kind=kind) == "partial"
    assert outcome("ollama", body + b'{"error":"no such model"}\n', kind=kind) == "error_event"


CHAT = STREAMS["openai-chat"][0]
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (CHAT + DONE, "complete"),
        (CHAT + b'data: {"choices":[{"finish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":{}}\n\n', "complete"),
        (CHAT + b'data: {"error":{"message":"engine died"}}\n\n' + DONE, "error_event"),
        (CHAT + b'data: {"error":{"code":502},"choices":[{"finish_reason":"error"}]}\n\n', "error_event"),
        (CHAT + b'event: error\ndata: {"message":"no slot"}\n\n', "error_event"),
        (b": PROCESSING\n\n" + CHAT, "partial"),
        (CHAT + b'data: {"error":null,"choices":[],"usage":{}}\n\n', "partial"),
        (CHAT + b"data: [DO", "partial"),
    ],
)
def test_chat_servers_end_their_streams_in_many_ways(body: bytes, told: str) -> None:
    assert outcome("openai-chat", body) == told


def test_a_whole_answer_of_ollama_is_one_line() -> None:
    body = b'{"message":{"content":"x"},"done":true}'
    assert outcome("ollama", body, "client_gone", False, kind="application/json; charset=utf-8") == "complete"
    assert outcome("ollama", body[:-5], "client_gone", False, kind="application/json") == "aborted"


CHUNK = b'{"candidates":[{"content":{"parts":[{"text":"x ]"}]}}]}'
FINISH = b'{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{}}'


@pytest.mark.parametrize(
    ("body", "ended", "told"),
    [
        (b"[" + CHUNK + b"\n,\r\n" + FINISH + b"]\n", "eof", "complete"),
        (b"[" + CHUNK + b"," + FINISH + b"]", "client_gone", "complete"),
        (b"[" + CHUNK + b",\r\n" + FINISH, "upstream_error", "complete"),
        (b'[{"response":' + FINISH + b"}", "client_gone", "complete"),
        (b"[" + CHUNK + b"]", "client_gone", "complete"),
        (b"[" + CHUNK + b"," + FINISH[:-5], "upstream_error", "partial"),
        (b"[" + CHUNK + b"," + FINISH[:-5], "client_gone", "aborted"),
        (b"[" + CHUNK + b",", "eof", "partial"),
        (b"[" + CHUNK + b',{"error":{"code":503}}]', "eof", "error_event"),
        (b'[{"error":{"code":503}}]', "client_gone", "error_event"),
        (b"[", "eof", "partial"),
        (b"[]", "eof", "complete"),
    ],
)
def test_a_stream_that_is_one_array_ends_with_its_last_element(body: bytes, ended: str, told: str) -> None:
    kind = "application/json; charset=UTF-8"
    assert outcome("gemini", body, ended, ended == "eof", kind=kind) == told
    assert outcome("gemini", b" \r\n" + body, ended, ended == "eof", kind=kind) == told


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (b'{"type":"response.completed","response":{"output":[]}}', "complete"),
        (b'{"type":"response.incomplete","response":{}}\n{"type":"codex.rate_limits"}\n', "complete"),
        (b'{"type":"response.failed","response":{"error":{"code":"x"}}}\n', "error_event"),
        (b'{"type":"error","status":429,"error":{"type":"x"}}', "error_event"),
        (b'{"type":"response.output_item.done","item":{}}\n', "aborted"),
        (b'{"type":"response.completed","resp', "aborted"),
    ],
)
def test_a_websockets_messages_are_lines_and_end_as_the_events_do(last: bytes, told: str) -> None:
    begin = b'{"type":"response.created","response":{"status":"in_progress"}}\n'
    kind = "application/x-ndjson"
    assert outcome("openai-responses", begin + last, "client_gone", False, kind=kind) == told


def test_an_error_without_a_type_ends_a_stream_whose_errors_have_one() -> None:
    # Gateways put errors of their own into anybody's stream so.
    for provider in ("anthropic", "openai-responses"):
        assert outcome(provider, STREAMS[provider][0] + b'data: {"error":{"message":"x"}}\n\n') == "error_event"


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ("upstream_error", "no_response"),
        ("eof", "no_response"),
        ("client_gone", "aborted"),
        ("capture_lost", "capture_lost"),
    ],
)
def test_without_a_status_there_was_no_response(ended: str, told: str) -> None:
    assert outcome("anthropic", b"", ended, False, status=None, kind="") == told


@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_an_error_status_is_an_http_error(status: int) -> None:
    assert outcome("anthropic", b'{"type":"error"}', kind="application/json", status=status) == "http_error"


@pytest.mark.parametrize(
    ("body", "ended", "framed", "told"),
    [
        (b'{"type":"message"}\n', "eof", True, "complete"),
        (b"[1]", "eof", True, "complete"),
        (b"", "eof", True, "complete"),
        (b'{"type":"mess', "eof", True, "partial"),
        (b'{"type":"message"}', "client_gone", False, "complete"),
        (b'{"a":{"b":1}', "client_gone", False, "aborted"),
        (b'{"a":{"b":1}', "upstream_error", False, "partial"),
        (b'{"a":1', "capture_lost", False, "capture_lost"),
        (b"", "client_gone", False, "aborted"),
    ],
)
def test_a_body_in_one_piece_is_complete_when_it_is_whole(body: bytes, ended: str, framed: bool, told: str) -> None:
    assert outcome("anthropic", body, ended, framed, kind="application/json") == told


def test_json_under_a_streams_name_is_judged_as_json() -> None:
    assert outcome("anthropic", b'{"type":"message"}') == "complete"


@pytest.mark.parametrize(("ended", "framed", "told"), [("eof", True, "complete"), ("eof", False, "partial")])
def test_of_an_unknown_protocol_only_the_framing_is_known(ended: str, framed: bool, told: str) -> None:
    assert outcome("raw", b"data: what\n\n", ended, framed) == told
    assert outcome("raw", b"\x00\x01binary", ended, framed, kind="application/vnd.amazon.eventstream") == told


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"\n" * 100_000,
        b"data: {}\n\n" * 10_000,
        b"\xff\x00" * 1000,
    ],
)
def test_hostile_tails_are_judged_and_not_raised(body: bytes) -> None:
    for provider in (*STREAMS, "ollama"):
        assert outcome(provider, body) == "partial"
