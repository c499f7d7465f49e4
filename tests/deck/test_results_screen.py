"""Search in all sessions, and in one: hits are rows, and steps to be walked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from textual.pilot import Pilot

from deck import shelf
from deck.filming import Clock, Scene, text
from deck.shelf import AGAIN, FIX
from deck.support import LARGE, SMALL, deck, idle, press, shown
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_cli.deck.model.results import fitting
from tapes_cli.deck.screens.results import FIRST, Results
from tapes_cli.deck.screens.sessions import Sessions
from tapes_cli.deck.screens.timeline import Timeline
from tapes_cli.home import index_path
from tapes_cli.main import tapes as verbs


def results(pilot: Pilot[Any]) -> Results:
    found = pilot.app.screen
    assert isinstance(found, Results)
    return found


def timeline(pilot: Pilot[Any]) -> Timeline:
    found = pilot.app.screen
    assert isinstance(found, Timeline)
    return found


async def sought(pilot: Pilot[Any], asked: str) -> None:
    await press(pilot, "S")
    results(pilot).ask.put(asked)
    await idle(pilot)


async def test_hits_are_those_of_tapes_search(home: Path) -> None:
    printed = CliRunner().invoke(verbs, ["search", "pytest", "--limit", "0"]).stdout.splitlines()
    async with deck(home, size=LARGE) as pilot:
        await press(pilot, "S", *"pytest")
        hits = results(pilot).found.answer.hits
        names = results(pilot).found.answer.names
        assert [f"{names[hit.session]}:{hit.step}" for hit in hits] == [line.split()[0] for line in printed]
        assert f"{len(printed)} hits for pytest" in shown(pilot)


async def test_what_fits_is_marked(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await sought(pilot, "invoice")
        assert ("invoice", "match") in results(pilot).found.line(0, 200)


async def test_enter_opens_the_step_and_n_and_p_go_on_to_further_hits(home: Path) -> None:
    async with deck(home) as pilot:
        await sought(pilot, "vat type:tool.result")
        hit = results(pilot).found.answer.hits[0]
        await press(pilot, "enter", "enter")
        here = timeline(pilot)
        assert here.tape.number == hit.step
        hits = list(here.tape.seeking.numbers)
        at = hits.index(here.tape.number)
        assert f"hit {at + 1}/{len(hits)}" in shown(pilot) and "◆" in shown(pilot)
        await press(pilot, "p")
        assert here.tape.number == hits[at - 1]
        await press(pilot, "n")
        assert here.tape.number == hits[at]
        for _ in hits:
            await press(pilot, "n")
        assert here.tape.number == hits[-1]
        assert "no hit of vat type:tool.result behind this one" in shown(pilot)


async def test_what_fits_is_pointed_out_in_the_text_of_a_step(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await sought(pilot, '"def vat" OR invo*')
        await press(pilot, "enter", "enter")
        await press(pilot, "enter")
        reader = timeline(pilot).pane.reader
        reversed_ = {
            segment.text
            for y in range(reader.size.height)
            for segment in reader.render_line(y)
            if segment.style is not None and segment.style.reverse
        }
        assert reversed_ & {"def", "vat", "invo"}


@pytest.mark.parametrize(
    ("asked", "said", "marked"),
    [
        ("vat", "vat VAT private_vat vats", ["vat", "VAT", "vat"]),
        ("invo*", "invoice Invo", ["invo", "Invo"]),
        ('"def vat" -tax tool:Bash', "def vat tax Bash", ["def", "vat"]),
        ("a.py", "a.py", ["a", "py"]),
        ("tool:Bash", "Bash", []),
        ("(", "(", []),
    ],
)
def test_the_words_of_a_query_are_marked(asked: str, said: str, marked: list[str]) -> None:
    found = fitting(asked)
    assert [hit[0] for hit in found.finditer(said)] == marked if found else not marked


async def test_escape_goes_back_to_the_results_as_they_were(home: Path) -> None:
    async with deck(home) as pilot:
        await sought(pilot, "pytest")
        await press(pilot, "enter", "j", "j", "enter", "escape")
        assert results(pilot).rows.cursor == 2
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, Sessions)


async def test_a_search_stays_while_other_screens_of_the_session_are_looked_at(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "slash", *"round", "enter")
        found = timeline(pilot).tape.seeking.numbers
        assert found
        await press(pilot, "2", "1")
        assert timeline(pilot).tape.seeking.numbers == found
        assert timeline(pilot).ask.text == "round"


async def test_a_search_in_one_session_finds_only_there_and_begins_at_the_current_step(home: Path) -> None:
    async with deck(home, f"{FIX}:20") as pilot:
        await press(pilot, "slash", *"pytest", "enter")
        here = timeline(pilot)
        told = here.tape.told
        assert told is not None
        assert told.rank[here.tape.number] >= told.rank[20]
        assert {number for number in here.tape.seeking.numbers if "pytest" in told.steps[number - 1].text}
        assert here.rows.has_focus


async def test_escape_ends_a_search_that_was_begun_here(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "slash", *"round", "enter", "escape")
        here = timeline(pilot)
        assert not here.ask.display and not here.tape.seeking.text
        assert "◆" not in shown(pilot)
        kind = here.tape.step.type  # type: ignore[union-attr]
        await press(pilot, "p")
        assert here.tape.step.type == kind  # type: ignore[union-attr]
        await press(pilot, "slash", *"round", "escape")
        assert here.rows.has_focus and not here.tape.seeking.text


async def test_nothing_found_in_a_session_is_said(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "slash", *"zyzzogeton", "enter")
        assert "no hits" in shown(pilot)
        await press(pilot, "escape")
        assert timeline(pilot).rows.has_focus


async def test_more_hits_come_as_one_scrolls(home: Path) -> None:
    clock = Clock()
    with shelf.archive_of(home, clock=clock) as archive:
        scene = Scene(archive, clock, "long", at=9 * 3600)
        for n in range(FIRST + 60):
            scene.note(f"xylophone {n}")
        scene.close()
    async with deck(home) as pilot:
        await sought(pilot, "xylophone")
        assert len(results(pilot).found.answer.hits) == FIRST
        assert f"{FIRST} hits for xylophone, and more: they come as you scroll" in shown(pilot)
        await press(pilot, "enter", "G")
        assert len(results(pilot).found.answer.hits) == FIRST + 60
        assert results(pilot).rows.cursor == FIRST - 1
        await press(pilot, "G")
        assert results(pilot).chosen().snippet.text == "xylophone 0"  # type: ignore[union-attr]


async def test_asking_again_finds_what_was_recorded_meanwhile_and_the_cursor_stays(home: Path) -> None:
    with LmdbArchive.open(home / "archive"):  # for writing, by this process too
        async with deck(home) as pilot:
            await sought(pilot, "invoice")
            await press(pilot, "enter", "j")
            before = results(pilot).chosen()
            clock = Clock()
            with shelf.archive_of(home, clock=clock) as archive:
                scene = Scene(archive, clock, "later", at=9 * 3600)
                scene.turn(text("An invoice is a bill."), said=("What is it?",))
                scene.close()
            await press(pilot, "ctrl+r")
            assert "later" in results(pilot).found.answer.names.values()
            after = results(pilot).chosen()
            assert before is not None and after is not None and after.record == before.record


async def test_the_query_can_be_changed(home: Path) -> None:
    async with deck(home) as pilot:
        await sought(pilot, "invo")
        assert results(pilot).found.answer.text == "invo*"
        await press(pilot, "enter", "slash", *"ice")
        assert results(pilot).found.answer.text == "invoice"
        await press(pilot, "down", "enter", "y")
        hit = results(pilot).chosen()
        assert hit is not None and pilot.app.clipboard == hit.record.hex()


@pytest.mark.parametrize(("asked", "said"), [("tool:", "tool: has no value"), (")", "a ) stands where none")])
async def test_a_wrong_query_is_said_beside_it(home: Path, asked: str, said: str) -> None:
    async with deck(home, size=LARGE) as pilot:
        await sought(pilot, asked)
        assert said in shown(pilot)
        assert "migr*" in shown(pilot)  # what may be asked


async def test_nothing_found_and_values_that_nothing_has_are_said(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await sought(pilot, "vat tool:Nosuch")
        assert "nothing found for vat tool:Nosuch" in shown(pilot)
        assert "nothing that was recorded has tool:Nosuch" in shown(pilot)
        await press(pilot, "enter", "enter", "y")
        assert isinstance(pilot.app.screen, Results)


async def test_an_index_that_can_not_be_used_is_said(home: Path) -> None:
    index_path().parent.write_text("not a directory")
    async with deck(home, FIX, size=LARGE) as pilot:
        await press(pilot, "slash", *"vat")
        assert "the search index" in shown(pilot)
        await press(pilot, "escape")
        await sought(pilot, "vat")
        assert "can not be used" in shown(pilot)


async def test_captured_text_stays_text(home: Path) -> None:
    async with deck(home, size=SMALL) as pilot:
        await sought(pilot, "markup")
        assert results(pilot).found.answer.hits
        assert "[red]" in shown(pilot)
        assert not any(char in shown(pilot) for char in "\x1b\x07\u202e\x9b")


async def test_a_session_of_a_damaged_body_is_found_by_the_rest_of_it(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await sought(pilot, f"session:{shelf.DAMAGED} notes")
        assert results(pilot).found.answer.hits
        await sought(pilot, f"session:{AGAIN} notes")
        assert not results(pilot).found.answer.hits
