from pathlib import Path

import pytest

from tapes_addons.worktree.roots import find


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "project" / "deep").mkdir(parents=True)
    return tmp_path / "home"


def test_the_top_level_of_the_repository_is_meant_or_else_the_directory_itself(home: Path) -> None:
    deep = home / "project" / "deep"
    assert find(str(deep), str(home)).paths == (str(deep),)
    (home / "project" / ".git").write_text("gitdir: elsewhere\n")
    assert find(str(deep), str(home)).paths == (str(home / "project"),)


def test_nobody_means_all_of_a_home_directory_unless_they_say_so(home: Path) -> None:
    (home / ".git").mkdir()
    found = find(str(home), str(home))
    assert found.paths == () and "home directory" in found.said
    assert find("/", str(home)).paths == () and find("", str(home)).paths == ()
    assert find(str(home / "project"), str(home)).paths == (str(home / "project"),), "not the home around it"
    assert find(str(home), str(home), ["."]).paths == (str(home),)


def test_those_asked_for_are_taken_each_once_and_must_be_directories(home: Path) -> None:
    (home / "link").symlink_to("project")
    asked = ["project", "link", "project/deep", str(home / "project")]
    assert find(str(home), "/h", asked).paths == (str(home / "project"),)
    for wrong in ("nowhere", "file"):
        (home / "file").write_text("")
        with pytest.raises(OSError):
            find(str(home), "/h", [wrong])
