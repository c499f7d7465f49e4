"""What is imported when it is asked for must be there, and be what its name says."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import tapes
from tapes.wire import agents, dialects, shells
from tapes.wire.family import Family
from tapes.wire.shells.marked import MARKED


@pytest.mark.parametrize("family", [agents.AGENTS, dialects.DIALECTS, shells.ALL], ids=["agents", "dialects", "shells"])
def test_each_member_of_a_family_has_the_name_it_is_asked_for_by_and_is_made_once(family: Family[agents.Agent]) -> None:
    assert [member.name for member in family] == list(family.names)
    assert all(family[name] is family[name] for name in family.names)
    with pytest.raises(KeyError):
        family["nobody"]


def test_the_table_of_marks_has_all_shells_in_their_order_and_says_what_they_say() -> None:
    assert tuple(MARKED) == shells.ALL.names
    assert {each.name: (each.marks, each.scope) for each in shells.ALL} == dict(MARKED)


def test_every_pattern_that_is_compiled_when_first_used_can_be() -> None:
    found = 0
    for module in pkgutil.walk_packages(tapes.__path__, "tapes."):
        for value in vars(importlib.import_module(module.name)).values():
            if type(value).__name__ == "_Pattern":
                assert value.pattern
                found += 1
    assert found > 60


SHOWS = """
import dataclasses, sys, tapes_cli.main, tapes_cli.commands.show
print(*sys.modules)
print(*(name for name, module in sys.modules.items() if vars(module).get("dataclass") is dataclasses.dataclass))
"""
NOT_TO_START = (
    "tapes.wire.redact",
    "tapes.wire.dialects.anthropic",
    "tapes.wire.agents.claude",
    "tapes.wire.shells.claude",
    "tapes.session.audit",
    "tapes.archive.redaction",
    "hashlib",
    "urllib.parse",
    "difflib",
    "signal",
    "httpx",
    "mitmproxy",
    "rich",
    "textual",
    "sqlite3",
)
"""Each was a part of what one waited for before the first line of a session."""


def test_showing_a_session_does_not_wait_for_what_only_others_need() -> None:
    told = subprocess.run([sys.executable, "-c", SHOWS], check=True, capture_output=True, text=True).stdout.splitlines()
    assert "tapes.session.view" in told[0].split()
    assert not set(NOT_TO_START) & set(told[0].split())
    compiling = {name for name in told[1].split() if name.startswith("tapes")}
    assert not compiling, "take it from tapes.values, which makes a class in a twentieth of the time"
