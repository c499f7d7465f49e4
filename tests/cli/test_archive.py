"""`tapes archive …` and the modes of `tapes verify`, as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from archive.test_damage import packs, put_pack
from archive.test_rebuild import DERIVED, content, drop, fill
from contract.archive_suite import an_exchange, open_session
from support import Bench
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import Mark, Report
from tapes_cli.resume import Kept


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    b = Bench(tmp_path)
    b.home.mkdir(mode=0o700)
    fill(b.home / "archive")
    return b


def as_json(b: Bench, *words: str, status: int = 0) -> dict[str, object]:
    done = b.tapes(*words, "--json")
    assert done.returncode == status, done.stderr.decode()
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_what_an_archive_takes_is_told_in_figures_that_add_up(bench: Bench) -> None:
    found = as_json(bench, "archive", "info")
    file = bench.home / "archive" / "data.mdb"
    assert found["bytes"] == file.stat().st_size
    with LmdbArchive.open(file.parent) as archive:
        size = archive.size()
        assert {name: found[name] for name in ("records", "objects", "sessions", "packs")} == {
            name: size[name] for name in ("records", "objects", "sessions", "packs")
        }
        assert found["open_sessions"] == size["sessions"]
        _, pages, _ = archive.pages()
    tables = found["tables"]
    assert isinstance(tables, dict) and isinstance(found["free_bytes"], int)
    in_tables = sum(table["bytes"] for table in tables.values())
    assert in_tables + found["free_bytes"] <= pages * 4096 <= in_tables + found["free_bytes"] + 4 * 4096
    assert b"compact" in bench.tapes("archive", "--help").stdout


@pytest.mark.parametrize("verb", ["info", "compact", "rebuild"])
def test_where_nothing_is_recorded_it_says_what_to_type(tmp_path: Path, verb: str) -> None:
    done = Bench(tmp_path).tapes("archive", verb)
    assert done.returncode == 3 and b"tapes demo" in done.stderr


def test_compact_backup_and_rebuild_leave_a_sound_archive(bench: Bench) -> None:
    before = content(bench.home / "archive")
    compacted = as_json(bench, "archive", "compact")
    assert compacted["records"] == len(before["log"])
    copied = as_json(bench, "archive", "backup", str(bench.folder / "copy"))
    assert copied["path"] == str(bench.folder / "copy" / "data.mdb")
    assert (copied["sessions"], copied["records"]) == (len(before["head"]), len(before["log"]))
    rebuilt = as_json(bench, "archive", "rebuild")
    assert rebuilt["whole"] and rebuilt["swapped"]
    after = content(bench.home / "archive")
    assert {name: after[name] for name in after if name != "summary"} == {
        name: before[name] for name in before if name != "summary"
    }
    bench.assert_sound()
    again = bench.tapes("archive", "backup", str(bench.folder / "copy"))
    assert again.returncode == 2 and b"there already" in again.stderr


def test_lists_are_the_same_after_every_derived_table_was_lost(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--name", "one", "--", "true")
    b.tapes("run", "--", "false")
    before = b.tapes("log", "--json").stdout
    everything = content(b.home / "archive")
    drop(b.home / "archive", *DERIVED, "summary", whole=True)
    assert b.tapes("log").returncode != 0
    dry = as_json(b, "archive", "rebuild", "--dry-run")
    assert dry["whole"] and not dry["swapped"] and b.tapes("log").returncode != 0
    assert as_json(b, "archive", "rebuild")["whole"]
    assert b.tapes("log", "--json").stdout == before
    assert content(b.home / "archive") == everything
    b.assert_sound()


def test_what_a_rebuild_can_not_bring_back_is_said_and_exits_4(bench: Bench) -> None:
    with LmdbArchive.open(bench.home / "archive") as archive:
        frames = packs(archive)
        put_pack(archive, 5, frames[5][:13] + bytes(20))
    done = bench.tapes("archive", "rebuild", "--dry-run")
    assert done.returncode == 4 and b"nothing was changed" in done.stdout
    found = as_json(bench, "archive", "rebuild", status=4)
    assert not found["whole"] and found["lost"]
    kept = found["kept"]
    assert isinstance(kept, str) and Path(kept).stat().st_mode & 0o777 == 0o600
    text = done.stdout.decode()
    for lost in found["lost"]:  # type: ignore[attr-defined]
        assert lost["session"][:12] in text
        for record in lost["records"]:
            assert f"record {record['seq']} {record['hash'][:12]} is lost" in text
    assert bench.tapes("verify").returncode == 4
    assert kept in bench.tapes("archive", "info").stdout.decode()


def test_it_names_who_has_the_archive_open(bench: Bench) -> None:
    with LmdbArchive.open(bench.home / "archive"):
        for verb in ("compact", "rebuild"):
            done = bench.tapes("archive", verb)
            assert done.returncode == 2
            assert f"pid {os.getpid()}".encode() in done.stderr
    assert bench.tapes("archive", "compact").returncode == 0


# -- verify


def test_each_mode_says_what_it_looked_at(bench: Bench) -> None:
    quick = as_json(bench, "verify", "--quick")
    assert quick["sound"] and quick["hashed"] is False and quick["bytes"] == 0
    assert b"nothing was hashed" in bench.tapes("verify", "--quick").stdout
    parts = [as_json(bench, "verify", "--subset", f"{n}/3") for n in (1, 2, 3)]
    whole = as_json(bench, "verify", "--full")
    assert sum(part["records"] for part in parts) == whole["records"]  # type: ignore[misc]
    for words in (["--subset", "0/3"], ["--subset", "x"], ["@", "--quick"], ["--quick", "--resume"]):
        assert bench.tapes("verify", *words).returncode == 2


def test_damage_is_4_in_every_mode_that_can_see_it(bench: Bench) -> None:
    drop(bench.home / "archive", "head", whole=False)
    for words in ([], ["--quick"], ["--subset", "1/2"], ["--subset", "2/2"]):
        done = bench.tapes("verify", *words)
        assert done.returncode == 4, words
        assert b"DAMAGED" in done.stdout and b"rebuild" in done.stderr


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def started(bench: Bench) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A `verify`, and the process that reads for it, which is stopped."""
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc")
    parent = subprocess.Popen(
        bench.command("verify", "--timeout", "1"), env=bench.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    # Until it has become the reader: one that is stopped between fork and exec would stop its parent, too.
    while not (found := [pid for pid in children(parent.pid) if is_reader(pid)]):
        assert parent.poll() is None
        time.sleep(0.005)
    os.kill(found[0], signal.SIGSTOP)
    yield parent, found[0]
    with suppress(ProcessLookupError):
        os.kill(found[0], signal.SIGKILL)
    parent.kill()
    parent.communicate(timeout=30)


def is_reader(pid: int) -> bool:
    try:
        return b"--worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_reader_that_hangs_is_stopped_and_that_is_damage(started: tuple[subprocess.Popen[bytes], int]) -> None:
    parent, child = started
    out, _ = parent.communicate(timeout=30)
    assert parent.returncode == 4 and b"hung" in out
    assert not Path(f"/proc/{child}").exists()


def test_a_reader_that_crashes_is_damage_too(started: tuple[subprocess.Popen[bytes], int]) -> None:
    parent, child = started
    os.kill(child, signal.SIGABRT)
    os.kill(child, signal.SIGCONT)
    out, _ = parent.communicate(timeout=30)
    assert parent.returncode == 4 and b"crashed" in out and b"signal 6" in out


@pytest.mark.slow
def test_a_run_that_can_not_keep_its_place_goes_on_all_the_same(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "archive", create=True) as archive:
        with pytest.raises(KeyboardInterrupt), Kept(tmp_path / "nowhere" / "verify.json").keeping(archive) as keep:
            keep(Mark(), Report())
            raise KeyboardInterrupt
        (tmp_path / "verify.json").mkdir()  # can not be removed as a file
        with Kept(tmp_path / "verify.json").keeping(archive) as keep:
            keep(Mark(), Report())


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.home.mkdir(mode=0o700)
    with LmdbArchive.open(b.home / "archive", create=True) as archive:
        session = open_session(archive)
        for _ in range(150):
            whole = Batch()
            for _ in range(20):
                _, batch = an_exchange(session, os.urandom(6_000).hex().encode())
                whole.drafts += batch.drafts
                whole.objects |= batch.objects
            archive.commit(whole)
    state = b.home / "verify.json"
    wait_s = 0.2
    while wait_s < 30:
        running = subprocess.Popen(
            b.command("verify"), env=b.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        time.sleep(wait_s)  # into the reading: it lasts several times as long as the start, however busy the machine
        wait_s *= 1.4
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=30)
        if state.exists():
            assert running.returncode == 130
            break
    assert state.exists() and state.stat().st_mode & 0o777 == 0o600
    reached = json.loads(state.read_bytes())["mark"]["pos"]
    assert reached > 0
    done = b.tapes("verify", "--resume", "--json")
    assert done.returncode == 0 and b"goes on" in done.stderr
    assert json.loads(done.stdout)["records"] == 3001
    assert not state.exists()


def test_a_state_that_does_not_fit_the_archive_is_no_place_to_go_on_from(bench: Bench) -> None:
    """One that the archive is behind, one of another archive, and none at all."""
    state = bench.home / "verify.json"
    for mark, digest in (({"pos": 9999}, "00"), ({"pos": 5}, "00"), ({"pos": 0, "packs": 10**6}, None)):
        report = {"findings": [], "withheld": {}}
        state.write_text(json.dumps({"mark": mark, "report": report, "hash": digest, "begun": 0}))
        assert b"from the beginning" in bench.tapes("verify", "--resume").stderr
    state.write_text("not json")
    assert bench.tapes("verify", "--resume").returncode == 0
