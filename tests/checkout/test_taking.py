"""A moment as files: exact where it was sent, said where it is not known, harmless whatever was captured."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from session.test_forget import carry_out
from session.test_view import FIRST, SECOND, Tape, message, told
from tapes.checkout.folder import Folder
from tapes.checkout.replay import replayed
from tapes.checkout.state import todo
from tapes.checkout.taking import Report, take
from tapes.errors import Withheld
from tapes.export.quoting import code, fenced, shell_word
from tapes.record.digest import Digest
from tapes.session.forget import forget_steps
from tapes.session.transcript import moment
from tapes.session.view import Step, view
from witnessed import Session

EVIL = "```\n# a heading\n'; rm -rf /\x1b]0;owned\x07\r\nEOF\n\u202e`x`\n"


def out(tape: Tape | Session, folder: Path, step: int | None = None, **options: bool) -> Report:
    found = view(tape.archive, tape.session)
    with Folder(folder) as made:
        report = take(tape.archive, found, moment(found, list(found.steps), step), made, **options)
        made.commit()
    return report


def test_all_files_are_there_and_the_request_is_the_bytes_that_were_sent(tmp_path: Path) -> None:
    tape = told()
    tape.steps()
    report = out(tape, tmp_path / "o", 5)
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "transcript.md",
        "messages.json",
        "request.json",
        "commands.sh",
        "files",
        "MANIFEST.json",
        "state.json",
        "REFS",
    }
    assert (tmp_path / "o/request.json").read_bytes() == json.dumps({"model": "m-1", "messages": SECOND}).encode()
    assert (report.request, report.lost, report.step) == ("sent", [], 5)
    said = json.loads((tmp_path / "o/messages.json").read_bytes())
    assert [one["role"] for one in said["messages"]] == ["user", "assistant", "user"]
    assert said["messages"][1]["blocks"][0]["name"] == "Bash"
    state = json.loads((tmp_path / "o/state.json").read_bytes())
    assert (state["step"], state["steps_after"], state["open_calls"]) == (5, 1, [])
    assert f"session {tape.session.hex()}" in (tmp_path / "o/REFS").read_text().splitlines()
    transcript = (tmp_path / "o/transcript.md").read_text()
    assert "List the files." in transcript and "Two files." not in transcript


def test_a_session_without_a_call_is_taken_out_all_the_same(tmp_path: Path) -> None:
    tape = Tape()
    tape.steps()
    report = out(tape, tmp_path / "o")
    assert (report.request, report.lost) == ("", [])
    assert not (tmp_path / "o/request.json").exists()


def test_what_is_withheld_is_an_error_and_nothing_is_written_unless_what_is_left_will_do(tmp_path: Path) -> None:
    tape = told()
    tape.steps()
    carry_out(tape.archive, forget_steps(tape.archive, tape.session, 2, 2))
    with pytest.raises(Withheld, match="withheld by"):
        out(tape, tmp_path / "o", 5)
    assert list(tmp_path.iterdir()) == []
    report = out(tape, tmp_path / "o", 5, partial=True)
    assert len(report.lost) == 1 and not report.damaged
    assert not (tmp_path / "o/request.json").exists()
    assert "withheld by" in (tmp_path / "o/transcript.md").read_text()


def run_script(path: Path, *lines: str) -> str:
    """What it writes when the line that keeps it from running is taken out."""
    text = path.read_bytes().split(b"\n")
    guard = next(n for n, line in enumerate(text) if line.startswith(b"echo "))
    here = [line.replace(b"cd -- '/home/alice/project'", b"cd -- '/'") for line in text[:guard] + text[guard + 1 :]]
    path.with_name("run.sh").write_bytes(b"\n".join(here))
    done = subprocess.run(["bash", str(path.with_name("run.sh"))], capture_output=True, timeout=20, check=False)
    return (done.stdout + done.stderr).decode()


def test_commands_are_a_script_that_does_not_run_by_accident_and_can_be_run_on_purpose(tmp_path: Path) -> None:
    session = Session()
    lines = ["echo one; echo 'it'\\''s'", "cat <<EOF\nunfinished\n", "echo \x1b[31mred\ttab", "printf 'a\\nb'\n# end"]
    uses = session.ask_all(*({"command": line} for line in [*lines, "false\necho not reached"]))
    starts = [session.start(line) for line in [*lines, "false\necho not reached"]]
    for n, start in enumerate(starts):
        session.end(start, status=int(n == len(lines)))
        session.join(uses[n], start)
    session.close()
    out(session, tmp_path / "o")
    script = tmp_path / "o/commands.sh"
    assert script.stat().st_mode & 0o777 == 0o644
    done = subprocess.run(["bash", str(script)], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    text = script.read_bytes()
    assert not set(text) & set(range(0x20)) - {0x0A} and b"\x7f" not in text
    said = run_script(script)
    assert "one\nit's\n" in said and "unfinished" in said and "\x1b[31mred" in said and "a\nb" in said
    assert "not reached" not in said


def test_captured_text_can_not_end_its_quotation(tmp_path: Path) -> None:
    tape = Tape()
    tape.call([{"role": "user", "content": EVIL}], message({"type": "text", "text": EVIL + "``````"}))
    tape.steps()
    out(tape, tmp_path / "o")
    for name in ("transcript.md", "commands.sh", "messages.json", "state.json", "REFS", "MANIFEST.json"):
        text = (tmp_path / "o" / name).read_bytes().decode()
        assert not {c for c in text if not c.isprintable() and c != "\n"}, name
    inside, headings = "", []
    for line in (tmp_path / "o/transcript.md").read_text().split("\n"):
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if inside:
            inside = "" if line == inside else inside
        elif len(ticks) >= 3:
            inside = ticks
        elif line.startswith("#"):
            headings.append(line)
    assert inside == ""
    assert not any("a heading" in line for line in headings)


@pytest.mark.parametrize("text", [EVIL, "", "plain", "a'b", "\\", "é漢\n\n", "\x01\x7f\t", '$(x) `y` "z" !'])
def test_a_word_of_the_script_is_exactly_the_text(text: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf %s {shell_word(text.encode())}"], capture_output=True, timeout=10, check=True
    )
    assert done.stdout == text.encode()
    assert "\n" not in code(text)
    body = list(fenced(text))
    assert all(not line.startswith(body[0].removesuffix("text")) for line in body[1:-1])


def test_bytes_that_are_no_text_are_a_word_too() -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf %s {shell_word(bytes(range(1, 256)))}"], capture_output=True, timeout=10, check=True
    )
    assert done.stdout == bytes(range(1, 256))


# -- files, replayed


def step(number: int, kind: str, text: str = "", **facts: Any) -> Step:
    failed = bool(facts.pop("failed", False))
    return Step(number, kind, Digest(bytes(32)), 0, None, "", 0, text, failed, facts)


def calls(*told: tuple[str, Any, str] | tuple[str, Any, str, bool]) -> list[Step]:
    steps: list[Step] = []
    for n, (name, arguments, result, *failed) in enumerate(told):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        steps.append(step(2 * n + 1, "tool.use", text, name=name, id=str(n)))
        steps.append(step(2 * n + 2, "tool.result", result, name=name, id=str(n), failed=any(failed)))
    return steps


def files(*told: Any) -> dict[str, tuple[str, bytes | None]]:
    found = replayed(calls(*told), "/w").files
    return {file.path.decode(): (file.known, file.read() if file.read else None) for file in found}


def test_what_was_written_is_known_and_what_was_only_seen_is_partial() -> None:
    found = files(
        ("Write", {"file_path": "/w/a", "content": "one\ntwo\n"}, "ok"),
        ("Edit", {"file_path": "/w/a", "old_string": "two", "new_string": "2"}, "ok"),
        ("Edit", {"file_path": "/w/a", "old_string": "one", "new_string": "1"}, "no such", True),
        ("Read", {"file_path": "/w/b"}, "     1\tx\n     2\ty\n     3\t"),
        ("Edit", {"file_path": "/w/c", "old_string": "x", "new_string": "y"}, "ok"),
        ("Write", {"file_path": "d/e.txt", "content": "rel"}, "ok"),
    )
    assert found == {
        "a": ("known", b"one\n2\n"),
        "b": ("partial", b"x\ny\n"),
        "c": ("unknown", None),
        "d/e.txt": ("known", b"rel"),
    }


def test_patches_add_change_move_and_delete() -> None:
    add = "*** Begin Patch\n*** Add File: a.py\n+x = 1\n+y = 2\n*** Add File: b.py\n+gone\n*** End Patch"
    change = (
        "*** Begin Patch\n*** Update File: a.py\n*** Move to: c.py\n@@\n x = 1\n-y = 2\n+y = 3\n*** Delete File: b.py\n"
    )
    unknown = "*** Begin Patch\n*** Update File: z.py\n@@\n-a\n+b\n*** End Patch"
    program = f"const r = await tools.apply_patch({json.dumps(add.replace('a.py', 'js.py'))}); text(r);"
    found = files(
        ("apply_patch", add, "Success"),
        ("apply_patch", {"input": change + "*** End Patch"}, "Success"),
        ("apply_patch", unknown, "Success"),
        ("exec", program, "Success"),
    )
    assert found["c.py"] == ("known", b"x = 1\ny = 3\n")
    assert found["z.py"] == ("unknown", None)
    assert found["js.py"] == ("known", b"x = 1\ny = 2\n")
    assert "a.py" not in found


@pytest.mark.parametrize("path", ["../../etc/x", "/etc/x", "a/../../../etc/x", "/w/../etc/x", "//etc/x"])
def test_a_file_elsewhere_stands_in_a_folder_of_its_own(path: str) -> None:
    found = files(("Write", {"file_path": path, "content": "x"}, "ok"))
    assert list(found) == ["outside/etc/x"]


def test_a_path_of_an_agent_can_not_leave_the_directory(tmp_path: Path) -> None:
    tape = Tape()
    paths = ["../../../escape", "/" + "../" * 9 + "escape2", "nul\0", "d" * 300, ".", "/", "\udcff"]
    uses = [
        {"type": "tool_use", "id": f"t{n}", "name": "Write", "input": {"file_path": path, "content": "x"}}
        for n, path in enumerate(paths)
    ]
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "ok"} for n in range(len(paths))]
    tape.call(FIRST, message(*uses))
    tape.call(
        [*FIRST, {"role": "assistant", "content": uses}, {"role": "user", "content": results}],
        message({"type": "text", "text": "done"}),
    )
    tape.steps()
    (tmp_path / "a/b").mkdir(parents=True)
    out(tape, tmp_path / "a/b/o")
    made = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()]
    assert all(name.startswith("a/b/o/") for name in made)
    manifest = json.loads((tmp_path / "a/b/o/MANIFEST.json").read_text())
    rows = {row["path"]: row["state"] for row in manifest["trees"][0]["files"]}
    assert rows["escape"] == "known"
    assert "unknown" in rows.values()


# -- things to do


def test_a_list_is_the_last_one_given_or_made_item_by_item() -> None:
    whole = [
        step(1, "tool.use", json.dumps({"todos": [{"content": "a", "status": "pending"}]}), name="TodoWrite", id="1"),
        step(2, "tool.use", json.dumps({"todos": [{"content": "b", "status": "done"}]}), name="TodoWrite", id="2"),
    ]
    for one in whole:
        one.facts["action"] = "todo"  # type: ignore[index]
    assert todo(whole) == [{"text": "b", "status": "done"}]
    items = calls(
        ("TaskCreate", {"subject": "a"}, "Task #7 created"),
        ("TaskCreate", {"subject": "b"}, "Task #8 created"),
        ("TaskUpdate", {"taskId": "7", "status": "completed"}, "ok"),
    )
    for one in items:
        if one.type == "tool.use":
            one.facts["action"] = "todo"  # type: ignore[index]
    assert todo(items) == [{"text": "a", "status": "completed"}, {"text": "b", "status": "pending"}]


def test_the_same_moment_is_the_same_bytes(tmp_path: Path) -> None:
    tape = told()
    tape.steps()
    for name in ("a", "b"):
        out(tape, tmp_path / name, 4)
    for path in sorted((tmp_path / "a").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
