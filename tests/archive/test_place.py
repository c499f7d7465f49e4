from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapes.archive import place
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import ArchiveError, NotFound


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    LmdbArchive.open(path, create=True).close()
    return path


def refused(path: Path, complaint: str, *, create: bool = False) -> None:
    with pytest.raises(ArchiveError, match=complaint):
        LmdbArchive.open(path, create=create)


def test_an_archive_that_is_a_symbolic_link_is_refused(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    refused(link, "symbolic link")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    refused(tmp_path / "dangling", "symbolic link", create=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb"])
def test_a_file_of_it_that_is_a_symbolic_link_is_refused(home: Path, tmp_path: Path, name: str) -> None:
    (home / name).rename(tmp_path / name)
    (home / name).symlink_to(tmp_path / name)
    refused(home, "symbolic link", create=True)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_directory_that_others_may_write_to_is_refused_with_what_to_type(home: Path, mode: int) -> None:
    home.chmod(mode)
    with pytest.raises(ArchiveError, match="others") as caught:
        LmdbArchive.open(home)
    assert caught.value.hint == f"chmod go= {home}"
    home.chmod(0o755)
    LmdbArchive.open(home).close()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_may_read_is_refused(home: Path, mode: int) -> None:
    (home / "data.mdb").chmod(mode)
    refused(home, "others")


def test_what_somebody_else_owns_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    refused(home, "another user")


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "not a directory", create=True)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "ceph"])
def test_network_file_systems_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(place, "mounts", lambda: [("/", "ext4"), (os.path.realpath(home.parent), kind)])
    refused(home, kind)


def test_the_innermost_and_latest_mount_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = os.path.realpath(tmp_path)
    beside = inner[:-1]
    monkeypatch.setattr(place, "mounts", lambda: [(inner, "nfs"), ("/", "ext4"), (inner, "xfs"), (beside, "nfs")])
    assert place.file_system(tmp_path) == "xfs"
    monkeypatch.setattr(place, "mounts", list)
    assert place.file_system(tmp_path) == ""


def test_the_mount_table_of_linux_is_read() -> None:
    text = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 22 0:33 / /home/a\\040b rw shared:7 master:1 - nfs4 server:/x rw,vers=4.2\n"
        "nonsense\n"
    )
    assert place.parse_mountinfo(text) == [("/", "ext4"), ("/home/a b", "nfs4")]


def test_the_mount_table_of_macos_is_read() -> None:
    text = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@server/share on /Volumes/share on it (smbfs, nodev, nosuid, mounted by me)\n"
        "map auto_home on /System/Volumes/Data/home (autofs)\n"
    )
    assert place.parse_mount(text) == [
        ("/", "apfs"),
        ("/Volumes/share on it", "smbfs"),
        ("/System/Volumes/Data/home", "autofs"),
    ]


def test_the_type_of_a_real_file_system_is_known(tmp_path: Path) -> None:
    if not place.mounts():
        pytest.skip("this system does not say")
    assert place.file_system(tmp_path)


def test_checking_a_place_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        place.prepare(tmp_path / "x", create=False)
    assert not (tmp_path / "x").exists()
