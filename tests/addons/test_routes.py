"""Where requests go: maps, the user's own proxy, and who bypasses it."""

from __future__ import annotations

import pytest

from tapes.errors import UsageError
from tapes_addons.routes import HostMap, Target, UpstreamProxy, bypasses, choose_base, host_of


def test_a_map_leads_a_host_to_scheme_port_and_path_prefix() -> None:
    found = HostMap.parse(["api.anthropic.com=https://gateway.example:8443/anthropic/"]).find("API.anthropic.com", 443)
    assert found == Target("https", "gateway.example", 8443, "/anthropic")


def test_a_map_for_one_port_outranks_the_one_for_the_host() -> None:
    maps = HostMap.parse(["h=http://a", "h:8443=http://b"])
    assert [maps.find("h", 8443), maps.find("h", 443)] == [Target("http", "b", 80), Target("http", "a", 80)]


@pytest.mark.parametrize(
    "pair", ["", "host", "=http://x", "host=", "host=ftp://x", "host=http://x:port", "a/b=http://x"]
)
def test_a_malformed_map_is_refused_and_the_text_is_named(pair: str) -> None:
    with pytest.raises(UsageError, match="--map-host"):
        HostMap.parse([pair])


def test_a_host_mapped_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        HostMap.parse(["h=http://a", "H=http://b"])


def test_the_users_proxy_is_read_with_its_credentials() -> None:
    proxy = UpstreamProxy.of({"HTTPS_PROXY": "http://me:p%40ss@proxy.example:3128", "NO_PROXY": "a.example, b.example"})
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.bypass) == ("proxy.example", 3128, ("a.example", "b.example"))
    assert proxy.authorization == "Basic bWU6cEBzcw=="


def test_a_proxy_without_a_scheme_is_an_http_proxy() -> None:
    assert UpstreamProxy.of({"https_proxy": "proxy.example:3128"}) == UpstreamProxy("http", "proxy.example", 3128)


def test_a_socks_proxy_is_refused_and_the_way_out_is_named() -> None:
    with pytest.raises(UsageError) as error:
        UpstreamProxy.of({"ALL_PROXY": "socks5://127.0.0.1:1080"})
    assert "unset" in error.value.hint


def test_loopback_never_goes_through_the_users_proxy() -> None:
    proxy = UpstreamProxy("http", "proxy.example", 3128)
    assert [proxy.serves(h, 443) for h in ("127.0.0.1", "localhost", "::1", "api.example")] == [False] * 3 + [True]


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("*", "any.example", True),
        ("example.com", "example.com", True),
        ("example.com", "api.example.com", True),
        (".example.com", "api.example.com", True),
        ("*.example.com", "api.example.com", True),
        ("example.com", "notexample.com", False),
        ("example.com:8443", "example.com", False),
        ("example.com:443", "example.com", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "ten.example", False),
        ("api-*.internal", "api-7.internal", True),
    ],
)
def test_no_proxy_entries_cover_what_other_programs_take_them_to_cover(entry: str, host: str, covered: bool) -> None:
    assert bypasses(entry, host, 443) is covered


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("/openai/responses", ("o", "/responses")),
        ("/openai/responses?q=/anthropic/x", ("o", "/responses?q=/anthropic/x")),
        ("/openai", ("o", "/")),
        ("/openai?a=b", ("o", "/?a=b")),
        ("/openai/", ("o", "/")),
        ("/openai//x", ("o", "//x")),
        ("/openai-2/x", ("o2", "/x")),
        ("/openaix/x", None),
        ("/v1/openai/x", None),
        ("/", None),
        ("", None),
    ],
)
def test_the_first_segment_of_a_path_chooses_the_base_and_is_taken_away(
    path: str, chosen: tuple[str, str] | None
) -> None:
    bases = {"openai": "o", "openai-2": "o2"}
    assert choose_base(bases, path) == chosen
    assert choose_base(bases | {"": "whole"}, path) == (chosen or ("whole", path))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example/v1", "api.example:443"),
        ("http://API.example:8080?key=1", "api.example:8080"),
        ("https://me:secret@api.example", "api.example:443"),
        ("http://[::1]:1234/v1", "[::1]:1234"),
        ("ftp://api.example", ""),
        ("api.example", ""),
        ("http://api.example:port", ""),
        ("http://[broken", ""),
    ],
)
def test_a_base_url_gives_its_host_and_port_whatever_else_it_carries(url: str, host: str) -> None:
    assert host_of(url) == host
