"""Damage that ends the process which reads it, as LMDB aborts or touches what is not there: `tapes verify` lives on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from archive import damage
from contract.archive_suite import an_exchange, open_session
from tapes.archive.lmdb_archive import LmdbArchive

DEATHS = [f"ended {-number}" for number in (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV)]
"""And not the alarm of one that goes in circles, whom `tapes verify` gives two minutes."""


def ended(home: Path, copy: Path) -> bool:
    """Make a copy with a page of noise that ends whoever reads it; False when each only leads to an error."""
    for how in ("zero", "noise"):
        for offset in range(2 * damage.PAGE, (home / "data.mdb").stat().st_size, damage.PAGE):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(home, copy)
            damage.change(copy, how, str(offset))
            if damage.look_apart(copy) in DEATHS:
                return True
    return False


def test_a_crash_of_the_storage_engine_is_damage_and_not_the_end_of_verify(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "plain", create=True) as archive:
        session = open_session(archive)
        for _ in range(30):
            archive.commit(an_exchange(session, os.urandom(900))[1])
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    assert ended(tmp_path / "plain", home / "archive")
    command = [sys.executable, "-m", "tapes_cli", "verify"]
    environ = os.environ | {"TAPES_HOME": str(home)}
    plain = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert plain.returncode == 4, plain.stderr
    assert "DAMAGED" in plain.stdout and "crashed" in plain.stdout
    done = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 4 and json.loads(done.stdout)["sound"] is False
