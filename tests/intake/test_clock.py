"""A clock that goes backwards (set by hand, by the network, by a machine that slept): order is the chain's, not the
clock's, and no duration is negative.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from contract.archive_suite import open_session
from intake.test_writer import ANSWER, DONE, PROMPT, SECOND, Desk, exchange
from strategies import note
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.intake.opening import adopt
from tapes.session.rows import summary_of
from tapes.session.view import steps
from tapes.wire.exchange import Finished, Moment

DAY_NS = 86_400 * 10**9


@pytest.fixture(params=[DAY_NS, 3_000 * 365 * DAY_NS], ids=["by days", "to before all clocks"])
def backwards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the wall clock tells an earlier time than the one before."""
    start, calls = time.time_ns(), itertools.count()
    monkeypatch.setattr(time, "time_ns", lambda: max(-(2**62), start - next(calls) * request.param))


@pytest.mark.usefixtures("backwards")
def test_a_session_written_while_the_clock_goes_back_is_whole_and_in_order() -> None:
    desk = Desk()
    for happening in [*exchange("a", [PROMPT], ANSWER), *exchange("b", SECOND, DONE)]:
        desk.writer.put(happening)
        assert desk.writer.wait_safe(10)
    assert desk.writer.close({"status": 0, "signal": None}, 10)
    records = [record for _, record in desk.archive.session_records(desk.session)]
    assert [record.seq for record in records] == list(range(len(records)))
    assert [record.type for record in records][-1] == "session.close"
    assert records[-1].wall_ns < records[0].wall_ns
    ends = [record.body for record in records if record.type == "exchange.end"]
    assert all(end["duration_us"] >= 0 and end["headers_us"] >= 0 and min(end["times"]) >= 0 for end in ends)
    row = summary_of(desk.archive, desk.session)
    assert row.closed and row.exchanges == 2 and row.ended_ns >= row.started_ns
    told = list(steps(desk.archive, desk.session))
    assert told and [step.number for step in told] == list(range(1, len(told) + 1))
    assert verify(desk.archive).ok


def test_a_monotonic_clock_that_began_anew_makes_no_negative_times() -> None:
    """As after a restart of the machine, or from one that suspended it."""
    desk = Desk()
    first, answered, arrived, _ = exchange("a", [PROMPT], DONE)
    late = Moment(first.at.wall_ns, 5)
    for happening in (first, answered, arrived, Finished("a", late, "eof")):
        desk.writer.put(happening)
    assert desk.writer.close({}, 10)
    (end,) = (record.body for _, record in desk.records("exchange.end"))
    assert end["duration_us"] == 0 and min(end["times"]) >= 0
    assert verify(desk.archive).ok


@pytest.mark.usefixtures("backwards")
def test_a_session_is_adopted_though_it_seems_to_begin_in_the_future() -> None:
    desk = Desk()
    for happening in exchange("a", [PROMPT], ANSWER)[:2]:
        desk.writer.put(happening)
    assert desk.writer.wait_safe(10)
    summary, _ = adopt(desk.archive, desk.session, lost_since_ns=time.time_ns())
    assert summary.gaps == 1 and summary.ended_ns >= summary.started_ns
    assert verify(desk.archive).ok


@pytest.mark.usefixtures("backwards")
def test_the_archive_on_disk_takes_any_time_that_a_clock_can_tell(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        for _ in range(3):
            archive.commit(Batch([note(session)]))
        assert [record.seq for _, record in archive.session_records(session)] == [0, 1, 2, 3]
        assert verify(archive).ok
