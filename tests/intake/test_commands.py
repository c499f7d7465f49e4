"""Commands into records: what was seen is kept, in order and clean, and what was not seen is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_tape import KEY, OTHER, SECOND, CommandTape, at, ended, said, started
from tapes.archive.verify import verify
from tapes.intake.command import ENDS_BYTES, MOST_STORED, OUTPUT_BYTES
from tapes.record.kinds import BodyRef
from tapes.wire.command import (
    CommandClosed,
    CommandExec,
    CommandHappening,
    CommandLost,
    CommandRefined,
    CommandsMissed,
    Decided,
    Stream,
)
from tapes.wire.redact import Redactor

SECRET = b"ghp_" + b"a1B2" * 9


def test_a_command_is_a_start_its_output_and_an_end() -> None:
    tape = CommandTape(user="ann")
    tape.play(
        started(environ={b"CLAUDECODE": b"1", b"PATH": b"/bin", b"UNKNOWN": b"word"}, ppid=3, pgid=7),
        said(b"one\n", 0.1),
        said(b"bad\n", 0.2, "e"),
        ended(0.5, 3, utime_us=9, stime_us=8, maxrss_kib=7),
    )
    assert [record.type for record in tape.records()] == ["command.start", "command.output", "command.end"]
    start, output, end = tape.records()
    assert (start.wall_ns, start.body["id"].hex(), start.body["shell"]) == (at(0).wall_ns, KEY, "bash")
    assert start.body["participant"] == {"kind": "agent", "name": "claude", "user": "ann"}
    assert start.body["environment"] == [[b"CLAUDECODE", b"1"], [b"PATH", b"/bin"]]
    assert start.body["variables"] == [b"UNKNOWN"]
    assert output.body["pieces"] == [[0, "o", 4], [100_000, "e", 4]]
    assert tape.output() == b"one\nbad\n"
    assert (output.parents, end.parents) == (end.parents, output.parents)
    assert end.body["bytes"] == {"o": 4, "e": 4}
    assert (end.body["status"], end.body["signal"], end.body["head"], end.body["tail"]) == (3, None, b"one\nbad\n", b"")
    assert verify(tape.archive).ok


def test_the_line_is_the_one_that_was_asked_for() -> None:
    tape = CommandTape()
    line = b"source /s && eval 'make all' \\< /dev/null && pwd -P >| /tmp/c"
    tape.play(started(argv=(b"/bin/bash", b"-c", line), environ={b"CLAUDECODE": b"1"}), ended())
    assert tape.one("command.start")["line"] == b"make all"
    assert tape.one("command.start")["argv"] == [b"/bin/bash", b"-c", line]


def test_output_is_written_by_the_second_and_by_size() -> None:
    tape = CommandTape()
    tape.play(started(), said(b"early ", 0.5))
    tape.wait(1.4)
    assert tape.output() == b""
    tape.wait(1.6)
    assert tape.output() == b"early "
    for n in range(200):
        tape.play(said(b"line of words\n" * 290, 2 + n / 100))
    sizes = [BodyRef.of(record.body["data"]).length for record in tape.records("command.output")]
    assert len(sizes) >= 3
    assert max(sizes) <= OUTPUT_BYTES
    assert [record.body["n"] for record in tape.records("command.output")] == list(range(len(sizes)))


def test_a_million_small_writes_are_few_pieces() -> None:
    tape = CommandTape()
    tape.splitter.take(started())
    for n in range(20_000):
        tape.splitter.take(said(b".", n / 1e6))
    tape.play(ended())
    assert tape.output() == b"." * 20_000
    assert sum(len(record.body["pieces"]) for record in tape.records("command.output")) < 20


def test_the_end_has_the_first_and_the_last_of_long_output() -> None:
    tape = CommandTape()
    data = b"".join(b"%07d\n" % n for n in range(10_000))
    tape.play(started(), *[said(data[n : n + 4000], n / 1e6) for n in range(0, len(data), 4000)], ended())
    assert tape.one("command.end")["head"] == data[:ENDS_BYTES]
    assert tape.one("command.end")["tail"] == data[-ENDS_BYTES:]
    assert tape.output() == data


def test_secrets_are_in_no_part_of_it() -> None:
    tape = CommandTape(Redactor([("env:PASS", b"swordfish-2026")]))
    tape.play(
        started(
            argv=(b"sh", b"-c", b"login swordfish-2026"),
            cwd=b"/w/swordfish-2026",
            environ={b"AWS_PROFILE": SECRET, b"OWN_TOKEN": b"learned-here-1"},
        ),
        CommandExec(KEY, 5, 8, 7, (b"login", b"swordfish-2026"), b"/"),
        said(b"a \x1b[31m" + SECRET[:9], 0.1),
        said(b"oops\n", 0.2, "e"),
        said(b"\x1b[0m" + SECRET[9:] + b" swordfish\n-2026 learned-here-1\n", 0.3),
        CommandLost(KEY, at(1), "swordfish-2026"),
    )
    stored = b"".join(tape.archive.record_raw(digest) for digest, _ in tape.archive.session_records(tape.session))
    for secret in (b"swordfish", SECRET[9:], SECRET[:9], b"learned-here"):
        assert secret not in stored + tape.output()
    assert b"oops\n" in tape.output()
    (output,) = tape.records("command.output")
    data = tape.output()
    for _, offset, length, rule in output.body["redactions"]:
        assert data[offset : offset + length] == b"[REDACTED:%s]" % rule.encode()
    assert len(output.body["redactions"]) == 3
    assert sum(length for _, _, length in output.body["pieces"]) == len(data)


REPLAY = (b"/bin/bash", b"-c", b"export A=1\n" * 1000)


def test_a_short_command_that_goes_on_as_another_is_what_was_asked_for() -> None:
    tape = CommandTape()
    tape.play(started(), CommandRefined(KEY, at(0.01), (b"bash", b"-c", b"ls")), ended())
    assert tape.one("command.start")["line"] == b"make all"
    assert "line" not in tape.one("command.end")


def test_another_command_line_at_once_replaces_the_first() -> None:
    tape = CommandTape()
    tape.play(started(argv=REPLAY), CommandRefined(KEY, at(0.01), (b"bash", b"-c", b"ls")), ended())
    assert tape.one("command.start")["line"] == b"ls"
    assert "line" not in tape.one("command.end")


def test_another_command_line_later_stands_in_the_end() -> None:
    tape = CommandTape()
    tape.play(started(argv=REPLAY))
    tape.wait(0.2)
    tape.play(CommandRefined(KEY, at(0.3), (b"bash", b"-c", b"ls")), ended())
    assert tape.one("command.start")["line"] == REPLAY[2]
    assert (tape.one("command.end")["line"], tape.one("command.end")["argv"]) == (b"ls", [b"bash", b"-c", b"ls"])


def test_output_behind_the_end_is_marked_and_kept() -> None:
    tape = CommandTape()
    tape.play(started(), ended(open=True), said(b"late\n", 2), CommandClosed(KEY, at(3), dropped=5))
    assert tape.one("command.output").get("after") is True
    assert tape.one("command.end")["open"] is True
    assert tape.one("gap")["bytes"] == 5
    tape.stop()
    assert not tape.records("command.lost")


def test_output_may_come_after_an_end_that_said_nothing_of_it() -> None:
    tape = CommandTape()
    tape.play(started(), ended(), said(b"late\n", 2))
    tape.wait(4)
    assert tape.output() == b"late\n"


def test_what_has_no_start_gets_one_and_a_gap() -> None:
    tape = CommandTape()
    tape.play(said(b"who am I\n", 1), ended(2))
    assert [record.type for record in tape.records()] == ["gap", "command.start", "command.output", "command.end"]
    assert tape.one("gap")["commands"] == 1
    assert (tape.one("command.start")["argv"], tape.one("command.start")["id"].hex()) == ([], KEY)


def test_a_second_start_and_a_second_end_are_counted() -> None:
    tape = CommandTape()
    tape.play(started(), started(), ended(1, 1), ended(2, 2))
    assert [record.body["frames"] for record in tape.records("gap")] == [1, 1]
    assert tape.one("command.end")["status"] == 1


def test_what_has_no_end_is_lost_when_the_run_ends() -> None:
    tape = CommandTape()
    tape.play(started(), said(b"words\n", 1))
    tape.stop()
    assert tape.output() == b"words\n"
    assert "the run ended" in tape.one("command.lost")["reason"]
    assert not tape.splitter.busy


def test_reports_that_did_not_come_are_a_gap() -> None:
    tape = CommandTape()
    tape.play(CommandsMissed(at(1), "the pipe was full", frames=3, bytes=90))
    tape.wait(2)
    assert tape.one("gap") == {"reason": "the pipe was full", "frames": 3, "bytes": 90}


def test_a_decision_is_a_note() -> None:
    tape = CommandTape()
    tape.play(Decided(at(1), "toolu_1", "Bash", "denied", "user", "default"))
    note = tape.one("note")
    assert (note["kind"], note["id"], note["decision"], note["by"]) == ("decision", "toolu_1", "denied", "user")


def test_an_agent_within_an_agents_command_has_its_own_name_and_says_whose_it_is() -> None:
    tape = CommandTape()
    inherited = {b"CLAUDECODE": b"1"}
    tape.play(
        started(environ=inherited),
        started(OTHER, 1, inherited | {b"CODEX_THREAD_ID": b"t", b"CODEX_TOOL_CALL_ID": b"call_9"}, within=KEY),
        ended(2, key=OTHER),
        ended(3),
    )
    outer, inner = tape.records("command.start")
    assert inner.body["participant"] == {"kind": "agent", "name": "codex", "parent": {"name": "claude"}}
    assert inner.body["marks"] == {"env": "call_9"}
    assert inner.parents == tape.records("command.end")[1].parents
    assert outer.parents == ()


def test_a_person_at_a_prompt_is_a_person_and_their_agent_is_an_agent() -> None:
    tape = CommandTape(agent="generic", person="ann", user="ann")
    tape.play(started(level="prompt"), started(OTHER, 1, {b"CLAUDECODE": b"1"}))
    tape.wait(2)
    first, second = tape.records("command.start")
    assert first.body["participant"] == {"kind": "human", "name": "ann", "user": "ann"}
    assert first.body["line"] == b"make all"
    assert second.body["participant"]["name"] == "claude"


def test_the_context_is_kept_with_the_command() -> None:
    tape = CommandTape(context_of=lambda environ, cwd: {"kube": environ[b"KUBECONFIG"].decode()})
    tape.play(started(environ={b"KUBECONFIG": b"prod-west-2"}), ended())
    assert tape.one("command.start")["context"] == {"kube": "prod-west-2"}


def test_a_successor_goes_on_with_what_was_left_open() -> None:
    tape = CommandTape()
    tape.play(started(), said(b"one\n", 0.5), started(OTHER, 0.6))
    tape.wait(2)
    tape.adopted()
    tape.play(said(b"two\n", 3), ended(4))
    tape.stop()
    assert tape.one("command.end")["head"] == b"one\ntwo\n"
    assert [record.body["n"] for record in tape.records("command.output")] == [0, 1]
    lost = tape.records("command.lost")
    assert [tape.archive.record(record.parents[0]).body["id"].hex() for record in lost] == [OTHER]
    assert len(tape.records("command.start")) == 2
    assert verify(tape.archive).ok


def test_more_output_than_a_command_may_store_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapes.intake.command.MOST_STORED", 10_000)
    tape = CommandTape()
    tape.play(started(), *[said(b"x" * 3000 + b"\n", n) for n in range(5)], ended(9, dropped=7))
    assert tape.one("command.end")["dropped"] == 2 * 3001 + 7
    assert tape.one("command.end")["bytes"] == {"o": 3 * 3001}
    assert MOST_STORED == 256 * 1024 * 1024


def test_thousands_of_open_commands_cost_little_and_are_all_ended() -> None:
    tape = CommandTape()
    keys = [f"{n:032x}" for n in range(3000)]
    for n, key in enumerate(keys):
        tape.splitter.take(started(key, n / 1000))
    tape.wait(10)
    assert not tape.splitter.live
    for key in keys:
        tape.splitter.take(ended(11, key=key))
    tape.commit()
    assert len(tape.records("command.end")) == 3000


def in_pieces(stream: Stream, key: str) -> list[CommandHappening]:
    """A secret as one command says it, torn in the middle."""
    return [said(data, 3, stream, key) for data in (b" ", SECRET[:20], b"\x1b[1m", SECRET[20:], b" ")]


happenings = st.lists(
    st.one_of(
        st.builds(started, st.sampled_from([KEY, OTHER])),
        st.builds(
            said,
            st.sampled_from([b"word ", b"\n", b"\x1b[1m", b"x\x08"]),
            st.integers(0, 9),
            st.sampled_from(["o", "e", "m"]),
            st.sampled_from([KEY, OTHER]),
        ),
        st.builds(in_pieces, st.sampled_from(["o", "e", "m"]), st.sampled_from([KEY, OTHER])),
        st.builds(ended, st.integers(0, 9), st.sampled_from([0, 1]), st.sampled_from([KEY, OTHER]), open=st.booleans()),
        st.builds(CommandClosed, st.sampled_from([KEY, OTHER]), st.just(at(5)), st.integers(0, 3)),
        st.builds(CommandLost, st.sampled_from([KEY, OTHER]), st.just(at(5)), st.just("gone")),
        st.builds(CommandRefined, st.sampled_from([KEY, OTHER]), st.just(at(5)), st.just((b"ls",))),
        st.builds(lambda key: CommandExec(key, SECOND, 5, 4, (b"ls",), b"/"), st.sampled_from([KEY, OTHER])),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(happenings)
def test_whatever_comes_in_whatever_order_every_record_is_sound(
    told: list[CommandHappening | list[CommandHappening]],
) -> None:
    tape = CommandTape()
    for one in told:
        tape.play(*(one if isinstance(one, list) else [one]))
    tape.stop()
    report = verify(tape.archive)
    assert report.ok, report.findings
    starts = tape.records("command.start")
    ends = [record for record in tape.records() if record.type in ("command.end", "command.lost")]
    assert len(ends) == len(starts)
    for record in tape.records("command.output"):
        ref = BodyRef.of(record.body["data"])
        assert sum(length for _, _, length in record.body["pieces"]) == ref.length
    assert SECRET not in tape.output().replace(b"\x1b[1m", b"").replace(b"x\x08", b"")


@pytest.mark.parametrize(("closed", "gaps"), [(True, 0), (False, 1)])
def test_output_whose_reports_never_came_is_a_gap(closed: bool, gaps: int) -> None:
    tape = CommandTape()
    tape.play(started(), said(b"much\n"), ended(open=True, overtaken=True))
    if closed:
        tape.play(said(b"more\n", 2), CommandClosed(KEY, at(3)))
    tape.stop()
    assert len(tape.records("gap")) == gaps
    assert tape.one("command.end")["open"] is True


def test_a_flood_of_missing_reports_is_one_gap_for_each_reason() -> None:
    tape = CommandTape()
    tape.play(*[CommandsMissed(at(0.001 * n), f"reason {n % 2}", frames=1, bytes=2) for n in range(500)])
    tape.stop()
    gaps = [record.body for record in tape.records("gap")]
    assert sorted((gap["reason"], gap["frames"], gap["bytes"]) for gap in gaps) == [
        ("reason 0", 250, 500),
        ("reason 1", 250, 500),
    ]
