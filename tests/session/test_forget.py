"""What forgetting takes with it: all that says the same, and as little else as a body allows."""

from __future__ import annotations

import base64
import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_tape import KEY, OTHER
from contract.archive_suite import is_sound
from session.test_view import Tape, message
from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.memory_archive import MemoryArchive
from tapes.errors import NotFound, UsageError
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.record.kinds import body_refs
from tapes.session.forget import Plan, forget_session, forget_steps
from tapes.session.probes import Probes, Scanner, probes_of
from tapes.session.rows import summary_of
from tapes.session.view import Step, steps
from tapes.wire.agents import by_name
from tapes.wire.command import CommandEnded, CommandOutput, CommandStarted
from tapes.wire.exchange import Moment
from tapes.wire.redact import Redactor
from tapes.wire.terminal import TerminalClosed, TerminalOpened, TerminalOutput


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(identifier: str, **given_: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identifier, "name": "Write", "input": given_}


def result(identifier: str, said: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identifier, "content": said}


def conversation(tape: Tape, *turns: tuple[list[Any], list[Any]]) -> None:
    """Calls that each repeat all before them, as agents do."""
    history: list[Any] = []
    for asked, answered in turns:
        history.append(user(*asked))
        tape.call(history, message(*answered))
        history.append({"role": "assistant", "content": answered})
    tape.steps()


def carry_out(archive: MemoryArchive, plan: Plan) -> None:
    drafts = [w.draft(who="me", reason="test", what=plan.what, tapes="0") for w in plan.withholdings if w]
    archive.commit(Batch(list(drafts)))
    archive.destroy()
    for session in archive.sessions():
        archive.commit(Batch(summaries={session: summary_of(archive, session).to_bytes()}))
    assert is_sound(archive)


def held(archive: MemoryArchive) -> bytes:
    objects = [data for _, data in archive._objects.values()]
    return b"\0".join([*archive._records, *objects, *archive._tails.values(), *archive._summaries.values()])


def told(archive: Archive, session: Digest) -> dict[int, tuple[str, str]]:
    return {step.number: (step.type, step.text) for step in steps(archive, session)}


SECRET = "the harbour master keeps the spare key under the third lobster pot"


def three_turns() -> Tape:
    tape = Tape()
    conversation(
        tape,
        ([text("Where does one begin?")], [text("At the beginning, I should think.")]),
        ([text("Go on.")], [text(SECRET + ", it is said."), use("toolu_abcdef0001", path="/a", content=SECRET * 20)]),
        ([result("toolu_abcdef0001", "written")], [text("That is all there is to it.")]),
        ([text("Thank you for that.")], [text("You are welcome, any time.")]),
    )
    return tape


def test_an_answer_goes_wherever_the_history_repeats_it_and_what_was_before_stays() -> None:
    tape = three_turns()
    before = told(tape.archive, tape.session)
    number = next(n for n, (_, said) in before.items() if said.startswith(SECRET))
    plan = forget_steps(tape.archive, tape.session, number, number)
    assert SECRET.encode() in held(tape.archive)
    carry_out(tape.archive, plan)
    # The same words stand in the tool's input, which goes with it: they are what was asked to go.
    assert SECRET.encode() not in held(tape.archive)
    after = told(tape.archive, tape.session)
    assert after.keys() == before.keys()
    assert [after[n] == before[n] for n in range(1, number)] == [True] * (number - 1)
    assert after[number][0] == "withheld"
    assert after[len(after)] == ("answer", "You are welcome, any time.")


def test_a_prompt_of_two_words_goes_too() -> None:
    tape = three_turns()
    number = next(n for n, (_, said) in told(tape.archive, tape.session).items() if said == "Go on.")
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, number, number))
    assert b"Go on." not in held(tape.archive) and b"At the beginning" in held(tape.archive)


def test_a_tool_use_goes_with_its_record_and_its_id_finds_it_in_the_history() -> None:
    tape = Tape()
    conversation(
        tape,
        ([text("Look.")], [use("toolu_0123456789", command="ls")]),
        ([result("toolu_0123456789", "nothing")], [text("Nothing there.")]),
    )
    before = told(tape.archive, tape.session)
    number = next(n for n, (type_, _) in before.items() if type_ == "tool.use")
    plan = forget_steps(tape.archive, tape.session, number, number)
    assert sorted(loss.type for loss in plan.losses) == ["exchange.end", "exchange.open", "tool.use"]
    carry_out(tape.archive, plan)
    assert b'"ls"' not in held(tape.archive) and b"Nothing there." in held(tape.archive)
    after = told(tape.archive, tape.session)
    assert after.keys() == before.keys() and after[1] == before[1]


def test_a_result_that_was_cut_short_later_goes_too() -> None:
    tape, long = Tape(), "".join(f"line {n} of a long listing\n" for n in range(400))
    called = {"role": "assistant", "content": [use("toolu_1", a=1)]}
    first = [user(text("List it.")), called, user(result("toolu_1", long))]
    tape.call(first[:1], message(use("toolu_1", a=1)))
    tape.call(first, message(text("A long listing, that was.")))
    cut = [*first[:2], user(result("toolu_1", long[:700] + " [cut]"))]
    tape.call(
        [*cut, {"role": "assistant", "content": [text("ok")]}, user(text("And now?"))], message(text("Now rest."))
    )
    tape.steps()
    number = next(n for n, (type_, _) in told(tape.archive, tape.session).items() if type_ == "tool.result")
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, number, number))
    assert b"of a long listing" not in held(tape.archive) and b"List it." in held(tape.archive)


def test_a_picture_goes_from_every_request() -> None:
    tape, data = Tape(), base64.b64encode(random.Random(1).randbytes(3000)).decode()
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    other = base64.b64encode(random.Random(2).randbytes(900)).decode()
    second = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": other}}
    conversation(
        tape,
        ([text("First this."), second], [text("A small one.")]),
        ([text("Then this."), picture], [text("A large one.")]),
        ([text("Which was larger?")], [text("The second.")]),
    )
    number = next(n for n, (type_, said) in told(tape.archive, tape.session).items() if "3000 bytes" in said)
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, number, number))
    assert data[500:600].encode() not in held(tape.archive) and other[100:200].encode() in held(tape.archive)


def test_a_command_line_that_holds_the_prompt_goes_with_it_and_the_session_can_still_be_shown() -> None:
    tape = Tape()
    tape.session, _ = open_session(tape.archive, Facts("claude", [b"claude", b"-p", SECRET.encode()], b"/"), Redactor())
    conversation(tape, ([text(SECRET)], [text("I see.")]))
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, 1, 1))
    assert SECRET.encode() not in held(tape.archive)
    assert tape.archive.record(tape.session).type == "withheld"
    assert told(tape.archive, tape.session)[2] == ("answer", "I see.")
    assert summary_of(tape.archive, tape.session).exchanges == 1


def two_sessions() -> tuple[Tape, Digest]:
    tape = three_turns()
    other = Tape()
    other.archive = tape.archive
    other.session, _ = open_session(tape.archive, Facts("claude", [b"claude"], b"/"), Redactor())
    redactor = Redactor()
    other.writer = Writer(tape.archive, lambda who: Recording(Splitter(other.session, redactor), by_name("claude")))
    other.writer.start()
    conversation(
        other,
        ([text("Tell me about harbours in general.")], [text(SECRET + ", it is said.")]),
        ([text("And about lighthouses?")], [text("They are tall.")]),
    )
    return tape, other.session


@pytest.mark.parametrize("whole", [True, False])
def test_other_sessions_are_named_and_taken_only_when_asked(whole: bool) -> None:
    for everywhere in (False, True):
        tape, other = two_sessions()
        number = next(n for n, (_, said) in told(tape.archive, tape.session).items() if said.startswith(SECRET))
        before = told(tape.archive, other)
        if whole:
            plan = forget_session(tape.archive, tape.session, everywhere=everywhere)
        else:
            plan = forget_steps(tape.archive, tape.session, number, number, everywhere=everywhere)
        assert bool(plan.elsewhere) is not everywhere
        assert {loss.session for loss in plan.elsewhere} <= {other}
        carry_out(tape.archive, plan)
        after = told(tape.archive, other)
        assert after.keys() == before.keys() and (after == before) is not everywhere
        assert (SECRET.encode() in held(tape.archive)) is not everywhere
        if everywhere:
            assert after[1] == before[1] and after[4] == before[4] and after[2][0] == after[3][0] == "withheld"


def test_a_whole_session_leaves_only_that_it_was() -> None:
    tape = three_turns()
    plan = forget_session(tape.archive, tape.session)
    carry_out(tape.archive, plan)
    left = held(tape.archive)
    for said in (SECRET, "Go on.", "At the beginning", "claude-cli", "anthropic", "toolu_", "Write", "messages"):
        assert said.encode() not in left
    assert {type_ for type_, _ in told(tape.archive, tape.session).values()} == {"withheld"}
    assert not any(forget_session(tape.archive, tape.session).withholdings)


def test_a_damaged_session_can_be_forgotten_but_for_its_damaged_records() -> None:
    tape = three_turns()
    assert tape.archive.session_record(tape.session, 4)[1].type == "exchange.end"
    tape.archive._records[4] = tape.archive._records[4][:-1] + b"?"
    plan = forget_session(tape.archive, tape.session)
    tape.archive.commit(Batch([plan.withholdings[0].draft(who="", reason="", what=plan.what, tapes="0")]))
    tape.archive.destroy()
    types = [tape.archive.session_record(tape.session, seq)[1].type for seq in (0, 1, 2, 3, 5, 6)]
    assert types == ["withheld"] * 6
    assert b"At the beginning" not in held(tape.archive)  # what the damaged record alone refers to, nobody can tell


def test_after_some_steps_others_can_go_and_then_all() -> None:
    tape = three_turns()
    numbers = told(tape.archive, tape.session).keys()
    for first, last in ((4, 4), (2, 5), (1, 8)):
        carry_out(tape.archive, forget_steps(tape.archive, tape.session, first, last))
        assert told(tape.archive, tape.session).keys() == numbers
    assert not any(forget_steps(tape.archive, tape.session, 2, 5).withholdings)
    carry_out(tape.archive, forget_session(tape.archive, tape.session))
    assert b"anthropic" not in held(tape.archive)


def test_steps_that_are_not_there_or_say_nothing_are_refused() -> None:
    tape = three_turns()
    with pytest.raises(NotFound, match=r"no steps 90\.\.91"):
        forget_steps(tape.archive, tape.session, 90, 91)
    tape.archive.commit(Batch([Draft("gap", {"reason": "test", "exchanges": 0, "since_ns": 1}, tape.session)]))
    last = max(told(tape.archive, tape.session))
    with pytest.raises(UsageError, match="say nothing"):
        forget_steps(tape.archive, tape.session, last, last)


def filled(said: str, size: int) -> str:
    """Up to so many characters, with words that nothing else has."""
    words = random.Random(said)
    while len(said) < size:
        said += f" {words.getrandbits(40):x}"
    return said


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([18, 300, 3000]), st.sampled_from([18, 300, 3000])), min_size=2, max_size=5),
    st.data(),
)
def test_whatever_range_is_forgotten_no_word_of_it_is_left_and_all_before_it_is(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    tape = Tape()
    conversation(
        tape,
        *(
            ([text(filled(f'ask-{n}-"é"', asked))], [text(filled(f"answer-{n}-\n\t", answered))])
            for n, (asked, answered) in enumerate(sizes)
        ),
    )
    before = told(tape.archive, tape.session)
    first = data.draw(st.integers(1, len(before)))
    last = data.draw(st.integers(first, len(before)))
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, first, last))
    left = held(tape.archive)
    after = told(tape.archive, tape.session)
    assert after.keys() == before.keys()
    for number, (type_, said) in before.items():
        marker = said[: said.index("-", said.index("-") + 1)].encode() + b"-"
        if number < first:
            assert after[number] == (type_, said) and marker in left
        elif number <= last:
            assert marker not in left and after[number][0] == "withheld"
        elif type_ == "answer":
            assert after[number] == (type_, said)


# -- seeking


@pytest.mark.parametrize("again", [b'{"cmd": "ls"}', b'{"cmd":"ls"}', rb'"{\"cmd\":\"ls\"}"', rb'"{\"cmd\": \"ls\"}"'])
def test_an_input_is_found_however_the_agent_wrote_it_again(again: bytes) -> None:
    step = Step(1, "tool.use", Digest(bytes(32)), 0, None, "", 0, '{"cmd" : "ls"}', facts={"id": "1"})
    assert probes_of([step]).find(b'{"args":' + again + b"}") > 0
    assert probes_of([step]).find(again.replace(b"ls", b"cd")) == -1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=70, max_size=400), min_size=1, max_size=4), st.data())
def test_a_text_is_found_as_a_string_whatever_else_is_in_the_body(texts: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(texts))
    probes = Probes()
    probes.add_token(wanted)
    for plain in (True, False):
        body = json.dumps(texts, ensure_ascii=plain).encode("utf-8", "surrogatepass")
        if len(wanted.encode("utf-8", "surrogatepass")) >= 64:
            assert probes.find(body) > 0
            start = data.draw(st.integers(0, body.index(b'"')))
            assert probes.find(body[start:]) > 0


def test_what_a_body_has_in_common_with_an_earlier_one_is_not_read_again() -> None:
    tape = three_turns()
    chosen = [step for step in steps(tape.archive, tape.session) if step.text.startswith(SECRET)]
    scanner = Scanner(tape.archive, probes_of(chosen))
    found = [
        scanner.says(ref)
        for _, record in tape.archive.session_records(tape.session)
        for ref in body_refs(record.body)
        if record.type == "exchange.open"
    ]
    assert found == [False, False, True, True]


OUTPUT = b"the spare key is under the third lobster pot, said the harbour master\n" * 5
KEPT = b"ordinary output of another command, which nobody asked to forget\n" * 5


def ran(tape: Tape, key: str, line: bytes, output: bytes) -> Digest:
    """A witnessed command; its start."""
    splitter, now = Splitter(tape.session, Redactor()), Moment.now()
    splitter.take(CommandStarted(key, now, "supervisor", (b"bash", b"-c", line), b"/w"))
    splitter.take(TerminalOpened(now, 80, 24))
    splitter.take(TerminalOutput(now.mono_ns, b"\x1b[31m" + output[:20] + b"\x1b[0m"))
    splitter.take(CommandOutput(key, now.mono_ns, "o", output))
    splitter.take(CommandEnded(key, Moment.now(), 0, None, 5))
    splitter.take(TerminalClosed(now))
    batch, _ = splitter.take_batch()
    tape.archive.commit(batch)
    start = next(draft.hash for draft in batch.drafts if draft.type == "command.start")
    assert start is not None
    return start


@pytest.mark.parametrize("step", ["tool.use", "tool.result"])
def test_what_a_step_had_run_goes_with_it_wherever_its_output_stands(step: str) -> None:
    tape = Tape()
    conversation(
        tape,
        ([text("Where is the key?")], [use("toolu_abcdef0001", command="grep -r key /harbour/log")]),
        ([result("toolu_abcdef0001", "see the log")], [text("It is in the log.")]),
        ([text("It says: " + OUTPUT.decode())], [text("So it does.")]),
    )
    secret = ran(tape, KEY, b"grep -r key /harbour/log", OUTPUT)
    records = list(tape.archive.session_records(tape.session))
    call = next(digest for digest, record in records if record.type == "tool.use")
    body = {"tool": "toolu_abcdef0001", "method": "env", "exact": True, "reader": "join", "version": 1}
    tape.archive.commit(Batch([Draft("join", body, tape.session, (call, secret))]))
    time.sleep(0.01)
    kept = ran(tape, OTHER, b"ls", KEPT)
    number = next(n for n, (type_, _) in told(tape.archive, tape.session).items() if type_ == step)
    plan = forget_steps(tape.archive, tape.session, number, number)
    assert OUTPUT in held(tape.archive)
    carry_out(tape.archive, plan)
    left = held(tape.archive)
    assert b"lobster" not in left
    assert OUTPUT[:20] not in left
    assert KEPT in left
    assert tape.archive.record(secret).type == "withheld"
    assert tape.archive.record(kept).body["argv"] == [b"bash", b"-c", b"ls"]
