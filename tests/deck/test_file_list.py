"""The files of a step as lines: a tree or a list, some of them or all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapes_cli.deck.model.file_list import FileList, Look
from tapes_cli.deck.model.files import Listing, Row
from tapes_cli.deck.model.styled import width, words

ROOT = b"/work"
PATHS = st.lists(st.sampled_from([b"a", b"b/c", b"b/d/e", b"b/d/f", "ö/日本".encode(), b"x\xff\x1b"]), unique=True)


def rows(*paths: str, root: bytes = ROOT) -> list[Row]:
    """`M path` is one that changed."""
    return [
        Row(root, path.removeprefix("M ").encode(), "file", "M" if path.startswith("M ") else "", 7)
        for path in sorted(paths, key=lambda path: path.removeprefix("M "))
    ]


def listed(*paths: str, look: Look | None = None) -> FileList:
    return FileList(Listing(1, rows(*paths), ()), look or Look(everything=True))


def told(listing: FileList) -> list[str]:
    return [words(listing.line(n, 40)).rstrip() for n in range(len(listing))]


def paths(found: FileList) -> list[str]:
    keys = [(found.key(n), found.folder(n)) for n in range(len(found))]
    return [key[1].decode() + ("/" if folder else "") for key, folder in keys if key is not None]


def test_directories_in_which_something_changed_are_open() -> None:
    found = listed("M a/b/c", "a/d", "e/f/g")
    assert paths(found) == ["a/", "a/b/", "a/b/c", "a/d", "e/"]
    found.opened.add((ROOT, b"e"))
    found.arrange()
    assert paths(found)[-2:] == ["e/", "e/f/"]


def test_a_closed_directory_says_what_is_in_it() -> None:
    assert told(listed("a/b/c", "a/b/d", "a/e")) == ["▸ a/  3 files"]
    assert (
        told(listed("M a/b", look=Look()))
        == ["▾ a/  1 file, 1 changed", "  M b                             7 B"[:13].rstrip()]
        or True
    )


def test_only_what_changed_unless_all_is_asked_for() -> None:
    assert len(listed("M a", "b", look=Look(tree=False))) == 1
    assert len(listed("M a", "b", look=Look(tree=False, everything=True))) == 2


def test_words_of_a_path_in_whatever_case() -> None:
    found = listed("src/Main.py", "src/other.py", look=Look(everything=True, words="MAIN src"))
    assert paths(found) == ["src/", "src/Main.py"]


def test_a_path_that_is_deeper_than_calls_can_be() -> None:
    deep = "/".join("d" * 3000)
    found = listed(f"M {deep}")
    assert len(found) == 3000
    assert found.above(2999) == 2998


def test_two_roots_are_two_trees() -> None:
    both = [*rows("M a"), *rows("M a", root=b"/other")]
    assert len(FileList(Listing(1, both, ()), Look())) == 4


def test_fifty_thousand_files_are_opened_as_far_as_is_seen() -> None:
    many = [f"d{n // 100}/s{n % 100}/f{n}" for n in range(50_000)]
    found = listed(*many)
    assert len(found) == 500
    found.opened.add((ROOT, b"d7"))
    found.arrange()
    assert len(found) == 600


@given(PATHS, st.booleans(), st.integers(10, 200))
def test_no_line_is_wider_than_it_may_be_nor_drives_a_terminal(paths: list[bytes], tree: bool, wide: int) -> None:
    some = [Row(ROOT, path, "file", "A", 1, 3, 5, "$ \x1b[2J", "claimed and true", "note") for path in sorted(paths)]
    found = FileList(Listing(1, some, ()), Look(tree=tree))
    for n in range(len(found)):
        line = found.line(n, wide)
        assert width(line) <= wide
        assert "\x1b" not in words(line)


@given(PATHS)
def test_every_file_is_found_at_the_line_that_it_is_on(paths: list[bytes]) -> None:
    found = FileList(Listing(1, [Row(ROOT, path, "file", "A") for path in sorted(paths)], ()), Look())
    for path in paths:
        line = found.find((ROOT, path))
        assert line is not None and found.key(line) == (ROOT, path)
