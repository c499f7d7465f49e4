"""`tapes doctor`: ok where all is in order, and what to do where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import Bench
from tapes_cli.checks import place, surroundings, trial
from tapes_cli.checks.finding import Finding


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
    assert [finding.verdict for finding in trial.version_of(str(program))] == ["note", "bad"]
    assert [finding.verdict for finding in trial.version_of(str(tmp_path / "nobody"))] == ["bad"]


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


def test_a_mistake_in_the_configuration_is_named(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.home.mkdir(exist_ok=True)
    (b.home / "config.toml").write_text("model_hots = []\n")
    status, lines = doctor(b, "--no-loopback")
    assert status == 1
    assert "model_hots" in lines["configuration"]["text"]
