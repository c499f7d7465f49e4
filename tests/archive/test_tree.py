from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.archive import tree
from tapes.archive.base import Link
from tapes.archive.node import Node, children, link_entry, literal_entry, read_node
from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import blob_digest, node_digest

D = blob_digest(b"d")


def literals(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n for n in range(start, start + count)]


def grown(pieces: list[bytes], *hint: object) -> tuple[tree.Tree, dict[object, object]]:
    entries = [literal_entry(piece) for piece in pieces]
    made, nodes = tree.grow(entries, [len(piece) for piece in pieces], *hint)  # type: ignore[arg-type]
    return made, dict(nodes)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(0, 60), st.integers(0, 60), st.integers(0, 400))
def test_nodes_taken_over_from_the_tree_before_are_those_that_would_be_made(
    at: int, removed: int, added: int, size: int
) -> None:
    before = literals(size)
    at = min(at, size)
    after = before[:at] + literals(added, 10_000) + before[at + removed :]
    old, nodes = grown(before)
    head, tail = at, len(before[at + removed :])
    hinted, new = grown(after, old, head, tail)
    alone, everything = grown(after)
    assert hinted.root == alone.root
    assert [row.ends for row in hinted.rows] == [row.ends for row in alone.rows]
    assert everything.keys() <= nodes.keys() | new.keys()


def test_every_node_has_between_4_and_256_entries_but_for_the_last() -> None:
    made, _ = grown([b"%d" % n for n in range(20_000)])
    for row in made.rows:
        starts = [0, *row.ends[:-1]]
        counts = [end - start for start, end in zip(starts, row.ends, strict=True)]
        assert all(4 <= count <= 256 for count in counts[:-1])
        assert row.ends[-1] == len(row.entries)
    assert len(made.rows[-1].nodes) == 1


def test_a_node_of_entries_without_a_boundary_ends_at_256() -> None:
    piece = next(p for p in literals(100) if tree.crc32(literal_entry(p)) & tree.BOUNDARY_MASK)
    made, _ = grown([piece] * 600)
    assert made.rows[0].ends == [256, 512, 600]


def test_a_node_is_canonical_and_says_what_it_holds() -> None:
    entries = [literal_entry(b"abc"), link_entry(D, 70_000)]
    made, nodes = tree.grow(entries, [3, 70_000])
    kind, data = nodes[made.root]
    assert kind == "node" and node_digest(data) == made.root
    assert canon.decode(data) == [0, [b"abc", [bytes(D), 70_000]]]
    node = read_node(data)
    assert node == Node(0, (b"abc", Link(D, 70_000)), 70_003)
    assert children(data) == [D]


def test_an_empty_body_has_a_root_too() -> None:
    made, nodes = tree.grow([], [])
    assert read_node(nodes[made.root][1]) == Node(0, (), 0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [0],
        [0, [], 1],
        ["0", []],
        [-1, []],
        [True, []],
        [33, []],
        [0, [b""]],
        [0, ["text"]],
        [0, [[b"short", 4]]],
        [0, [[D, 0]]],
        [0, [[D, -5]]],
        [0, [[D, True]]],
        [0, [[D]]],
        [1, [b"a literal above the leaves"]],
        {"level": 0},
    ],
)
def test_other_values_are_not_nodes(value: object) -> None:
    with pytest.raises(Damaged):
        read_node(canon.encode(value))
