"""What a run's network traffic leaves behind for the warning that explains a run without a model call."""

from __future__ import annotations

from dataclasses import replace

from tapes.intake.recording import LAUNCH, Who
from tapes.wire.exchange import Egress, Happening, Moment, Opened, PassedBy
from tapes_addons.no_call import explain
from tapes_addons.seen import Seen

CALL = Opened("k", Moment.now(), "POST", "https://h/v1", "HTTP/1.1", (), b"", "raw", "model", "c", "proxy")
TUNNEL = Egress(Moment.now(), "other.example", 443, "tunnel", 1, 1, 0)


def test_everything_reaches_the_writer_and_its_answer_comes_back() -> None:
    kept: list[tuple[Happening, Who]] = []

    def put(happening: Happening, who: Who) -> bool:
        kept.append((happening, who))
        return happening is not CALL

    tapped = Seen(1).tap(put)
    passed = PassedBy("h", "GET", "/")
    assert [tapped(happening, LAUNCH) for happening in (CALL, TUNNEL, passed)] == [False, True, True]
    assert kept == [(CALL, LAUNCH), (TUNNEL, LAUNCH), (passed, LAUNCH)]


def test_hosts_are_told_from_those_that_did_not_trust_us_and_each_is_named_once() -> None:
    seen = Seen(1)
    for happening in (TUNNEL, TUNNEL, replace(TUNNEL, host="api.example", how="refused")):
        seen.happened(happening)
        seen.client_connected(None)
    report = seen.report()
    assert (report["connections"], report["hosts"]) == (3, ["other.example:443"])
    assert report["refused"] == ["api.example:443"]
    assert "other.example:443" in explain(report, "abc", "proxy")
