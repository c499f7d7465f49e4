"""The query language: what is typed, what it means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapes.archive.memory_archive import MemoryArchive
from tapes.errors import NotFound, UsageError
from tapes.index.index import Index
from tapes.search import narrow
from tapes.search.find import Search, search
from tapes.search.plan import TYPES
from tapes.search.query import All, Any, Field, Node, Not, Words, parse
from tapes.search.snippet import of_pattern, of_words
from tapes.session.view import STEP_TYPES
from witnessed import Session


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", All(())),
        ("red", Words("red")),
        ("red green", All((Words("red"), Words("green")))),
        ('"red green"', Words("red green")),
        ("re*", Words("re", prefix=True)),
        ('"red gr"*', Words("red gr", prefix=True)),
        ("-red", Not(Words("red"))),
        ('-"a b"', Not(Words("a b"))),
        ("x a OR b", All((Words("x"), Any((Words("a"), Words("b")))))),
        ("a OR b OR -c", Any((Words("a"), Words("b"), Not(Words("c"))))),
        ("(a b) OR c", Any((All((Words("a"), Words("b"))), Words("c")))),
        ("-(a OR b)", Not(Any((Words("a"), Words("b"))))),
        ("or OReo", All((Words("or"), Words("OReo")))),
        ("tool:Bash", Field("tool", "Bash")),
        ("Tool:Bash", Field("tool", "Bash")),
        ('path:"a b/c.py"', Field("path", "a b/c.py")),
        ("-type:note", Not(Field("type", "note"))),
        ("http://localhost:80/x", Words("http://localhost:80/x")),
        ("std::string 12:30", All((Words("std::string"), Words("12:30")))),
        ('"tool:Bash"', Words("tool:Bash")),
        ("foo-bar", Words("foo-bar")),
        ("Error: x", All((Words("Error:"), Words("x")))),
    ],
)
def test_what_is_typed_means(text: str, means: Node) -> None:
    assert parse(text) == means


@pytest.mark.parametrize(
    "text",
    [
        '"open',
        "(a",
        "a)",
        "OR a",
        "a OR",
        "a OR OR b",
        "()",
        "eror:x",
        "tool:",
        "-",
        'tool:""',
        "(" * 60 + "a" + ")" * 60,
    ],
)
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Search(parse(text))
        _asked(text)


@pytest.mark.parametrize("text", ["->", "exit:soon", "type:answers", "is:red", "path:~/x", "since:x"])
def test_a_filter_that_can_not_be_used_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        _asked(text)


def test_a_session_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        _asked("session:nobody")


def test_a_value_that_nothing_has_is_said() -> None:
    assert _asked("tool:Nothing").useless == ["tool:Nothing"]
    assert _asked("exit:0 OR exit:7").useless == ["exit:7"]


def test_types_are_those_of_the_timeline_and_of_output() -> None:
    assert set(TYPES) == set(STEP_TYPES) - {"withheld", "seam"} | {"output"}


def test_ranking_needs_words() -> None:
    with pytest.raises(UsageError, match="rank"):
        _asked("-red", ranked=True)


def _moment(text: str) -> int:
    raise UsageError(f"{text} is no time")


def _asked(text: str, *, ranked: bool = False) -> object:
    import tempfile

    session = Session(MemoryArchive(), agent="claude")
    session.run("make red", b"green")
    session.close()
    with (
        tempfile.TemporaryDirectory() as name,
        Index(Path(name) / "index" / "search.sqlite", session.archive) as index,
    ):
        asked = Search(parse(text), moment=_moment, ranked=ranked)
        return index.answer(lambda: search(index, asked))


def found(tmp_path: Path, session: Session, text: str) -> set[str]:
    with Index(tmp_path / "index" / "search.sqlite", session.archive) as index:
        return {hit.text.splitlines()[0] for hit in index.answer(lambda: search(index, Search(parse(text)))).hits}


def test_a_path_is_found_by_its_parts_from_its_beginning_and_by_letters(tmp_path: Path) -> None:
    session = Session(MemoryArchive(), agent="claude")
    for path in ("/home/a/src/main.py", "/home/a/src/domain.py", "src/x/main.py", "/src/main.py.bak"):
        session.ask_all({"file_path": path}, tool="Read")
    session.close()
    paths = {
        "path:main.py": {"/home/a/src/main.py", "src/x/main.py"},
        "path:src/main.py": {"/home/a/src/main.py"},
        "path:/src": {"/src/main.py.bak"},
        "path:src/*/main.py": {"src/x/main.py"},
        "path:*main.py": {"/home/a/src/main.py", "/home/a/src/domain.py", "src/x/main.py"},
        "path:SRC": set(),
    }
    for text, expected in paths.items():
        assert {line.removeprefix("file_path: ") for line in found(tmp_path, session, f"tool:read {text}")} == expected


def test_models_participants_and_directories(tmp_path: Path) -> None:
    session = Session(MemoryArchive(), agent="claude")
    session.end(session.start("by hand", kind="human"))
    session.end(session.start("by claude", cwd=b"/srv/api"), signal=9)
    session.close()
    assert found(tmp_path, session, "participant:alice type:command") == {"by hand"}
    assert found(tmp_path, session, "participant:human") == {"by hand"}
    assert found(tmp_path, session, "cwd:/srv type:command") == {"by claude"}
    assert found(tmp_path, session, "exit:KILL") == found(tmp_path, session, "exit:signal") == {"by claude"}
    assert found(tmp_path, session, "agent:cl*e -type:command") == set()


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ("foo bar", Words("bar", prefix=True)),
        (" foo bar ", Words("foo bar")),
        ("foo", None),
        (" fo", None),
        ("größe gut", None),
        ("->foo()", Words("foo")),
    ],
)
def test_a_piece_needs_the_words_that_end_in_it(piece: str, words: Words | None) -> None:
    assert narrow.words_of(piece) == words


def test_a_snippet_shows_where_most_words_stand_together() -> None:
    text = "red " + "filler " * 100 + "a Größe of\n\n red things " + "filler " * 100
    shown = of_words([Words("red"), Words("GROSSE"), Words("große"), Words("thin", prefix=True)])(text)
    assert [shown.text[a:b] for a, b in shown.spans] == ["Größe", "red", "things"]
    assert "Größe of red things" in shown.text
    import re

    shown = of_pattern([re.compile("r.d"), re.compile("x*")])(text)
    assert shown.text[slice(*shown.spans[0])] == "red"
