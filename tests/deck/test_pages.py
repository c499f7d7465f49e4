"""The tabs of steps, on sessions of every kind: whatever can not be read is said in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from deck import shelf
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.session.view import STEP_TYPES, Step, View, view
from tapes_cli.deck.model.document import Document
from tapes_cli.deck.model.json_text import indented, readable
from tapes_cli.deck.model.pages import TABS, arguments, page
from tapes_cli.deck.model.styled import words
from tapes_cli.main import tapes as verbs


class Read:
    """A session of the shelf."""

    def __init__(self, archive: LmdbArchive, name: str) -> None:
        self.archive = archive
        self.view: View = view(archive, archive.names()[name], first_words=True)
        self.steps = list(self.view.steps)

    def page(self, tab: str, step: Step, *, raw: bool = False) -> str:
        return said(page(tab, self.archive, self.view, self.steps, step, raw=raw))

    def of(self, *types: str) -> list[Step]:
        return [step for step in self.steps if step.type in types]


def said(document: Document) -> str:
    while document.more():
        pass
    return "\n".join(words(line) for part in document.parts for line in part.lines())


def titles(text: str) -> list[str]:
    return [line[3:] for line in text.split("\n") if line.startswith("── ")]


@pytest.fixture(scope="module")
def archive(the_shelf: Path) -> Iterator[LmdbArchive]:
    with LmdbArchive.open(the_shelf / "archive", readonly=True) as found:
        yield found


@pytest.fixture
def fix(archive: LmdbArchive) -> Read:
    return Read(archive, shelf.FIX)


def test_every_tab_of_every_step_can_be_read_whatever_is_in_it(archive: LmdbArchive) -> None:
    types = set()
    for name in archive.names():
        read = Read(archive, name)
        for step in read.steps:
            types.add(step.type)
            for tab in TABS:
                for raw in (False, True):
                    text = read.page(tab, step, raw=raw)
                    assert text.strip() and all(char.isprintable() for char in text if char != "\n")
    assert types == set(STEP_TYPES), "a type of step that the shelf has not"


def test_the_page_to_read_says_what_the_command_does(the_shelf: Path, fix: Read) -> None:
    for step in fix.steps:
        words_ = ["show", f"{shelf.FIX}:{step.number}"]
        done = CliRunner().invoke(verbs, words_, env={"TAPES_HOME": str(the_shelf), "COLUMNS": "200"})
        shown = [line[3:] for line in done.output.split("\n") if line.startswith("── ")]
        text = fix.page("read", step)
        assert [title for title in shown if title != "files"] == titles(text)
        assert step.hash.hex() in text


def test_a_call_has_its_fields_its_command_with_its_output_and_its_result(fix: Read) -> None:
    step = next(step for step in fix.of("tool.use") if step.facts["name"] == "Bash")
    text = fix.page("read", step)
    assert f"command: {json.loads(step.text)['command']}" in text
    assert [title.partition(" ·")[0] for title in titles(text)][:3] == ["ran", "its output", "result"]
    assert step.text in fix.page("read", step, raw=True)


def test_a_request_is_shown_with_its_headers_and_indented_and_byte_for_byte_on_demand(fix: Read) -> None:
    step = fix.of("answer")[0]
    assert step.exchange is not None
    exchange = fix.view.calls.exchanges[step.exchange]
    assert exchange.request is not None
    body = fix.archive.body(exchange.request).decode()
    text = fix.page("request", step)
    assert text.startswith(f"{exchange.body['method']} {exchange.body['url']}")
    assert '\n{\n  "' in text and json.loads(text[text.index("\n{\n") :]) == json.loads(body)
    assert body in fix.page("request", step, raw=True)
    assert exchange.request.hash.short() in text


def test_a_response_is_shown_as_it_came(fix: Read) -> None:
    step = fix.of("answer")[0]
    assert step.exchange is not None
    exchange = fix.view.calls.exchanges[step.exchange]
    assert exchange.response is not None
    body = fix.archive.body(exchange.response).decode()
    text = fix.page("response", step)
    assert f"{exchange.status}" in text.split("\n")[0] and exchange.outcome in text.split("\n")[0]
    assert body.split("\n")[0] in text


def test_of_an_answer_on_its_way_there_is_what_has_come(archive: LmdbArchive) -> None:
    read = Read(archive, shelf.OPEN)
    open_ = [e for e in read.view.calls.exchanges.values() if e.end is None]
    step = next(step for step in read.steps if open_ and step.exchange == open_[0].hash)
    text = read.page("response", step)
    assert "open" in text.split("\n")[0] and "as far as it has come" in text


def test_a_step_that_no_model_call_belongs_to_says_so(fix: Read) -> None:
    (note, *_) = fix.of("note")
    for tab in ("request", "response", "context"):
        assert "no model call" in fix.page(tab, note)
    assert "note" in fix.page("record", note)


def test_a_record_is_shown_with_its_place_in_the_chain_and_those_that_belong_to_it(fix: Read) -> None:
    step = fix.of("command")[0]
    text = fix.page("record", step)
    record = dict(fix.view.records)[step.hash]
    assert record.prev is not None
    assert f'"prev": "{record.prev.hex()}"' in text and f'"hash": "{step.hash.hex()}"' in text
    assert {"command.start", "command.end", "command.output"} <= {title.partition(" ·")[0] for title in titles(text)}
    raw = fix.page("record", step, raw=True)
    digits = "".join(line[8:56] for line in raw.split("\n")[1:200] if line[:6].strip("0123456789abcdef") == "")
    assert fix.archive.record_raw(step.hash)[:64].hex() in digits.replace(" ", "")


def test_the_context_says_what_was_new_and_what_all_of_it_was_made_of(fix: Read) -> None:
    result = fix.of("tool.result")[0]
    text = fix.page("context", result)
    assert any(title.startswith("new · ") and "tool results" in title for title in titles(text))
    assert "the whole context" in titles(text) and "tokens: " in text
    whole = text[text.index("── the whole context") :]
    assert "user's words" in whole and "characters" in whole and "%" in whole
    assert any(title.startswith("dropped since the request before") for title in titles(text))


def test_what_a_request_dropped_is_told(archive: LmdbArchive) -> None:
    read = Read(archive, shelf.CARRIED)
    texts = [read.page("context", step) for step in read.steps if step.exchange]
    dropped = [line for text in texts for line in text.split("\n") if line.startswith("− ")]
    assert dropped and all("characters: " in line for line in dropped)


def test_a_damaged_body_is_said_in_its_block_and_the_others_are_there(archive: LmdbArchive) -> None:
    read = Read(archive, shelf.DAMAGED)
    step = read.of("error")[0]
    text = read.page("response", step)
    assert "headers" in titles(text)[0] and titles(text)[1].startswith("body")
    assert step.text.split("\n")[0][:20] in text[text.index("── body") :]
    assert '"messages"' in read.page("request", step)
    assert step.hash.hex() in read.page("record", step)
    whole = read.page("read", step)
    assert "hashes" in titles(whole) and "request" in titles(whole)
    context = read.page("context", step)
    assert context.startswith("the request of ") and "the whole context" in titles(context)


def test_what_is_withheld_is_said_by_whom(archive: LmdbArchive) -> None:
    read = Read(archive, shelf.WITHHELD)
    step = read.of("withheld")[0]
    assert "withheld by record" in read.page("read", step)
    assert '"was"' in read.page("record", step)
    assert "withheld" in read.page("record", step, raw=True)
    after = next(one for one in read.steps if one.number > step.number and one.type == "answer")
    assert "withheld by record" in read.page("request", after) + read.page("context", after)


def test_nothing_is_read_before_it_is_asked_for(fix: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> bytes:
        raise AssertionError("read")

    for name in ("body", "body_chunks", "record", "record_raw", "leaves"):
        monkeypatch.setattr(LmdbArchive, name, refused)
    for tab in TABS:
        document = page(tab, fix.archive, fix.view, fix.steps, fix.steps[0])
        if tab == "read":
            document.more()
            assert document.parts


# -- JSON

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


def sliced(text: str, cuts: list[int]) -> list[str]:
    at = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[one:other] for one, other in pairwise(at)]


@given(JSON, st.lists(st.integers(0, 10_000), max_size=6), st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_indented_json_is_the_same_however_it_is_sliced(
    value: object, cuts: list[int], separators: tuple[str, str], ascii_: bool
) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_)
    whole = "".join(indented([text]))
    assert "".join(indented(sliced(text, cuts))) == whole
    assert whole == json.dumps(value, indent=2, ensure_ascii=ascii_)


@given(st.text(st.sampled_from('{}[]",:\\ \nab1'), max_size=60), st.lists(st.integers(0, 100), max_size=4))
def test_of_what_is_no_json_nothing_but_blanks_is_lost(text: str, cuts: list[int]) -> None:
    found = "".join(indented(sliced(text, cuts)))
    assert "".join(found.split()) == "".join(text.split())


def test_keys_that_come_twice_and_numbers_stay_as_they_were_sent() -> None:
    text = '{"a": 1.0e5, "a": 10000000000000000000000.50, "b": "\\u00e9\\ud800"}{"c": []}'
    assert "".join(readable([text])) == (
        '{\n  "a": 1.0e5,\n  "a": 10000000000000000000000.50,\n  "b": "\\u00e9\\ud800"\n}\n{\n  "c": []\n}'
    )
    assert "".join(readable(["event: x\n", "data: {}\n"])) == "event: x\ndata: {}\n"


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", "no JSON", '{"a": 1', "[" * 100_000])
def test_an_input_that_is_no_object_is_told_as_it_is(text: str) -> None:
    assert "".join(arguments(text)) == text
    assert "".join(arguments('{"a": "x\\ny", "b": [1], "c": "z"}')) == "a:\nx\ny\nb:\n[\n  1\n]\nc: z\n"
