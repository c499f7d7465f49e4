"""`tapes diff` as it is typed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_cli.output import cell_width
from witnessed import BEGINNING, SECOND, Session

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
JSON = [[b"content-type", b"application/json"]]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u202e\x1b[31m &lt; \u2028"


def bench(folder: Path, other: str = "sed -i s/a/b/ x.py", said: str = "I'll rewrite it.") -> Bench:
    """Three runs: `one` and `same` are alike, `other` parts from them at its third command."""
    found = Bench(folder)
    found.environ |= {"TZ": "UTC"}
    found.home.mkdir(mode=0o700)
    with LmdbArchive.open(found.home / "archive", create=True) as archive:
        for n, (name, line, words) in enumerate(
            [("one", "make fix", "I'll fix it."), ("same", "make fix", "I'll fix it."), ("other", other, said)]
        ):
            session = Session(archive, agent="claude", name=name, began=BEGINNING + n * 3600 * SECOND)
            session.run("ls", b"x.py")
            session.run("cat x.py", f"took 0.{n}2s at 1{n}:00:01".encode())
            session.exchange({"type": "text", "text": words})
            session.run(line, b"", status=n // 2)
            session.run("make test", b"ok")
            session.close()
    return found


def rows(b: Bench, *words: str) -> list[dict[str, Any]]:
    done = b.tapes("diff", *words, "--json")
    assert done.returncode in (0, 1), done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def part(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in found if row["part"] == name]


def test_runs_that_did_the_same_are_the_same_at_whatever_time(tmp_path: Path) -> None:
    b = bench(tmp_path)
    done = b.tapes("diff", "one", "same")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"the same in all" in done.stdout
    assert part(rows(b, "one", "same"), "result")[0]["same"] is True


def test_where_two_runs_part_is_told_with_steps_that_show_and_cat_take(tmp_path: Path) -> None:
    b = bench(tmp_path)
    (at,) = part(rows(b, "one", "other"), "divergence")
    assert (at["a"]["text"], at["b"]["text"]) == ("I'll fix it.", "I'll rewrite it.")
    assert at["again"] is not None
    assert {"alike", "what", "thread"} <= set(at)
    for side in ("a", "b"):
        shown = b.tapes("show", at[side]["ref"])
        assert at[side]["hash"] in shown.stdout.decode()
        assert b.tapes("cat", at[side]["hash"]).returncode == 0
    assert b.tapes("diff", "one", "other").returncode == 1


@pytest.mark.parametrize("face", [(), ("-u",), ("--stat",), ("--first",), ("--commands",), ("--prompts",)])
def test_every_face_fits_the_terminal_and_can_not_drive_it(tmp_path: Path, face: tuple[str, ...]) -> None:
    b = bench(tmp_path, other=f"echo '{EVIL}'", said=f"漢字 {EVIL} {'漢' * 300}")
    b.environ["COLUMNS"] = "60"
    done = b.tapes("diff", "one", "other", *face)
    assert done.returncode == 1, done.stderr.decode()
    text = done.stdout.decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(cell_width(line) for line in text.splitlines()) <= 60


def test_commands_of_one_run_alone_and_with_another_exit_are_told(tmp_path: Path) -> None:
    b = bench(tmp_path, other="make fix")
    found = part(rows(b, "one", "other", "--commands"), "command")
    assert [row["what"] for row in found] == ["same", "same", "exit", "same"]
    text = b.tapes("diff", "one", "other", "--commands").stdout.decode()
    assert "exit 0, 1.5s / exit 1, 1.5s: make fix" in text


def test_a_range_of_steps_and_its_ends(tmp_path: Path) -> None:
    b = bench(tmp_path)
    (at,) = part(rows(b, "one", "other"), "divergence")
    before, step = at["a"]["step"] - 1, at["a"]["step"]
    assert b.tapes("diff", f"one:1..{before}", f"other:..{before}").returncode == 0
    assert b.tapes("diff", f"one:{step}..", f"other:{step}..").returncode == 1
    for wrong, status in (("one:9..3", 2), ("one:900..", 3), ("nobody", 3), ("one#nobody", 3), ("one:999", 3)):
        done = b.tapes("diff", wrong, "other")
        assert done.returncode == status, wrong
        assert done.stderr.startswith(b"tapes: ")


def test_a_thread_is_compared_with_a_thread_and_its_steps_can_be_shown(tmp_path: Path) -> None:
    b = bench(tmp_path)
    found = rows(b, "one#main", "other#main")
    assert [row["thread"] for row in part(found, "run")] == ["main", "main"]
    (at,) = part(found, "divergence")
    assert b.tapes("show", at["a"]["ref"]).returncode == 0
    assert part(rows(b, "one", "other", "--thread", "main"), "divergence") == [at]


def test_two_model_calls_are_compared_as_requests(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.home.mkdir(mode=0o700)
    with LmdbArchive.open(b.home / "archive", create=True) as archive:
        session = Session(archive, agent="claude", name="one")
        first = {"role": "user", "content": "Fix the parser."}
        ends = []
        for messages in (
            [first],
            [first, {"role": "user", "content": "Now the lexer."}],
            [dict(first, content="Fix it.")],
        ):
            opened = session.opened(messages)
            usage = {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 2}
            said = [{"type": "text", "text": "Yes."}]
            answer = {"type": "message", "role": "assistant", "content": said, "model": "m", "usage": usage}
            stored = session._stored(json.dumps(answer).encode())
            end = {"outcome": "complete", "status": 200, "response": stored, "headers": JSON}
            ends.append((opened, session.add("exchange.end", end, opened)))
        session.close()
    hashes = [opened.hash.hex() for opened, _ in ends if opened.hash]
    extended = rows(b, hashes[0], hashes[1])
    assert part(extended, "cache")[0]["whole"] is True
    changed = part(rows(b, hashes[0], hashes[2]), "cache")[0]
    assert changed["segment"] == "messages[0] user"
    assert "Fix the parser." in changed["a"]
    text = b.tapes("diff", hashes[0], hashes[2]).stdout.decode()
    assert "prompt cache: the same up to messages[0] user" in text
    assert "7 tokens read from a cache" in text
    assert b.tapes("diff", hashes[0], hashes[0]).returncode == 0
    assert b.tapes("diff", hashes[0], "one").returncode == 2
    refused = b.tapes("diff", hashes[0], hashes[1], "--html", str(tmp_path / "page.html"))
    assert (refused.returncode, b"two runs" in refused.stderr) == (2, True)


class Reader(HTMLParser):
    """What a browser would make of the page: elements, and the texts of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.elements.append(("", {}))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style"):
            name = self.elements[-1][0] + (self.elements[-1][1].get("type") or "")
            self.texts[name] = self.texts.get(name, "") + data


def test_the_page_is_whole_in_itself_and_runs_nothing_but_its_own_script(tmp_path: Path) -> None:
    b = bench(tmp_path, other=f"echo '{EVIL}'", said=EVIL)
    done = b.tapes("diff", "one", "other", "--html", str(tmp_path / "page.html"))
    assert done.returncode == 1, done.stderr.decode()
    text = (tmp_path / "page.html").read_text()
    page = Reader()
    page.feed(text)
    names = [name for name, _ in page.elements]
    assert names.count("script") == 2
    assert not {"img", "iframe", "link", "object", "base", "form"} & set(names)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not any(name in ("src", "href", "style") for _, attributes in page.elements for name in attributes)
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    data = json.loads(page.texts["scriptapplication/json"])
    assert any("alert(1)" in (row["b"] or {}).get("text", "") for row in data["rows"])
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_a_page_that_can_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    b = bench(tmp_path)
    done = b.tapes("diff", "one", "other", "--html", str(tmp_path / "nowhere" / "page.html"))
    assert done.returncode == 2
    assert done.stderr.startswith(b"tapes: ")


def test_either_side_can_be_opened_where_they_part(tmp_path: Path) -> None:
    b = bench(tmp_path)
    assert b"I'll fix it." in b.tapes("diff", "one", "other", "--open", "a").stdout
    assert b"I'll rewrite it." in b.tapes("diff", "one", "other", "--open", "b").stdout
    assert b.tapes("diff", "one", "same", "--open", "a").returncode == 3


def test_the_fields_of_the_objects_are_those_of_the_docs(tmp_path: Path) -> None:
    b = bench(tmp_path)
    text = DOCS.read_text()
    section = text[text.index("## tapes diff") :]
    section = section[: section.index("\n## ", 1)]
    told = set(re.findall(r"`([a-z_]+)`", section))
    for row in rows(b, "one", "other"):
        assert set(row) <= told, (row["part"], set(row) - told)
