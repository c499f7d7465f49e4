"""Command lines read back: exactly what a real shell would make of the quoting."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.wire.shells.lines import line_of, quoted, script_of, word_at, words_from

NASTY = st.text(st.sampled_from("ab '\"\\$`\n;|&<>()#!*é\t{}~"), max_size=40).map(str.encode)


@given(st.lists(NASTY, max_size=4))
def test_words_that_were_quoted_are_read_back_exactly(words: list[bytes]) -> None:
    assert words_from(b" ".join(map(quoted, words)), 0) == words


@settings(max_examples=40, deadline=None)
@given(NASTY, st.sampled_from(["'", '"', "\\"]))
def test_a_word_is_read_as_bash_reads_it_however_it_is_quoted(word: bytes, how: str) -> None:
    # `!` is history's in an interactive shell alone; a NUL can not be there.
    if how == "'":
        text = quoted(word)
    elif how == '"':
        text = b'"' + b"".join(b"\\" + bytes([c]) if c in b'\\"$`' else bytes([c]) for c in word) + b'"'
    else:
        text = b"".join(b"'\n'" if c == 10 else b"\\" + bytes([c]) if c < 128 else bytes([c]) for c in word) or b"''"
    printed = subprocess.run(["bash", "-c", b"printf %s " + text], capture_output=True, check=True).stdout
    assert printed == word
    assert word_at(text, 0) == (word, len(text))


def test_what_only_a_shell_could_tell_is_no_word() -> None:
    for text in (b"$HOME", b"'open", b'"open', b'"$x"', b"`ls`", b"", b"a\\"):
        assert word_at(text, 0) is None or word_at(text, 0) != (text, len(text))
    assert words_from(b"a | b", 0) is None
    assert words_from(b"a $(b)", 0) is None


def test_the_script_is_found_behind_a_shells_options() -> None:
    for words in (
        "-c|X",
        "-lc|X|name",
        "-c|-l|X",
        "-l|-c|X",
        "-o|pipefail|-c|X",
        "--norc|-ec|X",
        "-c|--|X",
        "-euo|pipefail|-c|X",
    ):
        assert script_of([b"/bin/bash", *words.encode().split(b"|")]) == b"X", words
    assert script_of([b"-zsh", b"-c", b"X"]) == b"X"
    assert script_of([b"bash", b"X"]) is None
    assert script_of([b"bash", b"-l"]) is None
    assert script_of([b"python3", b"-c", b"X"]) is None
    assert script_of([]) is None


def test_the_line_of_another_program_is_its_words_quoted_where_they_need_it() -> None:
    assert line_of([b"git", b"commit", b"-m", b"it's done"]) == b"git commit -m 'it'\"'\"'s done'"
