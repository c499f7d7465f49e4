from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.archive.base import Batch, Draft
from tapes.archive.memory_archive import MemoryArchive
from tapes.record.digest import blob_digest
from tapes.record.listing import Entry
from tapes_addons.worktree import parts

sizes = st.integers(0, 10) | st.integers(0, 3 * parts.PART_BYTES)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.binary(min_size=1, max_size=8), sizes, max_size=400))
def test_parts_are_all_rows_in_order_and_small(rows: dict[bytes, int]) -> None:
    found = [part.rows for part in parts.gather((path, rows[path], path) for path in sorted(rows))]
    assert [path for part in found for path in part] == sorted(rows)
    for part in found:
        assert 0 < len(part) <= parts.PART_ROWS
        assert len(part) == 1 or sum(rows[path] for path in part) <= parts.PART_BYTES


def test_a_changed_row_changes_no_part_but_those_around_it() -> None:
    paths = [b"%05d" % n for n in range(5000)]
    before = {tuple(part.rows) for part in parts.gather((path, 10, path) for path in paths)}
    paths.insert(2500, b"02499+")
    after = {tuple(part.rows) for part in parts.gather((path, 10, path) for path in paths)}
    assert len(after - before) <= 2 and len(before) > 20


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.integers(1, 300_000).map(lambda n: (b"%d, " % n) * (n // 5)), max_size=5))
def test_contents_come_back_and_a_file_that_is_stored_already_takes_no_room(contents: list[bytes]) -> None:
    archive = MemoryArchive()
    entries = [
        Entry(b"%d" % n, "file", 0o644, len(content), 0, blob_digest(content), len(content))
        for n, content in enumerate(contents)
    ]
    cut = parts.bodies(entries, contents)
    opening = Draft("session.open", {"agent": "f", "argv": [b"f"], "cwd": b"/", "scheme": "plain"}, None)
    archive.commit(Batch(drafts=[opening], objects=cut.objects))
    assert (archive.body(cut.content) if cut.content else b"") == b"".join(contents)
    more = parts.bodies([*entries, Entry(b"x", "file", 0, 3, 0, blob_digest(b"new"), 3)], [*contents, b"new"])
    blobs = [data for digest, (kind, data) in more.objects.items() if kind == "blob" and not archive.has_object(digest)]
    assert b"new" in blobs and sum(map(len, blobs)) < 20_000, "its rows, and what is new"
