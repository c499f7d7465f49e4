"""The command as a whole: it starts light, documents itself, and says what to do next when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import Bench
from tapes_cli.main import VERBS

DOCS = Path(__file__).parents[2] / "docs"
HEAVY = ("mitmproxy", "textual", "lmdb", "rich", "cryptography", "httpx", "zstandard")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["log", "--help"], ["show", "--help"]])
def test_the_command_starts_without_the_heavy_libraries(words: list[str]) -> None:
    program = (
        "import sys\nfrom tapes_cli.entry import main\nsys.argv = ['tapes', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert done.stdout


def test_reading_loads_no_proxy_and_no_screen(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--", "true")
    program = (
        "import sys\nfrom tapes_cli.entry import main\nsys.argv = ['tapes', 'log']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*[name for name in ('mitmproxy', 'textual', 'rich', 'httpx') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=b.env(), capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


def test_listing_sessions_loads_nothing_that_only_reading_or_writing_them_needs(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--", "true")
    program = (
        "import sys\nfrom tapes_cli.entry import main\nsys.argv = ['tapes', 'log']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "late = ('tapes.wire.agents', 'tapes.wire.dialects', 'tapes.archive.plan', 'tapes.archive.audit',\n"
        "    'tapes.archive.tree', 'zstandard', 'subprocess', 'json', 'shutil', 'tempfile', 'resource')\n"
        "print(*[name for name in late if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=b.env(), capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert "true" not in done.stdout and "generic" in done.stdout


def test_the_launcher_needs_the_standard_library_alone() -> None:
    script = Path(sys.modules["support"].__file__ or "").parents[1] / "addons" / "tapes_addons" / "launch.py"
    program = f"import runpy, sys; runpy.run_path({str(script)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.partition(".")[0] in ("tapes", "tapes_cli", "tapes_addons")}
    assert "tapes_addons.plan" in ours and not any(name.startswith(("tapes.", "tapes_cli")) for name in ours)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_documented_and_explains_itself(verb: str) -> None:
    assert f"## tapes {verb}\n" in (DOCS / "cli.md").read_text("utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tapes_cli", verb, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"Usage: tapes {verb}")


def test_every_option_of_run_is_documented() -> None:
    from tapes_cli.commands.run import command

    text = (DOCS / "cli.md").read_text("utf-8")
    for parameter in command.params:
        for option in parameter.opts:
            assert not option.startswith("--") or f"`{option}" in text, option


@pytest.mark.parametrize("verb", ["log", "show", "cat", "verify"])
def test_an_empty_archive_says_what_to_type(tmp_path: Path, verb: str) -> None:
    done = Bench(tmp_path).tapes(verb, *(["@"] if verb == "cat" else []))
    assert done.returncode == 3
    assert b"tapes demo" in done.stderr


@pytest.mark.parametrize(
    ("ref", "said"), [("nosuch", b"nosuch"), ("ffff", b"ffff"), ("@~7", b"1 session"), ("@:99", b"99")]
)
def test_an_unknown_ref_is_3_and_says_where_to_look(tmp_path: Path, ref: str, said: bytes) -> None:
    b = Bench(tmp_path)
    b.tapes("run", "--", "true")
    done = b.tapes("show", ref)
    assert done.returncode == 3
    assert said in done.stderr
    assert b"tapes " in done.stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, "-m", "tapes_cli", "log", "--nonsense"], capture_output=True, check=False)
    assert done.returncode == 2
