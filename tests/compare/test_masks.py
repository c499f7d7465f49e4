"""What says the same in two runs though it is written differently; and what does not."""

from __future__ import annotations

import pytest

from tapes.compare.masks import Masks, Place, masks_of

PLACES = (Place("/home/alice/one/project", "/home/alice"), Place("/srv/ci/two/project", "/root"))
MASKS = masks_of(PLACES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/home/alice/one/project/a.py", "/srv/ci/two/project/a.py"),
        ("/home/alice/one/out.log", "/srv/ci/two/out.log"),
        ("/home/alice/.cache/x", "/root/.cache/x"),
        ("projects/-home-alice-one-project/x", "projects/-srv-ci-two-project/x"),
        ("id 0192f0c1-1b2c-7d3e-8f90-a1b2c3d4e5f6", "id 0192f0c1-2222-7d3e-8f90-a1b2c3d4e5f7"),
        ("git show 1a2b3c4", "git show ffee012"),
        ("toolu_01AbCdEfGh1234567890", "toolu_01ZzZzZzGh0987654321"),
        ("at 2026-11-21T10:00:00.123Z", "at 2026-11-22 11:00"),
        ("since 1795269000", "since 1795269999"),
        ("/tmp/tmpab12cd34/x", "/tmp/tmpzz99yy88/x"),
        ("/tmp/tmp.AbCdEf12", "/tmp/tmp.GhIjKl34"),
        ("http://127.0.0.1:45678/v1", "http://127.0.0.1:34567/v1"),
    ],
)
def test_places_ids_and_moments_are_no_difference(one: str, other: str) -> None:
    assert MASKS.identity(one) == MASKS.identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/tmp/a.py", "/tmp/b.py"),
        ("port 8080", "port 8081"),
        ("hello.py:12:30", "hello.py:12:31"),
        ("sleep 5", "sleep 6"),
        ("deadline", "headline"),
        ("1234567", "7654321"),
        ("gpt-5.2-codex", "gpt-5.1-codex"),
        ("/home/alice/one/projects", "/srv/ci/two/project"),
        ("v1.2.3", "v1.2.4"),
        ("expected 5 days", "expected 6 days"),
        ("3 passed", "2 passed"),
    ],
)
def test_what_tells_something_stays(one: str, other: str) -> None:
    assert MASKS.output(one) != MASKS.output(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-rw-r--r-- 1 u u 12 Nov 21 13:51 a", "-rw-r--r-- 1 u u 12 Dec  3 09:02 a"),
        ("3 passed in 0.12s", "3 passed in 1.4s"),
        ("Wall time: 0.0512 seconds", "Wall time: 12 seconds"),
        ('{"chunk_id":"66e1f2","x":1}', '{"chunk_id":"aa01bc","x":1}'),
        ("Today's date is Saturday, November 21, 2026.", "Today's date is Friday, May 1, 2026."),
        ("[main 1234567] x", "[main abcdef0] x"),
        ("\x1b[32mok\x1b[0m", "ok"),
        ("[1] 12345", "[1] 999"),
        ("Alice, 2 hours ago", "Alice, 3 days ago"),
        ("Date:   Sat Nov 21 14:00:00 2026 +0000", "Date:   Mon May 4 09:00:59 2026 +0000"),
        ("Process Group PGID: 77", "Process Group PGID: 4242"),
    ],
)
def test_what_a_program_says_of_times_and_processes_is_no_difference(one: str, other: str) -> None:
    assert MASKS.output(one) == MASKS.output(other)


def test_one_sides_directory_is_masked_on_the_other_side_too() -> None:
    masks = masks_of([Place("/w/alpha"), Place("/w/beta")])
    assert masks.output("alpha and beta") == "‹dir› and ‹dir›"
    assert masks.identity("alpha") == "alpha"


def test_without_places_nothing_is_taken_for_one() -> None:
    assert Masks().identity("/etc/passwd") == "/etc/passwd"
    assert masks_of([Place("/", "/"), Place("/tmp")]).identity("/tmp/x /y") == "/tmp/x /y"


def test_a_word_behind_an_escaped_end_of_line_is_masked_too() -> None:
    one, other = (
        rf'{{"output":"a.py\n{commit} start\n{clock} x"}}'
        for commit, clock in (("e20a8b3", "15:33"), ("1d58c38", "16:01"))
    )
    assert MASKS.output(one) == MASKS.output(other)
    assert MASKS.output(r'"a\nnew"') != MASKS.output(r'"a\nold"')


@pytest.mark.parametrize(
    "form", ["{0} work\n9af53db start", "Recent commits:\n{0} start", r'"commits:\n{0} start"', '"{0} x",1a2b3c4']
)
def test_a_short_hash_without_a_letter_is_masked_among_commits(form: str) -> None:
    assert MASKS.output(form.format("9421943")) == MASKS.output(form.format("08e6dc3"))


def test_seven_digits_elsewhere_are_a_number() -> None:
    assert MASKS.output("9421943 rows") != MASKS.output("9421944 rows")
    assert MASKS.output("commit 08e6dc3: 9421943 rows") != MASKS.output("commit 08e6dc3: 9421944 rows")


def test_a_number_is_a_hash_where_the_other_side_has_one() -> None:
    assert MASKS.alike("9421943 work", "08e6dc3 work")
    assert MASKS.alike("  08e6dc3 work", "9421943 work")
    assert not MASKS.alike("9421943 rows", "9421944 rows")
    assert not MASKS.alike("9421943 work", "08e6dc3 play")
