"""The bundles that agents and our upstream side trust."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tapes_addons import trust


def block(text: str, kind: str = "CERTIFICATE") -> bytes:
    return f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----".encode()


def test_certificates_of_several_bundles_stand_in_one_once_each_and_nothing_else_does() -> None:
    roots = b"# a root\n" + block("AA") + b"\r\n" + block("BB", "TRUSTED CERTIFICATE") + b"\n"
    users = block("AA") + block("CC") + b"\n" + block("DD", "PRIVATE KEY")
    assert trust.each_once(roots, users) == b"".join(
        block(text, kind) + b"\n"
        for text, kind in (("AA", "CERTIFICATE"), ("BB", "TRUSTED CERTIFICATE"), ("CC", "CERTIFICATE"))
    )


def test_a_user_s_bundle_that_holds_the_machine_s_roots_adds_only_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("machine", "user"):
        trust.make_ca(tmp_path)
        (tmp_path / "ca").rename(tmp_path / name)
    trust.make_ca(home)
    machine, user = ((tmp_path / name / trust.CERTIFICATE).read_bytes() for name in ("machine", "user"))
    roots, theirs = tmp_path / "roots.pem", tmp_path / "theirs.pem"
    roots.write_bytes(machine)
    theirs.write_bytes(machine + user)
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", (str(roots),))
    run = tmp_path / "run"
    run.mkdir()
    paths = trust.write_bundles(run, home / "ca", {"SSL_CERT_FILE": str(theirs)})
    assert [len(ssl.create_default_context(cafile=path).get_ca_certs()) for path in paths] == [3, 3, 2]
