"""Our CA at the start of a recording: taken as it is while it is whole, made anew when it can not serve."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import signed_as
from support import Bench
from tapes.errors import ArchiveError
from tapes_addons import serve_state
from tapes_addons.ca import checked
from tapes_addons.trust import CA_KEY, CERTIFICATE, STAMP, ensure_ca, is_known_whole, make_ca


def old_ones(home: Path) -> list[Path]:
    return sorted(home.glob("ca.old-*"))


def run_out(ca: Path) -> None:
    signed_as(ca, days=-1)


def junk(ca: Path) -> None:
    (ca / CA_KEY).write_text("junk")


def another_key(ca: Path) -> None:
    other = ca.parent / "other"
    other.mkdir()
    make_ca(other)
    key, certificate = (other / "ca" / CA_KEY).read_bytes(), (ca / CERTIFICATE).read_bytes()
    (ca / CA_KEY).write_bytes(key[: key.index(b"-----BEGIN CERTIFICATE")] + certificate)


def no_key(ca: Path) -> None:
    (ca / CA_KEY).unlink()


def no_certificate(ca: Path) -> None:
    (ca / CERTIFICATE).write_text("")


BREAKS: dict[str, Callable[[Path], None]] = {
    "ran out on": run_out,
    "holds no key": junk,
    "does not belong": another_key,
    "is missing": no_key,
    "holds no certificate": no_certificate,
}


@pytest.mark.parametrize("reason", BREAKS)
def test_a_ca_that_can_not_serve_is_put_aside_and_made_anew(
    reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca = ensure_ca(tmp_path)
    (ca / "bundle.pem").write_text("what agents of a running tapes serve read")
    assert capsys.readouterr().err == ""
    BREAKS[reason](ca)
    with pytest.raises(ArchiveError, match=reason):
        checked(ca)
    assert ensure_ca(tmp_path) == ca
    said = capsys.readouterr().err
    (aside,) = old_ones(tmp_path)
    assert said.startswith("tapes: ") and said.count("\n") == 1 and reason in said and str(aside) in said
    assert checked(ca)
    assert (ca / "bundle.pem").read_bytes() == (aside / "bundle.pem").read_bytes()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (ca, aside, ca / CA_KEY))
    ensure_ca(tmp_path)
    assert capsys.readouterr().err == "" and len(old_ones(tmp_path)) == 1


def test_a_ca_that_was_looked_at_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = ensure_ca(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", lambda *words, **more: pytest.fail("a process was started"))
        assert ensure_ca(tmp_path) == ca
    stamp = json.loads((ca / STAMP).read_bytes())
    monkeypatch.setattr(time, "time", lambda: stamp["until"] + 1)
    assert not is_known_whole(ca), "it has run out since"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 1, "until": "x"}'])
def test_a_stamp_that_is_none_of_ours_is_not_believed(text: str, tmp_path: Path) -> None:
    ca = ensure_ca(tmp_path)
    (ca / STAMP).write_text(text)
    assert not is_known_whole(ca)
    ensure_ca(tmp_path)
    assert is_known_whole(ca) and not old_ones(tmp_path)


def test_starts_at_the_same_time_make_one_new_ca(tmp_path: Path) -> None:
    junk(ensure_ca(tmp_path))
    command = [sys.executable, "-m", "tapes_addons.ca", str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = "".join(process.communicate(timeout=60)[0] for process in started)
    assert [process.returncode for process in started] == [0, 0, 0]
    assert said.count("a new CA was made") == 1 and len(old_ones(tmp_path)) == 1
    assert checked(tmp_path / "ca")


def test_a_running_serve_is_said_to_use_the_old_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junk(ensure_ca(tmp_path))
    with serve_state.announced(tmp_path, serve_state.State(4711, "127.0.0.1", 7878)):
        ensure_ca(tmp_path)
    assert "tapes serve (pid 4711)" in capsys.readouterr().err


def test_a_place_where_no_ca_can_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="could not make a CA") as caught:
        ensure_ca(tmp_path / "gone")
    assert caught.value.hint


def test_a_run_with_a_ca_that_has_run_out_begins_with_a_new_one(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.home.mkdir(mode=0o700)
    signed_as(ensure_ca(b.home), days=-1)
    done = b.tapes("run", "--", "true")
    assert done.returncode == 0 and b"ran out on" in done.stderr
    assert checked(b.home / "ca")
