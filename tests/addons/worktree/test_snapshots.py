"""With real processes, real files and a real git: at each step the snapshots give what was on the disk then."""

import errno
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strategies import opening
from tapes.archive.base import Batch
from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.verify import verify
from tapes.errors import ArchiveFull
from tapes.record import listing
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, body_refs
from tapes.record.listing import WHYS
from tapes.wire.redact import Redactor
from tapes_addons.worktree import content
from tapes_addons.worktree import tree as watched_tree
from tapes_addons.worktree.cache import Cache
from tapes_addons.worktree.snapshots import Snapshots
from tapes_addons.worktree.watch import Watcher
from worktree import Bench, Tree, on_disk

STEPS = [
    ("a new file", "echo one > new.txt"),
    ("an edit in place", "sed -i s/a/b/ src/a.py"),
    ("an edit that keeps size and time", "cp -p src/b.py t; printf 'xx = 1\\n' > src/b.py; touch -r t src/b.py; rm t"),
    ("a rename", "mv new.txt renamed.txt"),
    ("a directory that is renamed, then written in", "mv src lib; echo more >> lib/a.py"),
    ("and one that takes its old name", "mkdir src; echo other > src/a.py"),
    ("a directory made anew", "rm -r src; mkdir src; echo again > src/z.py"),
    ("modes", "chmod 755 lib/a.py; chmod 700 lib"),
    ("symlinks: in a circle, broken, to a directory", "ln -s lib/a.py l; ln -s . o; ln -s nowhere b; ln -s lib d"),
    ("a symlink that becomes another, and a file", "ln -sfn src d; rm l; echo file > l"),
    ("a file that becomes a directory", "rm l; mkdir l; echo in > l/in"),
    ("a directory that becomes a file", "rm -r l; echo out > l"),
    ("names of all kinds", "for n in $'n\\xff\\xfe' 'ü ß' '-n *' $'a\\nb' ':(top)x'; do echo x > ./\"$n\"; done"),
    ("deep new directories", "mkdir -p x/y/z/w; echo deep > x/y/z/w/f; echo mid > x/y/f"),
    ("a directory that moves with all in it", "mv x/y y; echo changed >> y/z/w/f; rmdir x"),
    ("many files", "for i in $(seq 600); do echo $i > many$i; done"),
    ("and their end", "rm many*"),
    ("an empty directory and an empty file", "mkdir empty; : > nothing"),
    ("a checkout", "git stash -q -u; git checkout -q -b other; echo side > side; git add -A; git commit -qm side"),
    ("and back", "git checkout -q main; git stash pop -q"),
    ("another name for a file", "ln renamed.txt hard"),
    ("and a change through it", "echo through >> hard"),
    ("nothing", "true"),
]  # fmt: skip


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("a = 1\n")
    (folder / "src" / "b.py").write_text("bb = 1\n")
    (folder / "big").write_bytes(os.urandom(300_000))
    if shutil.which("git") is None:
        pytest.skip("no git here")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "t")
    git(folder, "config", "user.email", "t@example.test")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "home")


def test_at_every_step_the_snapshots_give_what_was_on_the_disk(project: Path, bench: Bench) -> None:
    copies = [on_disk(project)]
    with bench.taking(project) as taker:
        for number, (_, script) in enumerate(STEPS):
            subprocess.run(["bash", "-c", script], cwd=project, check=True, capture_output=True)
            taker.command(number.to_bytes(16))
            copies.append(on_disk(project))
        done = taker.end()
    trees = bench.trees(project)
    for n, (tree, copy) in enumerate(zip(trees, copies, strict=False)):
        assert tree == copy, STEPS[n - 1][0] if n else "the start"
    assert trees[-1] == copies[-1] and len(trees) == len(copies) + 1 == done["snapshots"]
    causes = {record.body["n"]: record.body["cause"] for record in bench.records()}
    assert [causes[n] for n in range(len(trees))] == ["start", *["command"] * len(STEPS), "end"]
    renamed = [row for record in bench.records() for row in bench.rows(record) if row.facts.get("from") == b"new.txt"]
    assert [row.path for row in renamed] == [b"renamed.txt"]


def test_a_new_file_that_got_the_inode_of_a_deleted_one_is_no_rename(project: Path) -> None:
    archive, draft = MemoryArchive(), opening()
    archive.commit(Batch(drafts=[draft]))
    assert draft.hash is not None
    snapshots = Snapshots(watched_tree.Tree(os.fsencode(project)), draft.hash, Redactor(), archive.commit)
    bench = Bench.of(archive, draft.hash)
    with (project / "huge").open("wb") as file:
        file.truncate(2**30)
    snapshots.take("start")
    (project / "huge").rename(project / "enormous")
    # Written in place under another name: what a reused inode looks like, on every file system.
    (project / "src" / "b.py").rename(project / "other.py").write_text("nothing of it\n")
    (project / "src" / "a.py").rename(project / "grown.py")
    with (project / "grown.py").open("a") as grown:
        grown.write("more\n")
    snapshots.take("command")
    rows = {row.path: row for record in bench.records() for row in bench.rows(record)}
    assert "from" not in rows[b"other.py"].facts
    assert rows[b"grown.py"].facts["from"] == b"src/a.py"
    assert rows[b"enormous"].facts == {"why": "large", "from": b"huge"}


def test_one_file_is_not_renamed_to_two(project: Path) -> None:
    archive, draft = MemoryArchive(), opening()
    archive.commit(Batch(drafts=[draft]))
    assert draft.hash is not None
    snapshots = Snapshots(watched_tree.Tree(os.fsencode(project)), draft.hash, Redactor(), archive.commit)
    bench = Bench.of(archive, draft.hash)
    snapshots.take("start")
    script = "cp src/a.py a_copy; mv src/a.py moved; echo more >> moved; cp src/b.py b1; cp src/b.py b2; rm src/b.py"
    subprocess.run(["bash", "-c", script], cwd=project, check=True)
    snapshots.take("command")
    rows = [row for record in bench.records() for row in bench.rows(record) if "from" in row.facts]
    assert [(row.path, row.facts["from"]) for row in rows] == [(b"b1", b"src/b.py"), (b"moved", b"src/a.py")]


def test_what_was_ignored_and_is_gone_when_the_rules_have_changed_is_gone(project: Path) -> None:
    (project / ".gitignore").write_text("*.o\nout/\n*.log\n")
    (project / "out").mkdir()
    for name in ("a.o", "out/x", "kept.log", "forced.log"):
        (project / name).write_text("x")
    archive, draft = MemoryArchive(), opening()
    archive.commit(Batch(drafts=[draft]))
    assert draft.hash is not None
    snapshots = Snapshots(watched_tree.Tree(os.fsencode(project)), draft.hash, Redactor(), archive.commit)
    bench = Bench.of(archive, draft.hash)
    snapshots.take("start")
    git(project, "add", "-f", "forced.log")
    (project / "forced.log").unlink()
    snapshots.take("command")
    assert b"forced.log" not in bench.trees(project)[-1]
    shutil.rmtree(project / "out")
    (project / "a.o").unlink()
    (project / ".gitignore").unlink()
    snapshots.take("command")
    tree = bench.trees(project)[-1]
    assert not {b"a.o", b"out", b".gitignore"} & tree.keys()
    assert b"kept.log" in tree


@pytest.mark.parametrize("watched", ["no watcher", "a queue that runs over", "too few watches"])
def test_where_nobody_can_watch_everything_is_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no more")

    def overrun(self: Watcher) -> tuple[set[bytes], bool]:
        return set(), True

    target = {"no watcher": "__init__", "a queue that runs over": "take", "too few watches": "add"}[watched]
    monkeypatch.setattr(Watcher, target, overrun if target == "take" else refuse)
    archive, draft = MemoryArchive(), opening()
    archive.commit(Batch(drafts=[draft]))
    assert draft.hash is not None
    tree = watched_tree.Tree(os.fsencode(project))
    snapshots = Snapshots(tree, draft.hash, Redactor(), archive.commit)
    bench = Bench.of(archive, draft.hash)
    snapshots.take("start")
    for name, script in STEPS:
        subprocess.run(["bash", "-c", script], cwd=project, check=True, capture_output=True)
        snapshots.take("command")
        assert bench.trees(project)[-1] == on_disk(project), name
    tree.close()


def test_what_can_not_be_written_is_told_and_said_by_the_next_snapshot(project: Path) -> None:
    archive, draft = MemoryArchive(), opening()
    archive.commit(Batch(drafts=[draft]))
    assert draft.hash is not None
    full = [False]

    def commit(batch: Batch) -> object:
        if full[0]:
            raise ArchiveFull("no room")
        return archive.commit(batch)

    tree = watched_tree.Tree(os.fsencode(project))
    snapshots = Snapshots(tree, draft.hash, Redactor(), commit)
    bench = Bench.of(archive, draft.hash)
    snapshots.take("start")
    full[0] = True
    sh(project, "echo new > new; rm src/a.py; mkdir -p d/e; echo x > d/e/x")
    snapshots.take("command")
    sh(project, "echo more >> new")
    snapshots.take("command")
    assert len(bench.trees(project)) == 1 and snapshots.untold()["files"] == 10
    full[0] = False
    snapshots.take("end")
    assert bench.trees(project)[-1] == on_disk(project) and snapshots.untold() == {}
    (gap,) = bench.records("gap")
    assert gap.body["files"] == 10 and "no room" in gap.body["reason"]
    tree.close()


def sh(folder: Path, script: str) -> None:
    subprocess.run(["bash", "-c", script], cwd=folder, check=True, capture_output=True)


def whys(tree: Tree) -> dict[bytes, bytes]:
    return {
        path: held for path, (_, _, held) in tree.items() if held[:1] == b"?" and held[1:].decode("latin-1") in WHYS
    }


def test_a_shell_that_does_not_wait_is_named_by_the_next_snapshot_and_the_last_one_is_true(
    project: Path, bench: Bench
) -> None:
    with bench.taking(project) as taker:
        for number in range(20):
            sh(project, f"echo {number} > n{number}; sed -i s/b/c/ src/b.py")
            taker.tell(command=number.to_bytes(16).hex())
        done = taker.end()
    told = [
        command for record in bench.records() if not record.body["part"] for command in record.body.get("commands", ())
    ]
    assert told == [number.to_bytes(16) for number in range(20)]
    assert bench.trees(project)[-1] == on_disk(project)
    assert done["snapshots"] <= 22


def test_what_git_ignores_is_listed_and_what_it_tracks_is_stored(project: Path, bench: Bench) -> None:
    (project / ".gitignore").write_text("build/\n*.log\n!kept.log\n")
    sh(
        project,
        "mkdir build; echo b > build/out; for n in a kept forced; do echo $n > $n.log; done; git add -f forced.log",
    )
    with bench.taking(project) as taker:
        sh(
            project,
            "mkdir -p sub/build; echo x > sub/build/x; echo y > sub/y.log; echo z > sub/z; echo more >> build/out",
        )
        taker.command(b"1" * 16)
        sh(project, "echo 'sub/' > .gitignore")
        taker.command(b"2" * 16)
        sh(project, "git add -f sub/z; git checkout -q .gitignore 2>/dev/null || echo > .gitignore")
        taker.command(b"3" * 16)
        taker.end()
    start, first, second, third, _ = bench.trees(project)
    assert whys(start) == {b"build": b"?ignored", b"a.log": b"?ignored"}
    assert start[b"kept.log"][2] == b"kept\n" and start[b"forced.log"][2] == b"forced\n"
    assert whys(first) == whys(start) | {b"sub/build": b"?ignored", b"sub/y.log": b"?ignored"}
    assert first[b"sub/z"][2] == b"z\n"
    assert whys(second) == {b"sub": b"?ignored"}, "what is in it is not looked at any more"
    assert second[b"build/out"][2] == b"b\nmore\n" and second[b"a.log"][2] == b"a\n" and b"sub/z" not in second
    assert third == on_disk(project)


def test_without_git_everything_is_stored_but_what_nobody_means(tmp_path: Path, bench: Bench) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    sh(folder, "mkdir -p a node_modules/x; echo one > a/one; echo no > node_modules/x/no")
    with bench.taking(folder) as taker:
        sh(folder, "mkdir -p a/__pycache__; echo no > a/__pycache__/c; echo two >> a/one")
        taker.command(b"1" * 16)
        taker.end()
    assert bench.trees(folder)[1] == {
        b"a": ("dir", 0o755, b""),
        b"a/one": ("file", 0o644, b"one\ntwo\n"),
        b"a/__pycache__": ("dir", 0o755, b"?ignored"),
        b"node_modules": ("dir", 0o755, b"?ignored"),
    }


KEY = "sk-ant-api03-" + "x1Y" * 30 + "AA"
PASSWORD = "correct-horse-battery"


def test_no_secret_is_in_the_archive_and_each_is_listed(project: Path, bench: Bench) -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA" + "q7" * 40 + "\n-----END RSA PRIVATE KEY-----\n"
    (project / ".env").write_text(f"DATABASE={PASSWORD}-in-env\n")
    (project / ".env.example").write_text("DATABASE=\n")
    (project / "server.pem").write_text(pem)
    (project / "id_ed25519").write_text("whatever is in it")
    (project / "config.py").write_text(f"KEY = '{KEY}'\nother = 1\n")
    (project / f"named-{PASSWORD}").write_text("x")
    with bench.taking(project, env={"DB_PASSWORD": PASSWORD}) as taker:
        (project / "late.txt").write_text("the header said hunter2-hunter2 to me")
        (project / "moved").write_text(f"{PASSWORD}\n")
        taker.learn("header:authorization", b"hunter2-hunter2")
        taker.command(b"1" * 16)
        taker.end()
    tree = bench.trees(project)[-1]
    assert whys(tree) == {
        b".env": b"?secret",
        b"server.pem": b"?secret",
        b"id_ed25519": b"?secret",
        b"named-[REDACTED:env:DB_PASSWORD]": b"?secret",
    }
    assert tree[b".env.example"][2] == b"DATABASE=\n"
    assert tree[b"config.py"][2].startswith(b"KEY = '[REDACTED:") and tree[b"config.py"][2].endswith(b"other = 1\n")
    assert tree[b"late.txt"][2] == b"the header said [REDACTED:header:authorization] to me"
    assert tree[b"moved"][2] == b"[REDACTED:env:DB_PASSWORD]\n"
    (row,) = [row for record in bench.records() for row in bench.rows(record) if row.path == b"config.py"]
    assert row.facts == {"redacted": 1} and row.size == (project / "config.py").stat().st_size
    everything = stored(bench)
    for secret in (KEY, PASSWORD, "hunter2", "MIIEowIBAAKCAQEA", "whatever is in it"):
        assert secret.encode() not in everything


def stored(bench: Bench) -> bytes:
    """All that the archive holds: records and bodies."""
    found = [bench.archive.record_raw(digest) for digest, _ in bench.archive.session_records(bench.session)]
    bodies = {ref for record in bench.records() for ref in body_refs(record.body)}
    return b"".join([*found, *map(bench.archive.body, bodies)])


def test_what_can_not_be_stored_is_listed_with_the_reason_and_nothing_hangs(project: Path, bench: Bench) -> None:
    with bench.taking(project) as taker:
        sh(project, "truncate -s 1G huge; truncate -s 6M six; mkfifo pipe; head -c 5000000 /dev/urandom > five")
        with socket.socket(socket.AF_UNIX) as server:
            here = os.getcwd()
            os.chdir(project)
            server.bind("sock")
            os.chdir(here)
        taker.command(b"1" * 16)
        sh(project, "rm huge pipe; echo small > huge; echo file > pipe")
        taker.command(b"2" * 16)
        taker.end()
    _, first, second, _ = bench.trees(project)
    assert whys(first) == {b"huge": b"?large", b"six": b"?large", b"pipe": b"?special", b"sock": b"?special"}
    assert first[b"pipe"][0] == first[b"sock"][0] == "other" and first[b"five"][2] == (project / "five").read_bytes()
    assert second[b"huge"][2] == b"small\n" and second[b"pipe"][:1] + second[b"pipe"][2:] == ("file", b"file\n")
    assert done_clean(bench)


def done_clean(bench: Bench) -> bool:
    report = verify(bench.archive)
    assert not report.findings, report.findings
    return True


def test_a_directory_that_vanishes_takes_all_with_it_and_may_come_back(project: Path, bench: Bench) -> None:
    with bench.taking(project) as taker:
        sh(project, f"mv {project} {project}-away")
        taker.command(b"1" * 16)
        sh(project.parent, f"mv {project}-away {project}; echo back > {project}/back")
        taker.command(b"2" * 16)
        taker.end()
    _, gone, back, end = bench.trees(project)
    assert gone == {} and back == end == on_disk(project)


def test_a_directory_that_is_removed_and_made_anew_is_watched_again(tmp_path: Path, bench: Bench) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a").write_text("1")
    copies = []
    with bench.taking(folder) as taker:
        for number, script in enumerate(
            (f"rm -r {folder}", f"mkdir {folder}; echo 2 > {folder}/b", f"echo 3 >> {folder}/b")
        ):
            sh(tmp_path, script)
            taker.command(bytes([number]) * 16)
            copies.append(on_disk(folder) if folder.exists() else {})
        taker.end()
    assert bench.trees(folder)[1:-1] == copies


def test_a_file_that_keeps_changing_is_never_stored_torn(project: Path, bench: Bench) -> None:
    loop = (
        "import sys\nwhile True:\n  for c in 'ab':\n    with open('busy', 'r+b', 0) as f: f.write(c.encode() * 4000000)"
    )
    (project / "busy").write_bytes(b"a" * 4_000_000)
    writer = subprocess.Popen([sys.executable, "-c", loop], cwd=project)
    try:
        with bench.taking(project) as taker:
            for number in range(5):
                taker.command(number.to_bytes(16))
            writer.kill()
            writer.wait()
            taker.end()
    finally:
        writer.kill()
        writer.wait()
    for tree in bench.trees(project):
        _, _, held = tree[b"busy"]
        assert held == b"?changing" or len(held) == 4_000_000
    assert bench.trees(project)[-1] == on_disk(project)


def test_gits_index_refs_and_files_stay_as_they_are(project: Path, bench: Bench) -> None:
    sh(project, "touch src/a.py; echo new > new")  # an index that git would like to refresh
    before = {
        path: (path.lstat().st_mtime_ns, path.read_bytes()) for path in (project / ".git").rglob("*") if path.is_file()
    }
    with bench.taking(project) as taker:
        (project / "x.log").write_text("x")
        taker.command(b"1" * 16)
        taker.end()
    after = {
        path: (path.lstat().st_mtime_ns, path.read_bytes()) for path in (project / ".git").rglob("*") if path.is_file()
    }
    assert after == before


def test_a_git_that_is_missing_or_hangs_costs_only_what_it_would_have_said(
    tmp_path: Path, project: Path, bench: Bench
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    (project / ".gitignore").write_text("*.log\n")
    sh(project, "echo l > a.log; mkdir node_modules; echo n > node_modules/n")
    with bench.taking(project, env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}) as taker:
        sh(project, "echo m > b.log")
        taker.command(b"1" * 16)
        taker.end()
    tree = bench.trees(project)[-1]
    assert tree[b"b.log"][2] == b"m\n" and bench.records()[0].body["branch"] == "main"


def test_another_process_goes_on_with_the_next_number_and_everything(project: Path, bench: Bench) -> None:
    with bench.taking(project) as taker:
        taker.process.kill()
        taker.process.wait()
    with bench.taking(project, restart=True) as taker:
        taker.end()
    told = [(r.body["n"], r.body["cause"], r.body["full"]) for r in bench.records() if not r.body["part"]]
    assert told == [(0, "start", True), (1, "restart", True), (2, "end", False)]
    assert bench.trees(project)[1] == on_disk(project)
    first, second = ({r.body["listing"]["hash"] for r in bench.records() if r.body["n"] == n} for n in (0, 1))
    assert first == second, "an unchanged tree is the same bodies"


def test_what_an_earlier_session_stored_is_not_read_again_but_what_changed_is(project: Path, bench: Bench) -> None:
    (project / "told").write_text("only-now-a-secret")
    sh(project, "for n in $(seq 500); do echo $n > n$n; done; find . -exec touch -h -d '1 hour ago' {} +; sleep 0.05")
    with bench.taking(project) as taker:
        taker.end()
    (cached,) = (bench.home / "cache").iterdir()
    assert b"told" not in cached.read_bytes() and cached.stat().st_mode & 0o777 == 0o600
    (project / "n77").write_text("changed")
    again = Bench.of(bench.archive, session(bench))
    again.home = bench.home
    with again.taking(project) as taker:
        taker.end()
    assert again.trees(project)[0] == on_disk(project)
    third = Bench.of(bench.archive, session(bench))
    third.home = bench.home
    with third.taking(project, env={"MY_TOKEN": "only-now-a-secret"}) as taker:
        taker.end()
    assert third.trees(project)[0][b"told"][2] == b"[REDACTED:env:MY_TOKEN]"
    assert done_clean(bench)


def test_a_part_that_looks_the_same_is_taken_from_the_cache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sh(project, "for n in $(seq 300); do echo $n > n$n; done; sleep 0.05")
    archive = MemoryArchive()
    read: list[bytes] = []
    real = content.read
    monkeypatch.setattr(content, "read", lambda full, *rest: read.append(full) or real(full, *rest))

    def known(listed: BodyRef, _: BodyRef | None) -> list[listing.Entry]:
        return list(listing.read(archive.body(listed)))

    counts = []
    for edit in ("", "echo changed > n77", ""):
        sh(project, edit)
        draft = opening()
        archive.commit(Batch(drafts=[draft]))
        assert draft.hash is not None
        cache = Cache(project.parent / "cache", b"root", [b"a secret"], "rules")
        tree = watched_tree.Tree(os.fsencode(project))
        read.clear()
        Snapshots(tree, draft.hash, Redactor(), archive.commit, cache=cache, known_part=known).take("start")
        tree.close()
        counts.append(len(read))
        assert Bench.of(archive, draft.hash).trees(project)[0] == on_disk(project)
        time.sleep(0.05)
    assert counts[0] >= 303 and 0 < counts[1] < 257 and counts[2] <= counts[1]
    assert Cache(project.parent / "cache", b"root", [b"another"], "rules").find("") is None


def session(bench: Bench) -> Digest:
    draft = opening()
    bench.archive.commit(Batch(drafts=[draft]))
    assert draft.hash is not None
    return draft.hash


def test_when_the_capture_process_dies_a_last_snapshot_is_taken(project: Path, bench: Bench) -> None:
    with bench.taking(project) as taker:
        (project / "late").write_text("late")
        taker.line.shutdown(socket.SHUT_WR)
        taker.process.wait(20)
    assert bench.trees(project)[-1] == on_disk(project)


def test_the_home_of_the_archive_is_never_looked_into(project: Path) -> None:
    bench = Bench(project / "tapes")
    with bench.taking(project) as taker:
        taker.command(b"1" * 16)
        taker.end()
    assert not any(path.startswith(b"tapes") for tree in bench.trees(project) for path in tree)
