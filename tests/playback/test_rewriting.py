"""Words of today in a recorded answer: whole words, in every spelling, wherever the stream is cut; and nothing else."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.playback.masks import masked
from tapes.playback.recorded import Answer, Piece
from tapes.playback.rewriting import rewritten

OLD, NEW = "/home/änn/project", "/srv/b"
CHANGES = {OLD: NEW, "a6ef41df0611037b2": "b0000000000000000"}


def event(text: str, index: int = 0, ascii_: bool = False) -> bytes:
    delta = {"type": "content_block_delta", "index": index, "delta": {"partial_json": text}}
    return b"event: x\ndata: " + json.dumps(delta, ensure_ascii=ascii_).encode() + b"\n\n"


def said(answer: Answer, index: int = 0) -> str:
    events = [json.loads(part.split(b"data: ")[1]) for part in answer.body.split(b"\n\n") if part]
    return "".join(one["delta"]["partial_json"] for one in events if one["index"] == index)


@given(
    st.lists(st.sampled_from([OLD, OLD + "2", "a6ef41df0611037b2", " ", "\n", "/x.py", '"', "é", "{}"]), max_size=8),
    st.lists(st.integers(0, 120), max_size=6),
    st.lists(st.integers(0, 1500), max_size=4),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_words_are_found_wherever_the_text_and_the_bytes_are_cut(
    words: list[str], cuts: list[int], breaks: list[int], ascii_: bool
) -> None:
    text = "·".join(words)
    places = sorted({0, *(cut % (len(text) + 1) for cut in cuts), len(text)})
    parts = [text[a:b] for a, b in pairwise(places)]
    body = b"".join(event(part, ascii_=ascii_) + event("between", 1) for part in parts)
    borders = sorted({0, *(at % (len(body) + 1) for at in breaks), len(body)})
    pieces = tuple(Piece(n, body[a:b]) for n, (a, b) in enumerate(pairwise(borders)))
    answer = rewritten(Answer(200, pieces=pieces), CHANGES)
    new = {OLD: NEW, "a6ef41df0611037b2": "b0000000000000000"}
    assert said(answer) == "·".join(new.get(word, word) for word in words)
    assert said(answer, 1) == "between" * len(parts)
    assert [piece.after_us for piece in answer.pieces] == list(range(len(pieces)))


def test_what_has_none_of_the_words_stays_the_same_value() -> None:
    answer = Answer(200, pieces=(Piece(0, event("nothing")),))
    assert rewritten(answer, CHANGES) is answer
    assert rewritten(answer, {}) is answer


def test_json_within_json_and_messages_of_a_websocket() -> None:
    inner = json.dumps({"cmd": f'cd "{OLD}"\nls'}, ensure_ascii=False)
    message = json.dumps({"type": "response.completed", "arguments": inner}, ensure_ascii=False).encode()
    answer = rewritten(Answer(101, pieces=(Piece(0, message), Piece(1, message))), CHANGES, messages=True)
    for piece in answer.pieces:
        assert json.loads(json.loads(piece.data)["arguments"]) == {"cmd": f'cd "{NEW}"\nls'}


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T13:25:01.123Z",
        "2026-11-21 13:25:01",
        "Sat Nov 21 13:25:01 UTC 2026",
        "Saturday, November 21, 2026",
        "Sat, 21 Nov 2026 13:25:01 GMT",
        "11/21/2026",
        "13:25:01",
        "1795267546932",
        "1795267547.008112",
        "01a1fe48-cdce-7b03-b18f-5ca9c0b03858",
        "ses_e01b5df2cffeQKgu9tyswQ9fDu",
        "f86404b",
        "0.35s",
        "346 ms",
    ],
)
def test_what_differs_between_runs_is_masked_whole(text: str) -> None:
    left, found = masked(f"before {text} after")
    assert len(found) == 1, found
    assert left in (f"before <{found[0].kind}> after",)
    assert found[0].text == text


@pytest.mark.parametrize(
    "text",
    [
        "4 of 5 checks failed",
        "exit code 3",
        "toolu_mainT000N0ekbu4c3bev",
        "port 8080",
        "decade",
        "line 12:34",
        "v1.2.3",
    ],
)
def test_what_a_tool_said_is_left_alone(text: str) -> None:
    assert masked(text) == (text, ())


def test_an_id_may_stand_behind_a_word_and_a_dash() -> None:
    assert masked("exec-01a1fe48-cdce-7b03-b18f-5ca9c0b03858")[0] == "exec-<id>"


def test_codex_says_of_each_output_what_is_never_the_same() -> None:
    said = "Chunk ID: {}\nWall time: {} seconds\nProcess exited with code 3\nOriginal token count: {}\nOutput:\nx"
    assert masked(said.format("313a2b", "0.0512", 74))[0] == masked(said.format("0be49e", "0.1", 87))[0]
    assert "code 3" in masked(said.format("313a2b", "0.0512", 74))[0]
