"""How a session begins: what its first record says of where it runs."""

from __future__ import annotations

from tapes.archive.summary import Summary
from tapes.intake.opening import Facts, opening
from tapes.record import canon
from tapes.wire.redact import Redactor


def test_the_surroundings_are_kept_redacted_and_take_nothing_elses_place() -> None:
    facts = Facts(
        "claude",
        [b"claude"],
        b"/w",
        environ={b"AWS_PROFILE": b"prod-west-2", b"PRIVATE": b"word"},
        surroundings={"git": {"dirty": 2, "changed": ["a", "sesame-open-9"]}, "os": "An OS", "agent": "another"},
    )
    body = opening(facts, Redactor([("env:PASS", b"sesame-open-9")])).body
    assert body["git"] == {"dirty": 2, "changed": ["a", "[REDACTED:env:PASS]"]}
    assert (body["os"], body["agent"]) == ("An OS", "claude")
    assert body["environment"] == [[b"AWS_PROFILE", b"prod-west-2"]]
    assert body["variables"] == [b"PRIVATE"]
    assert body["redactions"] == [["git:changed", 0, 19, "env:PASS"]]


def test_a_row_of_before_there_were_commands_still_counts() -> None:
    row = Summary(agent="claude", exchanges=3)
    row.fold("command.start", {}, 1)
    row.fold("command.end", {"status": 1, "signal": None}, 2)
    row.fold("command.end", {"status": 0, "signal": None}, 2)
    row.fold("command.lost", {"reason": ""}, 3)
    assert (row.commands, row.commands_failed, row.commands_lost) == (1, 1, 1)
    assert Summary.from_bytes(row.to_bytes()) == row
    stored = dict(canon.decode(row.to_bytes()))  # type: ignore[call-overload]
    for name in ("commands", "commands_failed", "commands_lost"):
        del stored[name]
    old = Summary.from_bytes(canon.encode(stored))
    assert old is not None and (old.exchanges, old.commands) == (3, 0)
    del stored["exchanges"]
    assert Summary.from_bytes(canon.encode(stored)) is None
