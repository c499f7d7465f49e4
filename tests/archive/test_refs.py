from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.archive_suite import open_session
from strategies import note, opening
from tapes.archive.base import Batch
from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.refs import Ref, check_name, resolve
from tapes.errors import Ambiguous, NotFound, UsageError
from tapes.record.digest import Digest


@pytest.fixture
def archive() -> MemoryArchive:
    """Three sessions, the second of them called `work`, each with a note."""
    archive = MemoryArchive()
    for n in range(3):
        first = opening()
        archive.commit(Batch([first, note(first)], names={"work": first} if n == 1 else {}))
    return archive


def test_a_name_leads_to_its_session(archive: MemoryArchive) -> None:
    assert resolve(archive, "work") == Ref(archive.sessions()[1])


def test_at_is_the_latest_and_the_tilde_counts_back(archive: MemoryArchive) -> None:
    sessions = archive.sessions()
    assert [resolve(archive, ref).session for ref in ("@", "@~0", "@~1", "@~2")] == [sessions[n] for n in (2, 2, 1, 0)]
    with pytest.raises(NotFound, match="3 sessions") as caught:
        resolve(archive, "@~3")
    assert "tapes log" in caught.value.hint


def test_in_an_empty_archive_nothing_is_the_latest() -> None:
    with pytest.raises(NotFound, match="no session yet") as caught:
        resolve(MemoryArchive(), "@")
    assert "tapes run" in caught.value.hint


def test_the_beginning_of_a_hash_leads_to_a_session_or_a_record(archive: MemoryArchive) -> None:
    session = archive.sessions()[0]
    record, _ = archive.session_record(session, 1)
    for size in (12, 13, 64):
        assert resolve(archive, session.hex()[:size]) == Ref(session)
        assert resolve(archive, record.hex()[:size].upper()) == Ref(session, record)


@pytest.mark.parametrize("ref", ["work", "@", "@~1"])
def test_a_step_is_named_behind_a_colon(archive: MemoryArchive, ref: str) -> None:
    assert resolve(archive, f"{ref}:12") == Ref(resolve(archive, ref).session, None, 12)
    assert resolve(archive, f"{ref}:0").step == 0


def test_a_name_wins_over_a_hash(archive: MemoryArchive) -> None:
    first, last = archive.sessions()[0], archive.sessions()[2]
    archive.commit(Batch([], names={last.hex()[:8]: first}))
    assert resolve(archive, last.hex()[:8]).session == first


def test_an_ambiguous_beginning_lists_what_each_candidate_is() -> None:
    archive = MemoryArchive()
    session = open_session(archive)
    archive.commit(Batch([note(session, str(n)) for n in range(2)]))
    found = [digest for _, digest, _ in archive.log()]
    archive._by_hash = {Digest(b"\xab\xcd" + digest[2:]): n for n, digest in enumerate(found, 1)}
    archive._logged = lambda pos: archive._records[pos - 1]  # type: ignore[method-assign]
    archive.record = lambda digest: archive_record(archive, digest)  # type: ignore[method-assign]
    with pytest.raises(Ambiguous) as caught:
        resolve(archive, "abcd")
    text = str(caught.value)
    assert len(caught.value.candidates) == 3 and all(len(c) == 64 for c in caught.value.candidates)
    assert text.count("note of session") == 2 and "  session" in text
    assert "more digits" in caught.value.hint


def archive_record(archive: MemoryArchive, digest: Digest):  # type: ignore[no-untyped-def]
    """Its hashes were changed so that they begin alike, which no honest archive of three records does."""
    from tapes.record.kinds import read_record

    return read_record(archive._records[archive._by_hash[digest] - 1])


@pytest.mark.parametrize("ref", ["nobody", "abc", "ffffffffffff", "work2", "@~9999"])
def test_what_is_not_there_is_not_found_and_says_what_to_type(archive: MemoryArchive, ref: str) -> None:
    with pytest.raises(NotFound) as caught:
        resolve(archive, ref)
    assert caught.value.hint


@pytest.mark.parametrize("ref", ["", "-x", "@x", "@~", "a b", "work:", "work:x", ":3", "../x", "a\nb"])
def test_what_cannot_be_a_ref_is_a_usage_error(archive: MemoryArchive, ref: str) -> None:
    with pytest.raises(UsageError):
        resolve(archive, ref)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_any_text_resolves_or_is_refused_politely(text: str) -> None:
    archive = MemoryArchive()
    open_session(archive)
    try:
        resolve(archive, text)
    except (NotFound, UsageError):
        return


@pytest.mark.parametrize("name", ["a", "fix-login", "v1.2_x", "größe", "日本", "0", "x" * 64])
def test_letters_of_any_script_make_a_name(name: str) -> None:
    assert check_name(name) == name
