"""docs/deck.md tells every key, in the words of the deck itself."""

from __future__ import annotations

import os
from pathlib import Path

from deck.pictures import REWRITE
from tapes_cli.deck.actions import ACTIONS, PLACES, actions, keys_of

PAGE = Path(__file__).parents[2] / "docs" / "deck.md"
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->"


def tables() -> str:
    parts = []
    for place, title in PLACES.items():
        rows = "".join(
            f"| {' '.join(f'`{key}`' for key in keys_of(action).split())} | {action.says} | {action.help} |\n"
            for action in actions(place)
        )
        parts.append(f"### {title}\n\n| key | | |\n|---|---|---|\n{rows}\n")
    return "\n" + "".join(parts)


def test_the_page_has_every_key() -> None:
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    if os.environ.get(REWRITE):
        PAGE.write_text(before + BEGIN + tables() + END + rest.partition(END)[2], "utf-8")
        return
    assert rest.partition(END)[0] == tables(), f"made anew with {REWRITE}=1"


def test_no_key_means_two_things_in_one_place() -> None:
    for place in PLACES:
        keys = [key for action in actions(place) for key in action.keys]
        assert len(keys) == len(set(keys)), place


def test_every_action_is_of_a_place_and_says_what_it_does() -> None:
    for action in ACTIONS:
        assert action.on in PLACES
        assert action.says and action.help.endswith(".")
