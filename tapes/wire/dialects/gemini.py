"""Google's Gemini API: requests, whole answers, both kinds of stream, errors, token counts.

Also spoken by Vertex AI, under longer paths, and by Code Assist (`v1internal`), which wraps the request as
`{"model", "project", "request": {…}}`. Elsewhere the model, and whether to stream, stand in the path alone: the body
does not know them. Function calls need no ids; where a history has none, local ones are given.
"""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.wire.arrays import ArrayDecoder
from tapes.wire.dialects.base import Headers, ResponseReader, strange_answer, unread_request, unread_turn
from tapes.wire.dialects.gemini_parts import as_list, named, read_content, read_parts, read_usage, role_of
from tapes.wire.dialects.gemini_stream import Answer, StreamReader, read_answer
from tapes.wire.dialects.json_body import load, rest
from tapes.wire.dialects.local_ids import give_local_ids
from tapes.wire.dialects.sniff import BLANK, SniffingReader
from tapes.wire.events import EventDecoder
from tapes.wire.turns import (
    Block,
    Json,
    Message,
    RequestReading,
    ResponseReading,
    Text,
    ToolDecl,
    TurnReading,
    Unknown,
    tail_start,
)

_PATHS = pattern(r"/[^/]+:(streamGenerateContent|generateContent|countTokens)$")
_HOSTS = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com", "cloudcode-pa.googleapis.com")
_WRAPPERS = ("request", "generateContentRequest")
"""Code Assist's, and that of a token count for a whole request."""


class Gemini:
    """The generateContent dialect."""

    name: str = "gemini"
    version: int = 1

    def priority(self, host: str, path: str, content_type: str) -> int:
        if not _PATHS.search(path):
            return 0
        return 100 if host.partition(":")[0].endswith(_HOSTS) else 80

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        loaded = load(body)
        if not isinstance(loaded.value, dict):
            return unread_request(body, loaded)
        raw, outer = _unwrap(loaded.value)
        errors: list[str] = []
        model = _model(raw, outer)
        messages = [_message(item, index, errors) for index, item in enumerate(_history(raw, errors))]
        system_key = named(raw, "systemInstruction")
        system, left = _system(raw.get(system_key))
        inner = rest(raw, "contents", "tools", system_key, *(("model",) if raw.get("model") == model else ()))
        if left:
            inner[system_key] = left
        session = raw.get("session_id")
        return RequestReading(
            model=model,
            system=system,
            messages=tuple(give_local_ids(messages)),
            tools=tuple(decl for tool in as_list(raw.get("tools")) for decl in _tools(tool)),
            params=_together(rest(outer, *(("model",) if outer.get("model") == model else ())), inner),
            session_id=session if isinstance(session, str) else None,
            errors=tuple(errors),
            problems=loaded.problems,
        )

    def read_turn(self, body: bytes) -> TurnReading:
        loaded = load(body)
        if not isinstance(loaded.value, dict):
            return unread_turn(body, loaded)
        raw, outer = _unwrap(loaded.value)
        errors: list[str] = []
        history = _history(raw, errors)
        start = tail_start([role_of(item) for item in history])
        messages = [_message(item, n, errors) for n, item in enumerate(history[start:], start)]
        numbered = enumerate(give_local_ids(messages, start), start)
        return TurnReading(_model(raw, outer), tuple(numbered), "; ".join(errors))

    def response_reader(self, status: int, content_type: str) -> ResponseReader:
        return SniffingReader(lambda: StreamReader(EventDecoder()), lambda body: read_whole(body, status))


def read_whole(body: bytes, status: int) -> ResponseReading:
    """A body that is no event stream: a response, an error, a token count, or an array of responses."""
    start = body.lstrip(BLANK)[:1]
    if not start:
        return ResponseReading()
    if start == b"[":
        array = StreamReader(ArrayDecoder())
        array.feed(body)
        return array.finish()
    loaded = load(body)
    raw, answer = loaded.value, Answer()
    if isinstance(raw, dict) and isinstance(raw.get("totalTokens"), int):
        return ResponseReading(usage=read_usage(raw), complete=True, problems=loaded.problems)
    if not isinstance(raw, dict) or not answer.take(raw):
        return strange_answer(body, status, loaded, "an answer of Gemini's")
    return read_answer(answer.raw(), ended=True, problems=loaded.problems)


def _unwrap(raw: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The request itself, and what stands around it."""
    for name in _WRAPPERS:
        key = named(raw, name)
        inner = raw.get(key)
        if isinstance(inner, dict) and "contents" not in raw:
            return inner, rest(raw, key)
    return raw, {}


def _model(raw: dict[str, Json], outer: dict[str, Json]) -> str:
    return next((model for model in (outer.get("model"), raw.get("model")) if isinstance(model, str)), "")


def _together(outer: dict[str, Json], inner: dict[str, Json]) -> dict[str, Json]:
    """The fields of both; where they clash the wrapper's own has the name, and the request's stands in `request`."""
    clash: dict[str, Json] = {key: value for key, value in inner.items() if key in outer}
    return inner | outer | ({"request": clash} if clash else {})


def _history(raw: dict[str, Json], errors: list[str]) -> list[Json]:
    history = as_list(raw.get("contents"))
    if not history:
        errors.append("contents is empty")
    return history


def _message(raw: Json, index: int, errors: list[str]) -> Message:
    message = read_content(raw)
    if message is None:
        errors.append(f"content {index} is none")
        return Message("", (Unknown(raw),))
    return message


def _system(raw: Json) -> tuple[tuple[Block, ...], dict[str, Json]]:
    """A content like any other; what of it is no block (its role, which means nothing) comes second."""
    if isinstance(raw, str):
        return (Text(raw),), {}
    if raw is None:
        return (), {}
    if not isinstance(raw, dict):
        return (Unknown(raw),), {}
    return read_parts(raw.get("parts")), rest(raw, "parts")


def _tools(raw: Json) -> list[ToolDecl]:
    """A tool declares functions, or is one of the provider's own and has its name for a field."""
    if not isinstance(raw, dict):
        return [ToolDecl("", raw)]
    key = named(raw, "functionDeclarations")
    listed = raw.get(key)
    declared = listed if isinstance(listed, list) else []
    own = rest(raw, key) if isinstance(listed, list) else raw
    return [*map(_function, declared), *(ToolDecl(name, {name: value}) for name, value in own.items())]


def _function(raw: Json) -> ToolDecl:
    name = raw.get("name") if isinstance(raw, dict) else None
    return ToolDecl(name if isinstance(name, str) else "", raw)
