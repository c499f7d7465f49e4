"""Streams: whatever way the bytes are sliced, and however a model spells a key out, no secret gets through."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.wire.redact import Redactor, StreamRedactor, redact_sse

ANTHROPIC = "sk-ant-api03-" + "aB3-" * 23 + "xAA"
GITHUB = "ghp_" + "a1B2" * 9
EXACT = 'pass "word"\\ of 2026'
PLAIN = "0123456789abcdefSECRET"
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAQ0FB" * 2 + "\n") * 4
    + "-----END PRIVATE KEY-----\n"
)
VALUES = [("env:E", EXACT.encode()), ("env:P", PLAIN.encode())]
SECRETS = [
    ANTHROPIC,
    GITHUB,
    EXACT,
    PLAIN,
    PEM,
    f"sess-{'a1' * 20}",
    f"AKIA{'Q7' * 8}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJ{'a1' * 20}.{'b2' * 20}",
]
LONG_PARTS = {
    secret: [line for line in secret.split("\n") if len(line) > 40 and "-----" not in line] or [secret]
    for secret in SECRETS
}


def _anthropic(kind: str, field: str, text: str, index: int = 0) -> bytes:
    data = {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}}
    return f"event: content_block_delta\ndata: {json.dumps(data)}\n\n".encode()


def _responses(text: str) -> bytes:
    data = {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
    }
    return f"event: response.output_text.delta\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _chat(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]})}\r\n\r\n".encode()


def _gemini(text: str) -> bytes:
    data = {"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0}]}
    return f"data: {json.dumps(data)}\n\n".encode()


SPEAKERS = {
    "anthropic text": lambda t: _anthropic("text_delta", "text", t),
    "anthropic tool input": lambda t: _anthropic("input_json_delta", "partial_json", json.dumps(t)[1:-1]),
    "anthropic thinking": lambda t: _anthropic("thinking_delta", "thinking", t),
    "responses": _responses,
    "chat": _chat,
    "gemini": _gemini,
}


def _said(stream: bytes) -> str:
    """What the events say together."""
    said = []
    for line in stream.splitlines():
        if line.startswith(b"data: {"):
            data = json.loads(line[6:])
            delta = data.get("delta", "")
            if "choices" in data:
                said.append(data["choices"][0]["delta"]["content"])
            elif "candidates" in data:
                said.append(data["candidates"][0]["content"]["parts"][0]["text"])
            elif isinstance(delta, str):
                said.append(delta)
            else:
                said.append(
                    next((delta[field] for field in ("text", "partial_json", "thinking") if field in delta), "")
                )
    return "".join(said)


def _pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


def _fed(stream: StreamRedactor, data: bytes, size: int) -> bytes:
    return b"".join([*(stream.feed(data[at : at + size]) for at in range(0, len(data), size)), stream.finish()])


@pytest.mark.parametrize("speaker", SPEAKERS)
@given(
    secret=st.sampled_from(SECRETS),
    cuts=st.lists(st.integers(0, 2000), max_size=30),
    size=st.sampled_from([1, 7, 100, 1000, 10**6]),
    before=st.sampled_from(
        ["", "The key is ", "x\n", "ls -la\n\x1b[32m", "é " * 5, "yours s\n", "----- ", "export KEY="]
    ),
    after=st.sampled_from(["", " and so on.", "\nnext", '"', "\x1b[0m"]),
)
@settings(max_examples=60, deadline=None)
def test_a_secret_spelled_out_over_events_does_not_get_through(
    speaker: str, secret: str, cuts: list[int], size: int, before: str, after: str
) -> None:
    events = b"".join(SPEAKERS[speaker](piece) for piece in _pieces(before + secret + after, cuts))
    out = _fed(StreamRedactor(Redactor(VALUES), sse=True), events, size)
    said = _said(out)
    if speaker == "anthropic tool input":
        said = json.loads(f'"{said}"')
    assert "[REDACTED:" in said
    assert not [part for part in LONG_PARTS[secret] if part in said]
    # (a value that ends before a quote may leave one escape; all else around the secret is what was said)
    assert said.startswith(before) and said.endswith(after)
    assert out.count(b"\n\n") + out.count(b"\r\n\r\n") == events.count(b"\n\n") + events.count(b"\r\n\r\n")


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:8])
def test_every_single_cut_of_a_secret_is_caught(secret: str) -> None:
    for cut in range(len(secret) + 1):
        events = _anthropic("text_delta", "text", "K=" + secret[:cut]) + _anthropic(
            "text_delta", "text", secret[cut:] + " ok"
        )
        said = _said(_fed(StreamRedactor(Redactor(VALUES), sse=True), events, len(events)))
        assert said.startswith("K=[REDACTED:") and said.endswith(" ok"), cut
        assert not [part for part in LONG_PARTS[secret] if part in said], cut


@given(
    pieces=st.lists(
        st.sampled_from([*SECRETS, "hello ", "\n", '"', "-----", "s", "sk-", "[x]", "\\", "@", "://u:", "1234"]),
        max_size=12,
    ),
    cuts=st.lists(st.integers(0, 3000), max_size=20),
    sse=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_the_slicing_of_the_bytes_does_not_change_the_output(pieces: list[str], cuts: list[int], sse: bool) -> None:
    text = "".join(pieces)
    stream = b"".join(_responses(piece) for piece in _pieces(text, cuts)) if sse else text.encode()
    outs = []
    for size in (1, 13, 777, len(stream) + 1):
        redactor = StreamRedactor(Redactor(VALUES), sse=sse)
        out = _fed(redactor, stream, size)
        outs.append((out, redactor.spans))
        assert [out[span.offset :][: span.length] for span in redactor.spans] == [
            f"[REDACTED:{span.rule}]".encode()[: span.length] for span in redactor.spans
        ]
    assert outs.count(outs[0]) == len(outs)
    if not sse:
        assert outs[0][0] == Redactor(VALUES).redact(stream).data


def test_what_cannot_become_a_secret_is_given_out_with_its_event() -> None:
    stream = StreamRedactor(Redactor(VALUES), sse=True)
    event = _anthropic("text_delta", "text", "Nothing to hide")
    assert stream.feed(event) == event
    assert stream.feed(event[:30]) == b""
    assert stream.feed(event[30:]) == event[:]
    held = _anthropic("text_delta", "text", " sk-an")
    assert stream.feed(held) == b""
    assert stream.feed(_anthropic("text_delta", "text", "d more")) == held + _anthropic("text_delta", "text", "d more")


def test_a_block_that_ended_holds_nothing_back() -> None:
    stream = StreamRedactor(Redactor(VALUES), sse=True)
    held = _anthropic("text_delta", "text", "as ever, yours,\ns")
    stop = b'data: {"type":"content_block_stop","index":0}\n\n'
    assert stream.feed(held) == b""
    assert stream.feed(stop) == held + stop
    assert stream.feed(held) == b""
    idle = b'data: {"type": "ping"}\n\n' * 40  # nobody says that it ended, but nothing more is said
    assert stream.feed(idle) == held + idle


def test_two_blocks_that_speak_in_turn_are_kept_apart() -> None:
    key = [GITHUB[:10], GITHUB[10:25], GITHUB[25:]]
    events = b"".join(
        _anthropic("text_delta", "text", part, 0) + _anthropic("text_delta", "text", f"w{n} ", 1)
        for n, part in enumerate(key)
    )
    said = _said(redact_sse(Redactor(), events).data)
    assert said == "[REDACTED:github-token]w0 w1 w2 "


def test_what_follows_a_secret_directly_in_the_next_event_is_kept() -> None:
    stream = StreamRedactor(Redactor(VALUES), sse=True)
    out = b"".join(stream.feed(_anthropic("text_delta", "text", text)) for text in (PLAIN, "And", "More", " x"))
    assert _said(out + stream.finish()) == "[REDACTED:env:P]AndMore x"


def test_a_key_without_end_is_cut_open_ended_also_over_events() -> None:
    stream = StreamRedactor(Redactor(), sse=True)
    out = stream.feed(_anthropic("text_delta", "text", "K=" + ANTHROPIC))
    for _ in range(40):
        out += stream.feed(_anthropic("text_delta", "text", "aB3-" * 10_000))
    assert _said(out) == "K=[REDACTED:anthropic-api-key]"
    out += stream.feed(_anthropic("text_delta", "text", "aB3- done\n")) + stream.finish()
    assert _said(out) == "K=[REDACTED:anthropic-api-key] done\n"


def test_a_private_key_said_a_word_at_a_time_goes_whole() -> None:
    pem = (
        "-----BEGIN RSA PRIVATE KEY-----\n"
        + ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAQ0FB" * 4 + "\n") * 12
        + "-----END RSA PRIVATE KEY-----\n"
    )
    events = b"".join(_responses(pem[at : at + 4]) for at in range(0, len(pem), 4))
    out = redact_sse(Redactor(), events)
    assert _said(out.data) == "[REDACTED:private-key]\n"
    assert _said(_fed(StreamRedactor(Redactor(), sse=True), events, 4096)) == "[REDACTED:private-key]\n"


def test_a_stream_cut_in_the_middle_of_an_event_is_searched_to_its_end() -> None:
    events = _anthropic("text_delta", "text", "K=" + ANTHROPIC[:40]) + _anthropic("text_delta", "text", ANTHROPIC[40:])
    for missing in range(1, 20):
        out = redact_sse(Redactor(), events[:-missing]).data
        assert ANTHROPIC[:40].encode() not in out
        assert ANTHROPIC[40:90].encode() not in out


def test_endless_tokens_and_events_are_held_back_within_bounds_and_cut_open_ended() -> None:
    plain = StreamRedactor(Redactor(), sse=False)
    endless = b"KEY=" + ANTHROPIC.encode()
    out = plain.feed(endless)
    for _ in range(100):
        out += plain.feed(b"aB3-" * 1000)
        assert len(plain._buffer) < 200_000
    out += plain.finish()
    assert out.startswith(b"KEY=[REDACTED:anthropic-api-key]") and ANTHROPIC.encode() not in out
    assert len(out) < 100

    events = StreamRedactor(Redactor(), sse=True)
    out = events.feed(b'data: {"x":"' + b"a" * 100)
    for _ in range(40):
        out += events.feed(b"word " * 10_000)
        assert len(events._buffer) < 1_200_000
    assert len(out) > 500_000


def test_messages_of_a_web_socket_are_treated_line_by_line() -> None:
    def message(text: str) -> bytes:
        return json.dumps({"type": "response.output_text.delta", "output_index": 0, "delta": text}).encode() + b"\n"

    stream = StreamRedactor(Redactor(), sse=False, lines=True)
    assert stream.feed(message("hello ")) == message("hello ")
    assert stream.feed(message(GITHUB[:9])) == b""
    assert stream.feed(message(GITHUB[9:]) + message(" bye")) == message("[REDACTED:github-token]") + message(
        ""
    ) + message(" bye")
    assert stream.finish() == b""


def test_a_number_in_an_event_becomes_a_string() -> None:
    redactor = Redactor([("env:PIN", b"123456789012")])
    data = b'data: {"a": "x", "pin": 123456789012, "said": "pin: 123456789012, yes"}\n\n' * 20
    out = _fed(StreamRedactor(redactor, sse=True), data, 50)
    assert out == data.replace(b': 123456789012, "', b': "[REDACTED:env:PIN]", "').replace(
        b"123456789012", b"[REDACTED:env:PIN]"
    )
