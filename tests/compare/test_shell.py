"""Command lines read by bash's grammar: what they run, and when two of them are one."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.compare.shell import LONGEST, read, words_of

WORD = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs", "S"]), min_size=1, max_size=12)


def ran(line: str) -> list[tuple[str, ...]]:
    return [words_of(command) for command in read(line).commands]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ls -la src", [("ls", "-la", "src")]),
        ("cd /x && FOO=1 make -j4 test 2>&1 | tail -n 5", [("cd", "/x"), ("make", "-j4", "test"), ("tail", "-n", "5")]),
        ("bash -lc 'pytest -q && rm x'", [("pytest", "-q"), ("rm", "x")]),
        ("/usr/bin/python3.12 -m pytest 'a b.py'", [("pytest", "a b.py")]),
        ("sudo timeout 5 nice -n 10 cargo build", [("cargo", "build")]),
        ("uv run ruff check .", [("ruff", "check", ".")]),
        (
            "for f in a b; do wc -l $f; done; [ -f x ] || touch x",
            [("wc", "-l", "$f"), ("test", "-f", "x"), ("touch", "x")],
        ),
        ("(cd a; ls) & wait", [("cd", "a"), ("ls",), ("wait",)]),
        ("cat <<EOF | sh\nrm x\nEOF\n", [("cat",), ("sh",)]),
        ("echo 'a && b; rm -rf /'", [("echo", "a && b; rm -rf /")]),
    ],
)
def test_a_line_is_the_commands_it_runs(line: str, what: list[tuple[str, ...]]) -> None:
    assert ran(line) == what


def test_what_a_line_writes_is_told_apart_from_its_words() -> None:
    (command,) = read("cat > src/a.py <<'EOF'\nprint('> b')\nEOF").commands
    assert (command.program, command.words, command.writes) == ("cat", (), ("src/a.py",))
    assert command.text == "print('> b')\n"
    assert read("make > /dev/null 2>&1").commands[0].writes == ()
    assert read("echo x >> 'a b'").commands[0].writes == ("a b",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ls  -l", "ls -l"),
        ("ls -l", "'ls' \"-l\""),
        ("a;b", "a\nb"),
        ("a&&b", "a && b"),
        ("grep foo\\ bar x", "grep 'foo bar' x"),
        ("make # the tests", "make"),
        ("make \\\n  test", "make test"),
    ],
)
def test_lines_that_differ_in_how_they_are_written_are_one(one: str, other: str) -> None:
    assert read(one).canon == read(other).canon


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a && b", "a || b"),
        ("a | b", "a; b"),
        ("rm x", "rm y"),
        ("a > f", "a < f"),
        ("a", "! a"),
        ("a &", "a"),
        ("(a; b)", "a; b"),
    ],
)
def test_lines_that_do_something_else_are_two(one: str, other: str) -> None:
    assert read(one).canon != read(other).canon


@settings(max_examples=60, deadline=None)
@given(st.lists(WORD, min_size=1, max_size=5))
def test_quoted_words_come_out_as_they_were(words: list[str]) -> None:
    (command,) = read(shlex.join(["run-it", *words])).commands
    assert command.words == tuple(words)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert read(text).commands is not None


@pytest.mark.parametrize(
    "text", ["(" * 4000, "$(" * 3000, "<<" * 2000, "if " * 2000, "{ " * 3000, "a|" * 1500, "a <<E\n" * 9000]
)
def test_nonsense_is_words(text: str) -> None:
    assert not read(text).sound


def test_letters_of_all_scripts_are_letters() -> None:
    """The grammar's scanner crashes on them when they reach it."""
    (command,) = read("printf '%s' \U0001f642é漢 \"$x 漢字\" \U0010ffff > ünï.txt").commands
    assert command.words == ("%s", "\U0001f642é漢", "$x 漢字", "\U0010ffff")
    assert command.writes == ("ünï.txt",)
    assert read("echo é").canon != read("echo è").canon
    for start in range(0, 0x110000, 0x301):
        read("".join(chr(c) for c in range(start, start + 0x40) if not 0xD800 <= c < 0xE000))


def test_a_long_heredoc_does_not_keep_a_line_from_being_read() -> None:
    text = "x = '(' # `\n" * LONGEST
    line = f"cat > a.py <<'EOF'\n{text}EOF\nls"
    assert [words_of(command)[0] for command in read(line).commands] == ["cat", "ls"]
    assert read(line).canon != read(line.replace("x = '('", "y = '('")).canon
