"""`tapes doctor`: ok where all is in order, and what to do where it is not."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from certificates import signed_as
from support import Bench
from tapes_addons.ca import checked
from tapes_addons.trust import CA_KEY, CERTIFICATE, make_ca
from tapes_cli.checks import place, surroundings, trial
from tapes_cli.checks.finding import Finding
from tapes_cli.checks.handshake import handshake


def verdicts(found: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.verdict for finding in found}


def doctor(b: Bench, *words: str, **more: str) -> tuple[int, dict[str, dict[str, str]]]:
    environ = b.env() | more
    command = [sys.executable, "-m", "tapes_cli", "doctor", "--json", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {line["what"]: line for line in lines}


def test_a_streamed_call_in_every_dialect_is_recorded_and_compared(tmp_path: Path) -> None:
    status, lines = doctor(Bench(tmp_path))
    assert {lines[dialect]["verdict"] for dialect in trial.DIALECTS} == {"ok"}
    assert status == 0
    assert not list((tmp_path / "home").glob("archive/*")), "the user's own archive is not written to"


def test_a_call_that_does_not_come_back_as_sent_is_found(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--", "true")
    found = list(trial.compare(b.home, tmp_path))
    assert {finding.verdict for finding in found} == {"bad"}


def test_an_agent_is_started_under_our_settings(tmp_path: Path) -> None:
    program = tmp_path / "claude"
    program.write_text('#!/bin/sh\nset -e\n[ -f "$SSL_CERT_FILE" ]\necho "9.9 via ${HTTPS_PROXY%:*}"\n')
    program.chmod(0o755)
    found = list(trial.version_of(str(program)))
    assert [finding.verdict for finding in found] == ["ok", "ok"]
    assert found[1].text.endswith("9.9 via http://127.0.0.1")


def test_an_agent_that_fails_or_is_not_there_is_in_the_way(tmp_path: Path) -> None:
    program = tmp_path / "strange"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    assert [finding.verdict for finding in trial.version_of(str(program))] == ["note", "note"], (
        "it fails without us, too"
    )
    program.write_text('#!/bin/sh\necho "no such file" >&2\ncase "$SSL_CERT_FILE" in *bundle.pem) exit 7;; esac\n')
    known, started = trial.version_of(str(program))
    assert (known.verdict, started.verdict) == ("note", "bad")
    assert "exits with 7" in started.text and "no such file" in started.text and started.todo
    assert [finding.verdict for finding in trial.version_of(str(tmp_path / "nobody"))] == ["bad"]


def test_an_agent_is_asked_for_its_version_as_it_knows_it(tmp_path: Path) -> None:
    program = tmp_path / "mini"
    program.write_text('#!/bin/sh\n[ "$1" = --help ] && echo "mini 1"\n')
    program.chmod(0o755)
    assert [finding.verdict for finding in trial.version_of(str(program))] == ["ok", "ok"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a place where nobody can make a directory")
def test_a_home_that_nobody_can_make_is_in_the_way_of_root_too() -> None:
    assert verdicts(list(place.home(Path("/proc/tapes/home")))) == {"home": "bad"}


def test_a_home_is_tried_and_nothing_is_left_there(tmp_path: Path) -> None:
    assert verdicts(list(place.home(tmp_path / "a" / "home"))) == {"home": "ok"}
    assert verdicts(list(place.home(tmp_path)))["home"] == "ok"
    assert not list(tmp_path.iterdir())
    (tmp_path / "home").symlink_to(tmp_path / "gone")
    assert verdicts(list(place.home(tmp_path / "home"))) == {"home": "bad"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_can_not_be_written_is_in_the_way(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert verdicts(list(place.home(tmp_path / "home"))) == {"home": "bad"}


def test_a_place_that_others_may_write_to_is_in_the_way(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--", "true")
    assert {f.verdict for f in (*place.home(b.home), *place.archive(b.home), *place.certificates(b.home))} == {"ok"}
    b.home.chmod(0o777)
    (b.home / "archive" / "data.mdb").chmod(0o644)
    (b.home / "ca").chmod(0o755)
    assert verdicts(list(place.home(b.home)))["home"] == "bad"
    assert verdicts(list(place.archive(b.home))) == {"archive": "bad"}
    assert verdicts(list(place.certificates(b.home))) == {"CA": "bad"}


def test_a_proxy_that_can_not_be_reached_or_chained_is_in_the_way() -> None:
    assert verdicts(list(surroundings.proxy({}))) == {"proxy": "ok"}
    assert verdicts(list(surroundings.proxy({"HTTPS_PROXY": "socks5://127.0.0.1:9"}))) == {"proxy": "bad"}
    found = list(surroundings.proxy({"HTTPS_PROXY": "http://user:hidden@127.0.0.1:9", "NO_PROXY": ".openai.com"}))
    assert verdicts(found) == {"proxy": "bad", "NO_PROXY": "note"}
    assert "hidden" not in str(found)


def test_a_certificate_variable_that_names_no_file_is_in_the_way(tmp_path: Path) -> None:
    found = list(surroundings.variables({"SSL_CERT_FILE": str(tmp_path / "gone"), "OPENAI_BASE_URL": "http://h/v1"}))
    assert verdicts(found) == {"SSL_CERT_FILE": "bad", "OPENAI_BASE_URL": "ok"}


def test_a_variable_whose_value_can_not_serve_is_in_the_way(tmp_path: Path) -> None:
    text, roots = tmp_path / "passwd", tmp_path / "roots.pem"
    text.write_text("root:x:0:0\n")
    make_ca(tmp_path)
    roots.write_bytes(b"# ours\n" + (tmp_path / "ca" / CERTIFICATE).read_bytes())
    environ = {"REQUESTS_CA_BUNDLE": str(text), "SSL_CERT_FILE": str(roots), "ANTHROPIC_BASE_URL": "not-a-url"}
    environ |= {"OPENAI_BASE_URL": "https://me:hidden@gateway.test/v1", "OLLAMA_HOST": "127.0.0.1:9"}
    found = list(surroundings.variables(environ))
    assert verdicts(found) == {
        "REQUESTS_CA_BUNDLE": "bad",
        "SSL_CERT_FILE": "ok",
        "ANTHROPIC_BASE_URL": "bad",
        "OPENAI_BASE_URL": "ok",
        "OLLAMA_HOST": "ok",
    }
    assert "hidden" not in str(found) and "gateway.test:443" in str(found)
    assert all(finding.todo for finding in found if finding.verdict == "bad")


def test_what_is_in_the_way_has_something_to_do_about_it(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--", "true")
    os.truncate(b.home / "archive" / "data.mdb", 8192)
    found = list(place.archive(b.home)) + list(surroundings.proxy({"HTTPS_PROXY": "http://us er:p@ss@[bad"}))
    assert verdicts(found) == {"archive": "bad", "proxy": "bad"}
    assert all(finding.todo for finding in found)
    assert f"mv {b.home / 'archive'} " in found[0].todo and "backup" in found[0].todo


def test_a_broken_ca_is_named_for_what_it_is(tmp_path: Path) -> None:
    make_ca(tmp_path)
    (key := tmp_path / "ca" / CA_KEY).write_text("junk")
    (found,) = place.certificates(tmp_path)
    assert found.verdict == "bad" and f"{key} holds no key" in found.text and found.todo
    key.unlink()
    (found,) = place.certificates(tmp_path)
    assert found.verdict == "bad" and f"{key} is missing" in found.text and found.todo


def test_a_ca_whose_certificates_nobody_takes_is_in_the_way(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    make_ca(tmp_path)
    handshake(ca)
    signed_as(ca, days=9, may_sign=False)
    assert checked(ca), "whole, as files go"
    with pytest.raises(ssl.SSLError):
        handshake(ca)
    (found,) = place.certificates(tmp_path)
    assert found.verdict == "bad" and "no TLS" in found.text and found.todo


def test_a_ca_that_runs_out_soon_is_worth_a_note(tmp_path: Path) -> None:
    make_ca(tmp_path)
    signed_as(tmp_path / "ca", days=9)
    assert verdicts(list(place.certificates(tmp_path))) == {"CA": "note"}


def test_a_mistake_in_the_configuration_is_named(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.home.mkdir(exist_ok=True)
    (b.home / "config.toml").write_text("model_hots = []\n")
    status, lines = doctor(b, "--no-loopback")
    assert status == 1
    assert "model_hots" in lines["configuration"]["text"]
