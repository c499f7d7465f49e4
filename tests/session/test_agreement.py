"""What was told and what was produced: allowed for is what agents do to a text, and nothing else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.session.agreement import HOLE, _glob, same_line, same_output


@pytest.mark.parametrize(
    ("told", "produced"),
    [
        ("a\nb", b"a\nb\n"),
        ("\n\na  \nb\n\n", b"a\nb\n"),
        ("a\nb", b"a\r\nb\r\n"),
        ("red", b"\x1b[31mred\x1b[0m\n"),
        ("\x1b[31mred\x1b[0m", b"\x1b[31mred\x1b[0m\n"),
        ("title", b"\x1b]0;secret\x07title"),
        ("bell", b"\x07bell\x00"),
        ("key [REDACTED:known-value] end", b"key sk-123 end"),
        ("key sk-123 end", b"key [REDACTED:aws-key] end"),
        ("key [REDACTED:a] end", b"key [REDACTED:b] end"),
        ("caf\u00e9", b"caf\xe9"),
        ("caf\ufffd\ufffd", "café".encode()),
        ("", b"\n\n"),
    ],
)
def test_what_agents_and_we_ourselves_do_to_a_text_is_no_difference(told: str, produced: bytes) -> None:
    assert same_output(told, [("o", produced)]) == "same"


@pytest.mark.parametrize(
    ("told", "produced"),
    [("a", b"a\nb\n"), ("a\nb", b"a\n"), ("ok", b""), ("", b"failed"), ("10 0", b"100"), ("a\nc\nb", b"a\nb\nc")],
)
def test_anything_else_is_one(told: str, produced: bytes) -> None:
    assert same_output(told, [("o", produced)]) == "differs"


def test_two_streams_may_be_told_in_any_order_and_merged_anyhow() -> None:
    produced = [("o", b"one\n"), ("e", b"bad\n"), ("o", b"two\n")]
    for told in ("one\nbad\ntwo", "one\ntwo\nbad", "bad\none\ntwo", "obnad\ne\ntwo"):
        assert same_output(told, produced) == "same", told
    for told in ("one", "two\none\nbad", "one\nbad\ntwo\nmore"):
        assert same_output(told, produced) == "differs", told


@pytest.mark.parametrize(
    ("told", "produced"),
    [("100%", b"10%\r50%\r100%\n"), ("adc", b"abc\x08\x08d\n"), ("full", b"\x1b[2Jscreen\x1b[1;1Hfull\n")],
)
def test_what_a_cursor_did_can_be_shown_in_other_ways(told: str, produced: bytes) -> None:
    assert same_output(told, [("m", produced)]) != "differs"
    # … but not as something that was never written.
    assert same_output("all of\nthis is\nsomething else", [("m", produced)]) == "differs"


def test_secrets_known_on_one_side_only_hide_nothing_else() -> None:
    produced = [("o", b"key [REDACTED:a]\ntoken abc\n1 FAILED\n")]
    assert same_output("key xyz\ntoken [REDACTED:b]\n1 FAILED", produced) == "same"
    assert same_output("key xyz\ntoken [REDACTED:b]\n1 passed", produced) == "differs"
    key = b"-----BEGIN\nabc\ndef\n-----END\nlast\n"
    assert same_output("[REDACTED:private-key]\nlast", [("o", key)]) == "same"


def test_one_stream_alone_is_not_called_a_lie() -> None:
    assert same_output("out", [("o", b"out\n"), ("e", b"warning\n")]) == "unknown"


def test_a_shortened_text_has_to_be_of_what_was_produced() -> None:
    lines = [f"line {n} of many" for n in range(5000)]
    produced = [("o", "\n".join(lines).encode())]
    short = "\n".join([*lines[:100], "... 4800 lines left out ...", *lines[-100:]])
    assert same_output(short, produced, partial=True) != "differs"
    assert same_output(short, produced) == "differs"
    invented = "\n".join(f"test {n} passed" for n in range(200))
    assert same_output(invented, produced, partial=True) == "differs"


def test_a_long_line_that_was_cut_is_known_by_its_ends() -> None:
    assert same_output("x" * 2000 + "… [98000 characters]", [("o", b"x" * 100_000)], partial=True) != "differs"


def test_two_streams_full_of_the_same_letter_are_given_up_and_accuse_nobody() -> None:
    produced = [("o", b"a" * 5000 + b"b"), ("e", b"a" * 5000)]
    assert same_output("a" * 9999 + "ba", produced) in ("same", "unknown")


@given(st.lists(st.text("ab \n", min_size=1, max_size=6), max_size=8), st.integers(0, 2**32))
def test_any_merge_of_two_streams_agrees(parts: list[str], seed: int) -> None:
    chance = random.Random(seed)
    pieces = [(chance.choice("oe"), part.encode()) for part in parts]
    left = {stream: "".join(part.decode() for name, part in pieces if name == stream) for stream in "oe"}
    merged = ""
    while any(left.values()):
        stream = chance.choice([name for name, text in left.items() if text])
        merged, left[stream] = merged + left[stream][0], left[stream][1:]
    assert same_output(merged, pieces) == "same"


@given(st.lists(st.text("abc", max_size=4), min_size=2, max_size=5), st.lists(st.text("abc", max_size=4), max_size=5))
def test_a_hole_stands_for_anything(parts: list[str], fillings: list[str]) -> None:
    filled = "".join(
        part + (fillings[n] if n < min(len(fillings), len(parts) - 1) else "") for n, part in enumerate(parts)
    )
    assert _glob(HOLE.join(parts), filled)


def test_command_lines_are_the_same_but_for_blanks_around_them_and_holes() -> None:
    assert same_line("ls -l\n", " ls -l")
    assert same_line("a \\\r\n  b", "a \\\n  b")
    assert same_line("curl -H 'X: [REDACTED:header]'", "curl -H 'X: abc'")
    assert not same_line("ls -l", "ls  -l")
    assert not same_line("rm x", "rm y")
