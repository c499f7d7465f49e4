"""What an environment points to: the context in force, found cheaply and anew when a file changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapes_addons.terminal.context import Contexts

CONFIG = """apiVersion: v1
clusters:
- cluster: {server: https://prod}
  name: current-context-of-others
%s
kind: Config
"""


def kube(path: Path, line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIG % line)
    return path


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("current-context: prod-west-2", "prod-west-2"),
        ('current-context: "arn:aws:eks:eu-1:1:cluster/a"', "arn:aws:eks:eu-1:1:cluster/a"),
        ("current-context: 'staging'  # mine\r", "staging"),
        ("  current-context: nested", ""),
        ('current-context: ""', ""),
        ("", ""),
    ],
)
def test_the_line_that_counts_is_found(tmp_path: Path, line: str, name: str) -> None:
    path = kube(tmp_path / "config", line)
    assert Contexts({}).kube({b"KUBECONFIG": os.fsencode(path)}, b"/") == name


def test_of_several_files_the_first_that_names_one_counts_and_paths_may_be_relative(tmp_path: Path) -> None:
    kube(tmp_path / "none", "")
    kube(tmp_path / "first", "current-context: one")
    kube(tmp_path / "second", "current-context: two")
    environ = {b"KUBECONFIG": b"missing:none:first:second"}
    assert Contexts({}).kube(environ, os.fsencode(tmp_path)) == "one"


def test_home_is_looked_at_and_a_change_is_seen(tmp_path: Path) -> None:
    contexts = Contexts({b"HOME": os.fsencode(tmp_path)})
    assert "kube" not in contexts({}, b"/")
    path = kube(tmp_path / ".kube" / "config", "current-context: one")
    assert contexts({}, b"/")["kube"] == "one"
    kube(path, "current-context: another")
    assert contexts({}, b"/")["kube"] == "another"


def test_json_is_yaml_too(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text('{"kind": "Config", "current-context": "dev", "users": []}')
    assert Contexts({}).kube({b"KUBECONFIG": os.fsencode(path)}, b"/") == "dev"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("nul\0l")):
        assert Contexts({}).kube({b"KUBECONFIG": os.fsencode(path)}, b"/") == ""
