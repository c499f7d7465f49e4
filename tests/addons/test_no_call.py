"""The warning after a run without a model call says which of the reasons it was, and what to try."""

from __future__ import annotations

from tapes_addons.no_call import explain

QUIET: dict[str, object] = {"connections": 0, "hosts": [], "refused": [], "past": [], "can_tell": True}


def test_a_program_that_made_no_call_is_not_suspected_of_anything() -> None:
    said = explain(QUIET, "abc", "proxy")
    assert "made no call" in said
    assert "--route" not in said and "--model-host" not in said


def test_hosts_that_nobody_named_are_listed_with_the_option_that_names_them() -> None:
    hosts = [f"h{n}.example:443" for n in range(6)]
    said = explain(QUIET | {"connections": 7, "hosts": hosts}, "abc", "proxy")
    assert "h0.example:443, h1.example:443, h2.example:443, h3.example:443 and 2 more" in said
    assert "--model-host HOST" in said and "tapes show abc --egress" in said


def test_an_agent_that_went_past_us_is_told_from_both_with_the_other_route_as_the_way_out() -> None:
    for route, other in (("proxy", "base-url"), ("base-url", "proxy")):
        said = explain(QUIET | {"past": ["1.2.3.4:443 (node)"]}, "abc", route)
        assert "past us, to 1.2.3.4:443 (node)" in said
        assert f"try --route {other}" in said
        assert "made no call" not in said


def test_a_certificate_that_was_not_trusted_is_named_with_its_host() -> None:
    said = explain(QUIET | {"connections": 1, "refused": ["api.example:443"]}, "abc", "proxy")
    assert "does not trust the certificate" in said and "api.example:443" in said


def test_calls_of_another_kind_are_called_that() -> None:
    assert "none of the requests was a model call" in explain(QUIET | {"connections": 3}, "abc", "proxy")


def test_where_connections_can_not_be_seen_nothing_is_claimed() -> None:
    said = explain(QUIET | {"can_tell": False}, "abc", "proxy")
    assert "cannot tell" in said and "made no call" not in said
