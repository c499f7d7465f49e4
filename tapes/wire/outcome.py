"""How an exchange ended, judged by what the protocol says its last event is.

The transport is a bad witness: some agents hang up as soon as they have the last event, and some providers
end a stream early in perfect framing. So the last events of a stream decide, and only where they say nothing
the transport does. Nothing else is interpreted here; the table below is all that capture knows about
protocols.
"""

from __future__ import annotations

import json

from tapes.values import dataclass
from tapes.wire.arrays import ArrayDecoder

_LAST_EVENTS = 16
"""How many events from the end are looked at: pings and usage may follow the one that counts."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
_BODY_LIMIT = 1024 * 1024
"""A body that is no stream is parsed up to this size, when there is doubt about its end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends a stream of one protocol."""

    done: frozenset[str] = frozenset()
    """Values of `type` in the last event."""
    failed: frozenset[str] = frozenset()
    done_text: str = ""
    """The whole data of the last event, where that is no JSON."""
    arrays: bool = False
    """Streams come as one JSON array too, each element an event."""


ENDINGS = {
    "anthropic": Ending(done=frozenset({"message_stop"}), failed=frozenset({"error"})),
    "openai-responses": Ending(
        done=frozenset({"response.completed", "response.incomplete"}),
        failed=frozenset({"response.failed", "error"}),
    ),
    "openai-chat": Ending(done_text="[DONE]"),
    "gemini": Ending(arrays=True),
    "ollama": Ending(),
}
"""By provider (endpoints.Endpoint). One that is missing here has no known end: the transport decides."""


def judge(
    provider: str,
    cls: str,
    status: int | None,
    content_type: str,
    head: bytes,
    tail: bytes,
    ended: str,
    framing_complete: bool,
) -> str:
    """One of record.kinds.OUTCOMES.

    `head` and `tail` are the beginning and the end of the decoded body and may be all of it; the tail MUST
    hold the last event whole (an OpenAI `response.completed` repeats the whole answer), and costs no more for
    being long. `ended` is `eof`, `client_gone`, `upstream_error` or `capture_lost`.
    """
    if status is None:
        return {"client_gone": "aborted", "capture_lost": "capture_lost"}.get(ended, "no_response")
    if status >= 400:
        return "http_error"
    form = _form(provider, content_type, head)
    verdict = _last_word(provider, tail, form) if form else None
    if verdict is not None:
        return verdict
    whole = framing_complete and ended == "eof"
    if form:
        whole = whole and (provider not in ENDINGS or cls != "model")
    else:
        whole = _json_is_whole(content_type, head, tail, whole)
    if whole:
        return "complete"
    return {"client_gone": "aborted", "capture_lost": "capture_lost"}.get(ended, "partial")


def _form(provider: str, content_type: str, head: bytes) -> str:
    """Of what the stream is made: `lines` of JSON, elements of one `array`, or `events`; empty where it is none."""
    kind, start = content_type.lower(), head.lstrip(_BLANK)
    if "ndjson" in kind:
        return "lines"
    if start.startswith(b"[") and provider in ENDINGS and ENDINGS[provider].arrays:
        return "array"
    # An error or a whole answer may come as JSON under the stream's type; a stream never begins so.
    if ("event-stream" in kind and not start.startswith(b"{")) or start.startswith((b"event:", b"data:")):
        return "events"
    return ""


def _json_is_whole(content_type: str, head: bytes, tail: bytes, framed: bool) -> bool:
    if framed:
        # Framing alone is enough for what is no JSON (an empty 204, binary streams).
        return "json" not in content_type.lower() or tail.rstrip()[-1:] in (b"}", b"]", b"")
    if len(tail) > _BODY_LIMIT or not tail.startswith(head) or tail.rstrip()[-1:] != b"}":
        return False
    return isinstance(_parse(tail.decode("utf-8", "replace")), dict)


def _last_word(provider: str, tail: bytes, form: str) -> str | None:
    """`complete` or `error_event` when one of the last events says so, or the array has ended."""
    ending = ENDINGS.get(provider)
    if ending is None:
        return None
    closed = False
    if form == "array":
        events, closed = _last_elements(tail)
    else:
        events = _last_events(tail, lines=form == "lines")
    for event, data in events:
        if ending.done_text and data == ending.done_text:
            closed = True  # vLLM says it after an error too: what stands before it decides
            continue
        value = _parse(data)
        if not isinstance(value, dict):
            continue
        kind = str(value.get("type", event))
        if kind in ending.done:
            return "complete"
        if kind in ending.failed or event == "error" or (value.get("error") and not (ending.failed and kind)):
            return "error_event"
        if not ending.done and _says_done(value):
            return "complete"
    return "complete" if closed else None


def _says_done(value: dict[str, object]) -> bool:
    """A chunk that carries the reason why the model stopped: Chat's `choices`, Gemini's `candidates`,
    Ollama's `done`.
    """
    inner = value.get("response")  # Code Assist wraps Gemini's chunks
    value = inner if isinstance(inner, dict) else value
    if value.get("done") is True:
        return True
    feedback = value.get("promptFeedback")
    if isinstance(feedback, dict) and feedback.get("blockReason"):
        return True
    for key, reason in (("choices", "finish_reason"), ("candidates", "finishReason")):
        entries = value.get(key)
        if isinstance(entries, list) and any(isinstance(e, dict) and e.get(reason) for e in entries):
            return True
    return False


def _last_events(tail: bytes, *, lines: bool) -> list[tuple[str, str]]:
    """(event name, data) of the last events, the last first; with `lines` each line is the data of one."""
    if b"\r" in tail:
        tail = tail.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    gap = b"\n" if lines else b"\n\n"
    end = len(tail)
    events: list[tuple[str, str]] = []
    while end > 0 and len(events) < _LAST_EVENTS:
        at = tail.rfind(gap, 0, end)
        start = at + len(gap) if at >= 0 else 0
        text = tail[start:end].decode("utf-8", "replace").strip("\n")
        if text:
            events.append(("", text) if lines else _event(text))
        end = at
    return events


def _last_elements(tail: bytes) -> tuple[list[tuple[str, str]], bool]:
    """The same of an array, which MUST be there from its beginning; and whether its end was seen."""
    decoder = ArrayDecoder()
    elements = [*decoder.feed(tail), *decoder.finish()]
    return [("", element.data) for element in elements[: -_LAST_EVENTS - 1 : -1]], decoder.closed


def _event(text: str) -> tuple[str, str]:
    name, data = "", []
    for line in text.split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return name, "\n".join(data)


def _parse(text: str) -> object:
    """The JSON value, or None for anything else: a cut event is no verdict."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
