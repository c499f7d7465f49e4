"""The duties of an archive (tapes/archive/base.py), held against each implementation.

A test module subclasses `ArchiveSuite` and gives it a fixture `archive`: an empty one.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import replace
from typing import Any

import pytest

from strategies import note, opening
from tapes.archive.base import FIND_LIMIT, Archive, Batch, Draft, Subtrees
from tapes.archive.cut import Cutter, cut_once
from tapes.archive.redaction import Decided, Withholding
from tapes.archive.verify import verify
from tapes.errors import Damaged, NotFound, UsageError, Withheld
from tapes.record.digest import Digest, blob_digest, record_digest
from tapes.record.kinds import BodyRef

UNKNOWN = Digest(b"\x01" * 32)
TEXT = b'{"messages":["' + b"word " * 400 + b'","' + b"other " * 3000 + b'"]}'


def open_session(archive: Archive, **body: Any) -> Digest:
    return archive.commit(Batch([opening(**body)]))[0]


def an_exchange(session: Any, data: bytes = TEXT) -> tuple[Draft, Batch]:
    """A draft of `exchange.open` with a request, and the batch that stores it."""
    cut = cut_once(data)
    body = {"method": "POST", "url": "u", "class": "model", "headers": [], "request": cut.ref.to_value()}
    draft = Draft("exchange.open", body, session)
    return draft, Batch([draft], dict(cut.objects))


def a_part(session: Any, exchange: Draft, data: bytes, offset: int = 0, n: int = 0) -> Draft:
    body = {"n": n, "offset": offset, "length": len(data), "data": blob_digest(data), "times": []}
    return Draft("exchange.part", body, session, (exchange,))


def an_end(session: Any, exchange: Draft, ref: BodyRef | None) -> Draft:
    body = {"outcome": "complete", "status": 200, "response": ref.to_value() if ref else None}
    return Draft("exchange.end", body, session, (exchange,))


def withhold(archive: Archive, session: Digest, records: Any = None, bodies: Any = ()) -> Digest:
    """Commit a redaction of records by seq (None: all), and of bodies by hash; its own hash."""
    found = list(archive.session_records(session))
    wanted = Withholding(session, bodies=dict.fromkeys(bodies))
    for digest, record in found:
        if not Decided(found).record(record) and (records is None or record.seq in records):
            wanted.records[digest] = record
    return archive.commit(Batch([wanted.draft(who="me", reason="test", what="session", tapes="0")]))[0]


def is_sound(archive: Archive) -> bool:
    """The checker as the last line of other tests."""
    report = verify(archive)
    assert report.findings == []
    return report.records == archive.last()


class ArchiveSuite:
    @pytest.fixture
    def archive(self) -> Archive:
        raise NotImplementedError

    def carried_out(self, archive: Archive) -> Archive:
        """The archive once all that its redactions ask for is destroyed."""
        raise NotImplementedError

    # -- records and chains

    def test_an_empty_archive_has_nothing(self, archive: Archive) -> None:
        assert (archive.last(), archive.sessions(), archive.names(), list(archive.log())) == (0, [], {}, [])
        assert archive.latest() is None and archive.named("b") is None
        assert archive.head(UNKNOWN) is None
        assert is_sound(archive)

    def test_the_hash_of_the_opening_is_the_session(self, archive: Archive) -> None:
        draft = opening()
        assert archive.commit(Batch([draft])) == [draft.hash]
        assert draft.hash is not None
        assert archive.sessions() == [draft.hash]
        assert archive.head(draft.hash) == (draft.hash, 0)
        assert archive.record(draft.hash).session is None
        assert record_digest(archive.record_raw(draft.hash)) == draft.hash

    def test_records_of_a_batch_are_linked_in_order(self, archive: Archive) -> None:
        first = opening()
        notes = [note(first, str(n)) for n in range(3)]
        digests = archive.commit(Batch([first, *notes]))
        records = [archive.record(digest) for digest in digests]
        assert [record.seq for record in records] == [0, 1, 2, 3]
        assert [record.prev for record in records] == [None, *digests[:3]]
        assert [record.session for record in records[1:]] == [digests[0]] * 3
        assert [record.body["text"] for record in records[1:]] == ["0", "1", "2"]
        assert is_sound(archive)

    def test_a_draft_can_be_session_and_parent_before_and_after_its_commit(self, archive: Archive) -> None:
        first = opening()
        use = Draft("tool.use", {"id": "1", "name": "Bash"}, first)
        started = Draft("note", {}, first, (use,))
        archive.commit(Batch([first, use, started]))
        ended = Draft("note", {}, first, (started, use))
        archive.commit(Batch([ended]))
        assert started.hash and use.hash and ended.hash
        assert archive.record(started.hash).parents == (use.hash,)
        assert archive.record(ended.hash).parents == (started.hash, use.hash)
        assert is_sound(archive)

    def test_sessions_interleave_in_the_log_and_keep_chains_of_their_own(self, archive: Archive) -> None:
        one, two = opening(), opening()
        archive.commit(Batch([one, two, note(one), note(two), note(one)]))
        assert one.hash and two.hash
        assert archive.sessions() == [one.hash, two.hash]
        assert [archive.latest(back) for back in range(3)] == [two.hash, one.hash, None]
        assert [archive.head(s)[1] for s in archive.sessions()] == [2, 1]  # type: ignore[index]
        assert [record.seq for _, record in archive.session_records(two.hash)] == [0, 1]
        assert [record.seq for _, _, record in archive.log()] == [0, 0, 1, 1, 2]
        assert is_sound(archive)

    def test_writer_boot_times_and_nonce_are_kept(self, archive: Archive) -> None:
        first = opening()
        first.wall_ns, first.mono_ns, first.nonce = 5, 6, b"n" * 16
        digest = archive.commit(Batch([first]))[0]
        record = archive.record(digest)
        assert (record.wall_ns, record.mono_ns, record.nonce) == (5, 6, b"n" * 16)
        assert len(record.writer) == 16
        other = archive.commit(Batch([note(first)]))[0]
        assert archive.record(other).writer == record.writer

    def test_equal_content_twice_is_two_records(self, archive: Archive) -> None:
        session = open_session(archive)
        one, two = archive.commit(Batch([note(session, "x"), note(session, "x")]))
        assert one != two

    # -- the log

    def test_the_log_goes_on_behind_a_place(self, archive: Archive) -> None:
        session = open_session(archive)
        archive.commit(Batch([note(session, str(n)) for n in range(300)]))
        rows = list(archive.log())
        assert [pos for pos, _, _ in rows] == list(range(1, 302)) and archive.last() == 301
        assert list(archive.log(after=290)) == rows[290:]
        assert list(archive.log(after=301)) == []
        assert all(archive.position(digest) == pos for pos, digest, _ in rows)
        assert archive.at(17) == rows[16][1:]
        records = list(archive.session_records(session))
        assert len(records) == 301
        assert all(list(archive.session_records(session, n)) == records[n:] for n in (1, 127, 128, 290, 301, 400))

    def test_the_log_can_be_read_while_it_grows(self, archive: Archive) -> None:
        session = open_session(archive)
        log = archive.log()
        assert next(log)[0] == 1
        archive.commit(Batch([note(session, "later")]))
        assert [record.body["text"] for _, _, record in log] == ["later"]

    def test_a_record_of_a_session_is_found_by_its_number(self, archive: Archive) -> None:
        session = open_session(archive)
        digest = archive.commit(Batch([note(session, "one")]))[0]
        assert archive.session_record(session, 1)[0] == digest
        with pytest.raises(NotFound):
            archive.session_record(session, 2)

    def test_what_two_bodies_have_in_common_need_not_be_read_twice(self, archive: Archive) -> None:
        session = open_session(archive)
        text = bytes(random.Random(1).choices(b"abc \n", k=1_500_000))
        refs = []
        for data in (text, text + b"and more", text[:700_000] + b"between" + text[700_000:]):
            draft, batch = an_exchange(session, data)
            archive.commit(batch)
            refs.append(BodyRef.of(draft.body["request"]))
        known: Subtrees = {}
        for ref in refs:
            before = dict(known)
            leaves = list(archive.leaves(ref, known))
            assert leaves == list(archive.leaves(ref)) == list(archive.leaves(ref, known))
            assert not before or 0 < len(known) - len(before) < len(before)
            assert b"".join(archive.contents(leaves)) == archive.body(ref)
            assert list(archive.contents(leaves[::-7])) == [archive.leaf(leaf) for leaf in leaves[::-7]]
        assert list(archive.contents([])) == []
        level, length, below = known[next(iter(known))]
        known |= dict.fromkeys(known, (level, length + 1, below))
        with pytest.raises(Damaged, match="does not fit"):
            list(archive.leaves(refs[0], known))

    def test_what_is_not_there_is_not_found(self, archive: Archive) -> None:
        for read in (archive.record, archive.record_raw, archive.position, archive.object, archive.blob, archive.tail):
            with pytest.raises(NotFound):
                read(UNKNOWN)  # type: ignore[operator]
        with pytest.raises(NotFound):
            archive.at(1)
        with pytest.raises(NotFound):
            archive.session_records(UNKNOWN)
        with pytest.raises(NotFound):
            archive.body(BodyRef(UNKNOWN, 1, UNKNOWN))
        assert archive.summary(UNKNOWN) is None
        assert archive.body_records(UNKNOWN) == []

    def test_records_are_found_by_the_beginning_of_their_hash(self, archive: Archive) -> None:
        session = open_session(archive)
        digests = archive.commit(Batch([note(session, str(n)) for n in range(40)]))
        for size in (1, 4, 5, 63, 64):
            prefix = digests[7].hex()[:size]
            expected = sorted(d for d in [session, *digests] if d.hex().startswith(prefix))
            assert archive.find(prefix) == expected[:FIND_LIMIT]
        assert len(archive.find("")) == FIND_LIMIT
        for nothing in ("f" * 64, "F", "xy", "0" * 65):
            assert archive.find(nothing) == []

    # -- all or nothing

    def test_a_refused_batch_leaves_nothing(self, archive: Archive) -> None:
        session = open_session(archive)
        good, bad = note(session, "good"), note(UNKNOWN)
        cut = cut_once(TEXT)
        before = archive.size()
        with pytest.raises(NotFound):
            archive.commit(Batch([good, bad], dict(cut.objects), names={"name": session}))
        assert good.hash is None and archive.last() == 1 and archive.names() == {}
        assert not archive.has_object(cut.ref.node)
        assert archive.size() == before
        archive.commit(Batch([good]))
        assert good.hash and is_sound(archive)

    def test_a_draft_is_committed_once(self, archive: Archive) -> None:
        first = opening()
        archive.commit(Batch([first]))
        for drafts in ([first], [twice := note(first), twice]):
            with pytest.raises(UsageError, match="before"):
                archive.commit(Batch(drafts))
        assert archive.last() == 1

    def test_a_reference_to_a_draft_that_was_never_committed_is_refused(self, archive: Archive) -> None:
        lost = opening()
        session = open_session(archive)
        for draft in (note(lost), Draft("note", {}, session, (note(session),))):
            with pytest.raises(UsageError, match="never committed"):
                archive.commit(Batch([draft]))

    def test_a_parent_that_does_not_exist_is_refused(self, archive: Archive) -> None:
        session = open_session(archive)
        with pytest.raises(NotFound, match="parent"):
            archive.commit(Batch([Draft("note", {}, session, (UNKNOWN,))]))

    @pytest.mark.parametrize("body", [{"text": 1.5}, {"text": object()}, {1: "x"}])
    def test_a_body_that_cannot_be_written_is_refused(self, archive: Archive, body: Any) -> None:
        session = open_session(archive)
        with pytest.raises(UsageError, match="cannot be written"):
            archive.commit(Batch([Draft("note", body, session)]))

    # -- names and summaries

    def test_a_name_belongs_to_one_session(self, archive: Archive) -> None:
        one, two = opening(), opening()
        archive.commit(Batch([one, two], names={"b": one, "ä.1": two}))
        assert one.hash and two.hash
        assert archive.names() == {"b": one.hash, "ä.1": two.hash}
        assert (archive.named("b"), archive.named("ä.1")) == (one.hash, two.hash)
        assert not any(archive.named(name) for name in ("c", "", "\udcff", "b" * 1000))
        archive.commit(Batch([], names={"b": one.hash, "c": one.hash}))
        late = note(two)
        with pytest.raises(UsageError, match="belongs to session"):
            archive.commit(Batch([late], names={"b": two}))
        assert late.hash is None and archive.names()["b"] == one.hash

    @pytest.mark.parametrize("name", ["", "@", "-x", "a:b", "a b", "x" * 65, "a/b", "\x1b[m"])
    def test_a_malformed_name_is_refused(self, archive: Archive, name: str) -> None:
        with pytest.raises(UsageError, match="cannot be a name"):
            archive.commit(Batch([first := opening()], names={name: first}))
        assert archive.last() == 0

    def test_a_name_for_no_session_is_refused(self, archive: Archive) -> None:
        with pytest.raises(NotFound):
            archive.commit(Batch([], names={"x": UNKNOWN}))

    def test_a_summary_is_replaced_and_removed(self, archive: Archive) -> None:
        first = opening()
        archive.commit(Batch([first], summaries={first: b"one"}))
        assert first.hash and archive.summary(first.hash) == b"one"
        archive.commit(Batch([], summaries={first.hash: b"two"}))
        assert archive.summary(first.hash) == b"two"
        archive.commit(Batch([], summaries={first: b""}))
        assert archive.summary(first.hash) is None

    # -- bodies

    @pytest.mark.parametrize("data", [b"", b"x", TEXT, os.urandom(300_000), b'"' * 70_000], ids=len)
    def test_a_body_comes_back_byte_for_byte(self, archive: Archive, data: bytes) -> None:
        session = open_session(archive)
        draft, batch = an_exchange(session, data)
        digest = archive.commit(batch)[0]
        ref = BodyRef.of(archive.record(digest).body["request"])
        assert archive.body(ref) == b"".join(archive.body_chunks(ref)) == data
        assert (ref.length, ref.hash) == (len(data), blob_digest(data))
        assert archive.body_records(ref.hash) == [draft.hash]
        assert is_sound(archive)

    @pytest.mark.parametrize("data", [b"", b"x", TEXT, os.urandom(300_000)], ids=len)
    def test_a_range_of_a_body_is_the_same_slice_of_it(self, archive: Archive, data: bytes) -> None:
        session = open_session(archive)
        draft, batch = an_exchange(session, data)
        archive.commit(batch)
        ref = BodyRef.of(draft.body["request"])
        size, draw = len(data), random.Random(7)
        ranges = [(0, size), (0, 0), (size, 1), (size + 9, 9), (0, size + 9)]
        ranges += [(draw.randrange(size + 1), draw.choice((1, 60, 5000, size))) for _ in range(60)]
        for offset, length in ranges:
            assert archive.body_range(ref, offset, length) == data[offset : offset + length]
        for offset, length in ((-1, 1), (0, -1)):
            with pytest.raises(UsageError):
                archive.body_range(ref, offset, length)
        with pytest.raises(Damaged):
            archive.body_range(replace(ref, length=ref.length + 1), 0, 1)
        with pytest.raises(NotFound):
            archive.body_range(replace(ref, node=UNKNOWN), 0, 1)

    def test_bodies_that_grow_share_what_they_have_in_common(self, archive: Archive) -> None:
        session = open_session(archive)
        cutter, parts, refs = Cutter(), [b'"' + os.urandom(40).hex().encode() * 9 + b'"' for _ in range(60)], []
        for n in range(1, 61):
            data = b"[" + b",".join(parts[:n]) + b"]"
            cut = cutter.cut(data)
            draft = an_exchange(session, data)[0]
            archive.commit(Batch([draft], cut.objects))
            refs.append((cut.ref, data))
        assert all(archive.body(ref) == data for ref, data in refs)
        assert archive.size()["objects"] < 60 * 8
        assert is_sound(archive)

    def test_the_same_body_twice_is_stored_once_and_found_by_both_records(self, archive: Archive) -> None:
        session = open_session(archive)
        digests = [archive.commit(an_exchange(session)[1])[0] for _ in range(2)]
        assert archive.size()["objects"] == len(cut_once(TEXT).objects)
        assert archive.body_records(blob_digest(TEXT)) == digests

    def test_a_record_whose_body_has_a_hole_is_refused(self, archive: Archive) -> None:
        session = open_session(archive)
        draft, batch = an_exchange(session)
        blob = next(digest for digest, (kind, _) in batch.objects.items() if kind == "blob")
        for lost in (blob, cut_once(TEXT).ref.node):
            objects = {digest: item for digest, item in batch.objects.items() if digest != lost}
            with pytest.raises(NotFound, match="neither in the archive nor in the batch"):
                archive.commit(Batch([draft], objects))
        assert draft.hash is None
        archive.commit(batch)
        assert is_sound(archive)

    def test_a_reference_that_does_not_fit_its_tree_is_damage(self, archive: Archive) -> None:
        session = open_session(archive)
        archive.commit(an_exchange(session)[1])
        ref = cut_once(TEXT).ref
        blob = next(digest for digest, (kind, _) in cut_once(TEXT).objects.items() if kind == "blob")
        for wrong in (replace(ref, length=ref.length + 1), replace(ref, hash=UNKNOWN), replace(ref, node=blob)):
            with pytest.raises(Damaged):
                archive.body(wrong)
        with pytest.raises(Damaged):
            archive.blob(ref.node)

    def test_a_blob_that_is_a_valid_record_is_not_one(self, archive: Archive) -> None:
        session = open_session(archive)
        data = archive.record_raw(session)
        digest = blob_digest(data)
        archive.commit(Batch([note(session)], {digest: ("blob", data)}))
        assert archive.blob(digest) == data and digest != session
        with pytest.raises(NotFound):
            archive.record(digest)

    # -- parts of a response

    def test_a_part_is_kept_aside_until_the_response_has_it(self, archive: Archive) -> None:
        session = open_session(archive)
        exchange, batch = an_exchange(session)
        archive.commit(batch)
        one, two = a_part(session, exchange, b"hello "), a_part(session, exchange, b"world", 6, 1)
        archive.commit(Batch([one, two], tails={one: b"hello ", two: b"world"}))
        assert one.hash and two.hash
        assert (archive.tail(one.hash), archive.tail(two.hash)) == (b"hello ", b"world")
        assert is_sound(archive)
        cut = cut_once(b"hello world")
        end = an_end(session, exchange, cut.ref)
        archive.commit(Batch([end], cut.objects, drop_tails=[one, two.hash]))
        assert archive.tail(one.hash) is None and archive.body(cut.ref) == b"hello world"
        assert is_sound(archive)

    def test_a_part_whose_bytes_went_nowhere_is_found(self, archive: Archive) -> None:
        session = open_session(archive)
        exchange, batch = an_exchange(session)
        archive.commit(batch)
        lost, wrong = a_part(session, exchange, b"lost"), a_part(session, exchange, b"hello", 3)
        archive.commit(Batch([lost, wrong], tails={lost: b"lost", wrong: b"hello"}))
        cut = cut_once(b"hello world")
        archive.commit(Batch([an_end(session, exchange, cut.ref)], cut.objects, drop_tails=[wrong]))
        report = verify(archive)
        assert [(f.pos, f.where) for f in report.findings] == [(4, wrong.hash.hex())]  # type: ignore[union-attr]
        archive.commit(Batch([], drop_tails=[lost]))
        assert {f.pos for f in verify(archive).findings} == {3, 4}
        assert verify(archive).first_bad.pos == 3  # type: ignore[union-attr]

    # -- many hands

    def test_threads_that_write_one_session_make_one_chain(self, archive: Archive) -> None:
        session = open_session(archive)

        def write(name: str) -> None:
            for n in range(25):
                archive.commit(Batch([note(session, f"{name} {n}")]))

        threads = [threading.Thread(target=write, args=(str(n),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        texts = [record.body.get("text") for _, record in archive.session_records(session)][1:]
        assert len(texts) == 100
        assert all([t for t in texts if t.startswith(f"{n} ")] == [f"{n} {i}" for i in range(25)] for n in range(4))
        assert is_sound(archive)

    def test_one_session_is_verified_by_itself(self, archive: Archive) -> None:
        one, two = opening(), opening()
        archive.commit(Batch([one, two, note(one), note(two)]))
        assert one.hash is not None
        report = verify(archive, one.hash)
        assert (report.records, report.ok, report.first_bad) == (2, True, None)
        with pytest.raises(NotFound):
            verify(archive, UNKNOWN)

    # -- what is withheld

    def test_a_withheld_session_leaves_its_hashes_and_links_and_nothing_it_said(self, archive: Archive) -> None:
        one, two = opening(name="secret-name"), opening()
        archive.commit(Batch([one, two], names={"secret-name": one, "other": two}, summaries={one: b"secret row"}))
        exchange, batch = an_exchange(one)
        archive.commit(batch)
        part = a_part(one, exchange, b"secret bytes")
        archive.commit(Batch([part, note(one, "secret"), note(two, "kept")], tails={part: b"secret bytes"}))
        assert one.hash and two.hash and part.hash
        before = [(digest, r.seq, r.prev, r.parents) for digest, r in archive.session_records(one.hash)]
        said = withhold(archive, one.hash)
        archive = self.carried_out(archive)
        after = list(archive.session_records(one.hash))
        assert [(digest, r.seq, r.prev, r.parents) for digest, r in after][:-1] == before
        assert [r.type for _, r in after] == ["withheld"] * 4 + ["redaction"]
        assert {r.body["by"] for _, r in after[:-1]} == {said}
        assert archive.names() == {"other": two.hash} and archive.summary(one.hash) is None
        assert not archive.has_object(cut_once(TEXT).ref.node) and archive.size()["objects"] == 0
        assert archive.tail(part.hash) is None and archive.body_records(blob_digest(TEXT)) == []
        with pytest.raises(Withheld, match=said.short()):
            archive.record_raw(one.hash)
        assert archive.record(one.hash).body["type"] == "session.open"
        assert archive.find(one.hash.hex()) == [one.hash]
        assert is_sound(archive)
        report = verify(archive)
        assert {by: (gone.records, gone.bodies) for by, gone in report.withheld.items()} == {said.hex(): (4, 0)}
        archive.commit(Batch([note(one.hash, "later"), note(two.hash, "later")]))
        assert is_sound(archive)

    def test_a_withheld_body_is_not_damage(self, archive: Archive) -> None:
        session = open_session(archive)
        refs = []
        for text in (b"kept", b"secret"):
            draft, batch = an_exchange(session, b'["' + text * 900 + b'","' + b"both " * 2000 + b'"]')
            archive.commit(batch)
            refs.append(BodyRef.of(draft.body["request"]))
        said = withhold(archive, session, records=(), bodies=[refs[1].hash])
        assert archive.body(refs[1])
        archive = self.carried_out(archive)
        assert archive.body(refs[0]).startswith(b'["kept')
        for read in (
            archive.body,
            lambda ref: list(archive.body_chunks(ref)),
            lambda ref: list(archive.leaves(ref)),
            lambda ref: archive.body_range(ref, 5, 5),
        ):
            with pytest.raises(Withheld, match=said.short()):
                read(refs[1])
        assert [record.type for _, record in archive.session_records(session)][2] == "exchange.open"
        report = verify(archive)
        assert report.ok and [(by, gone.bodies) for by, gone in report.withheld.items()] == [(said.hex(), 1)]
        assert archive.body_records(refs[1].hash) == [archive.session_record(session, 2)[0], said]

    def test_pieces_that_another_session_needs_stay(self, archive: Archive) -> None:
        one, two = open_session(archive), open_session(archive)
        archive.commit(an_exchange(one)[1])
        archive.commit(an_exchange(two)[1])
        archive.commit(an_exchange(one, b'"' + b"alone " * 1000 + b'"')[1])
        withhold(archive, one)
        archive = self.carried_out(archive)
        assert archive.body(cut_once(TEXT).ref) == TEXT and archive.size()["objects"] == len(cut_once(TEXT).objects)
        withhold(archive, two)
        archive = self.carried_out(archive)
        assert archive.size()["objects"] == 0 and is_sound(archive)

    def test_what_is_not_carried_out_yet_is_pending_and_carrying_out_twice_changes_nothing(
        self, archive: Archive
    ) -> None:
        session = open_session(archive)
        archive.commit(an_exchange(session)[1])
        withhold(archive, session)
        assert verify(archive).pending == 2 and is_sound(archive)
        archive = self.carried_out(archive)
        assert verify(archive).pending == 0
        rows = list(archive.log())
        archive = self.carried_out(archive)
        assert list(archive.log()) == rows and is_sound(archive)

    def test_a_body_that_is_said_again_later_is_kept_again(self, archive: Archive) -> None:
        session = open_session(archive)
        archive.commit(an_exchange(session)[1])
        ref = cut_once(TEXT).ref
        withhold(archive, session, records=(), bodies=[ref.hash])
        archive = self.carried_out(archive)
        archive.commit(an_exchange(session)[1])
        assert archive.body(ref) == TEXT
        archive = self.carried_out(archive)
        assert archive.body(ref) == TEXT and is_sound(archive)

    def test_parts_of_a_withheld_answer_are_not_missed(self, archive: Archive) -> None:
        session = open_session(archive)
        exchange, batch = an_exchange(session)
        archive.commit(batch)
        one, two = a_part(session, exchange, b"hello "), a_part(session, exchange, b"world", 6, 1)
        archive.commit(Batch([one, two], tails={one: b"hello ", two: b"world"}))
        cut = cut_once(b"hello world")
        end = an_end(session, exchange, cut.ref)
        archive.commit(Batch([end], cut.objects, drop_tails=[one, two]))
        withhold(archive, session, records=(2,), bodies=[cut.ref.hash])
        archive = self.carried_out(archive)
        assert is_sound(archive)
        withhold(archive, session, records=(4,))
        archive = self.carried_out(archive)
        assert is_sound(archive) and archive.session_record(session, 3)[1].type == "exchange.part"
