"""A session as Markdown, as JSON, as a script: all that was said is in it, and the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import schema
from export.test_events import session as terminal_session
from session.test_view import FIRST, Tape, message, told
from tapes.export.document import as_json, markdown, shell
from tapes.export.events import events
from tapes.session.transcript import moment
from tapes.session.view import view
from tapes_cli.output import iso
from witnessed import Session

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/export.schema.json").read_text())


def documents(tape: Tape | Session, step: int | None = None) -> tuple[str, str, str]:
    found = view(tape.archive, tape.session)
    at = moment(found, list(found.steps), step)
    trouble: list[str] = []
    made = (
        "\n".join(markdown(tape.archive, found, at, "name", trouble)),
        "".join(as_json(tape.archive, found, at, "name", trouble)),
        "\n".join(shell(tape.archive, found, at, "name")),
    )
    assert trouble == []
    return made


def test_all_that_was_said_is_there_and_every_time_the_same() -> None:
    tape = told()
    tape.steps()
    made = documents(tape)
    for words in ("List the files.", "Easy.", "a.py", "Two files.", "toolu_1"):
        assert all(words in text for text in made[:2])
    assert documents(tape) == made


def test_json_has_steps_and_conversations() -> None:
    tape = told()
    tape.steps()
    value = json.loads(documents(tape)[1])
    assert value["format"] == "tapes session 1" and value["steps"][0]["step"] == 1
    (thread,) = value["threads"]
    assert [one["role"] for one in thread["conversation"]["messages"]] == ["user", "assistant", "user", "assistant"]


def test_a_document_may_end_at_a_step() -> None:
    tape = told()
    tape.steps()
    for text in documents(tape, 4)[:2]:
        assert "List the files." in text and "Two files." not in text


def test_commands_are_in_all_three_and_say_how_they_ended() -> None:
    session = Session()
    use = session.ask("make test")
    start = session.start("make test")
    session.join(use, start)
    session.end(start, status=2)
    session.tell((use, "[exit 2]"))
    session.close()
    text, value, script = documents(session)
    assert "**failed**" in text and "exit 2" in text and "make test" in text
    assert any(step["type"] == "command" and step["exit"] == 2 for step in json.loads(value)["steps"])
    assert "# not to be run: it failed" in script and "'make test'" in script


def test_the_log_as_events_fits_its_schema() -> None:
    made = terminal_session()
    tape = told()
    tape.steps()
    rows = [*events(made.archive, made.session), *events(tape.archive, tape.session)]
    assert len({row["event"] for row in rows}) > 10
    for row in rows:
        assert list(schema.faults(json.loads(json.dumps(row | {"time": iso(row["time"])})), SCHEMA)) == []


def test_the_schema_refuses_what_is_no_event() -> None:
    made = terminal_session()
    row = next(iter(events(made.archive, made.session)))
    row |= {"time": iso(row["time"])}
    for wrong in ({"event": "else"}, {"hash": "abc"}, {"time": "today"}, {"argv": "x"}):
        assert list(schema.faults(row | wrong, SCHEMA)) != []


def test_where_nothing_was_witnessed_the_script_goes_by_what_the_model_was_told() -> None:
    tape = Tape()
    commands = ("true", "false", "rm x", "sleep 9")
    uses = [
        {"type": "tool_use", "id": f"t{n}", "name": "Bash", "input": {"command": line}}
        for n, line in enumerate(commands)
    ]
    told = [("done", False), ("Exit code 1", True), ("The user doesn't want to proceed with this tool use.", True)]
    results = [
        {"type": "tool_result", "tool_use_id": f"t{n}", "content": text, "is_error": failed}
        for n, (text, failed) in enumerate(told)
    ]
    tape.call(FIRST, message(*uses))
    history = [*FIRST, {"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    tape.call(history, message({"type": "text", "text": "."}))
    tape.steps()
    script = documents(tape)[2]
    live = [line for line in script.split("\n") if line.startswith("(cd")]
    assert len(live) == 1 and "'true'" in live[0]
    assert "Nothing witnessed" in script and "told as exit 1" in script and "told nothing" in script
