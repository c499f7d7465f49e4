"""Files out of snapshots: the tree as it was, what is not in it said, and no row of a listing writes elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkout.test_taking import out
from snapped import Shot, file, unstored
from tapes.archive.memory_archive import MemoryArchive
from tapes.record.listing import Entry
from tapes.session.view import steps
from witnessed import Session


def manifest(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "MANIFEST.json").read_text())["trees"]
    assert len(found) == 1
    tree: dict[str, Any] = found[0]
    return tree


def rows(folder: Path) -> dict[str, tuple[str, str]]:
    return {row["path"]: (row["state"], row["why"]) for row in manifest(folder)["files"]}


def link(path: str, target: str) -> tuple[Entry, bytes]:
    return file(path, target.encode(), kind="link", mode=0o777), target.encode()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_at_each_step_the_files_are_those_that_there_were(tmp_path: Path) -> None:
    session = Session()
    shot = Shot(session)
    trees: list[dict[str, bytes]] = [
        {"a.py": b"1", "d/b": b"\x00\xff"},
        {"a.py": b"2\n", "d/b": b"\x00\xff", "é/ü x": b""},
        {"d/b": b"\x00\xff"},
    ]
    shot.take(trees[0], "start")
    for n, files in enumerate(trees[1:], 1):
        use = session.ask(f"change {n}")
        start = session.start(f"change {n}")
        session.join(use, start)
        session.end(start)
        shot.take(files, "command")
        session.tell((use, "done"))
    session.exchange({"type": "text", "text": "Done."})
    session.close()
    results = [step.number for step in steps(session.archive, session.session) if step.type == "tool.result"]
    for n, (number, files) in enumerate(zip(results, trees[1:], strict=True)):
        out(session, tmp_path / str(n), number)
        assert tree(tmp_path / str(n) / "files") == files
        assert manifest(tmp_path / str(n))["source"] == "snapshot"
    out(session, tmp_path / "end")
    assert tree(tmp_path / "end/files") == trees[-1]


def test_what_is_not_stored_or_not_made_is_in_the_manifest(tmp_path: Path) -> None:
    session = Session()
    body = Entry(b"empty", "dir", 0o755, 0, 1, None, None)
    pipe = Entry(b"pipe", "other", 0o644, 0, 1, None, None, {"why": "special"})
    Shot(session).take(
        {
            "a": b"x",
            "empty": body,
            "pipe": pipe,
            "node_modules": unstored("node_modules", "ignored", "dir"),
            ".env": unstored(".env", "secret"),
            "key": (file("key", b"[REDACTED:x]", facts={"redacted": 1}), b"[REDACTED:x]"),
            "run": (file("run", b"#!", mode=0o4755), b"#!"),
            "l/in": link("l/in", "../a"),
            "l/out": link("l/out", "../../../x"),
            "abs": link("abs", "/etc/passwd"),
        },
        "start",
    )
    session.exchange({"type": "text", "text": "Hello."})
    session.close()
    report = out(session, tmp_path / "o")
    files = tmp_path / "o/files"
    found = rows(tmp_path / "o")
    assert {path: state for path, (state, _) in found.items()} == {
        "a": "known",
        "empty": "known",
        "pipe": "unknown",
        "node_modules": "unknown",
        ".env": "unknown",
        "key": "partial",
        "run": "known",
        "l/in": "known",
        "l/out": "unknown",
        "abs": "unknown",
    }
    assert "secrets" in found[".env"][1] and "ignored" in found["node_modules"][1]
    assert {path.name for path in files.iterdir()} == {"a", "empty", "key", "l", "run"}
    assert (files / "l/in").read_bytes() == b"x"
    assert (files / "run").stat().st_mode & 0o7777 == 0o755
    assert [line.split(":")[1].strip() for line in report.lost] == ["abs", "l/out"]
    for name in (".env", "node_modules", "key", "pipe"):
        assert any(name in note for note in report.notes)


def test_a_file_that_is_damaged_is_lost_alone_and_said(tmp_path: Path) -> None:
    session = Session()
    Shot(session).take({"a": b"fine", "z": b"z" * 5000}, "start", per_part=1)
    session.exchange({"type": "text", "text": "Hello."})
    session.close()
    archive = session.archive
    assert isinstance(archive, MemoryArchive)
    for digest, (kind, data) in list(archive._objects.items()):
        if kind == "blob" and data.startswith(b"zz"):
            archive._objects[digest] = (kind, b"y" + data[1:])
    report = out(session, tmp_path / "o")
    assert report.damaged and len(report.lost) == 1 and "files: z" in report.lost[0]
    assert tree(tmp_path / "o/files") == {"a": b"fine"}
    assert rows(tmp_path / "o")["z"][0] == "unknown"
