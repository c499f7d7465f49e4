"""With real processes, real files and a real git: at each step the snapshots give what was on the disk then."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from worktree import Bench, on_disk

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
