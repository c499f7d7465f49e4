"""The sessions that the deck is tested and pictured with, and the archive that holds them.

    fix-the-tests     everything at once: reminders, thinking, parallel calls, failures, every verdict, a subagent, a
                      todo list, edits with snapshots, a terminal, a call refused and tried again, a gap, a note
    fix-the-tests-2   the same task; it parts from the first at its first edit
    going-on          one that is still open: an answer is on its way, and a command runs
    damaged           a body of it has a flipped byte
    withheld          steps 5 to 6 were forgotten
    carried-on        a picture is shown to the model, and the conversation is compacted
    hostile           whatever a terminal, a table or a markup language could take for its own

All of 14 March 2026, UTC.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive.test_damage import change_pack, changed
from deck.filming import BOOT, Clock, Scene, result, text, thinking, use
from tapes.archive.base import Batch
from tapes.archive.destroy import carry_out
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, body_refs
from tapes.session.forget import forget_steps
from tapes.session.rows import summary_of

FIX, AGAIN, OPEN = "fix-the-tests", "fix-the-tests-2", "going-on"
DAMAGED, WITHHELD, CARRIED, HOSTILE = "damaged", "withheld", "carried-on", "hostile"
PROMPT = "The tests fail since we moved to cents. Fix them, and tell me what was wrong."
REMINDER = "<system-reminder>\nThe date is 2026-03-14. Keep answers short.\n</system-reminder>"

PRICES = (
    b"def total(items):\n    return sum(item.price for item in items)\n\n\ndef vat(net):\n    return net * 19 / 100\n"
)
FIXED = PRICES.replace(b"net * 19 / 100", b"round(net * 19 / 100)")
TESTS = b"from shop.prices import vat\n\n\ndef test_vat_is_whole_cents():\n    assert vat(999) == 190\n"
FAILS = (
    "F                                                                        [100%]\n"
    "=================================== FAILURES ===================================\n"
    "____________________________ test_vat_is_whole_cents ___________________________\n\n"
    ">       assert vat(999) == 190\nE       assert 189.81 == 190\n\n"
    "tests/test_prices.py:5: AssertionError\n1 failed in 0.31s\n"
)
PASSES = "...                                                                      [100%]\n3 passed in 0.28s\n"


def todos(*done: str) -> list[dict[str, str]]:
    states = {"x": "completed", "~": "in_progress", " ": "pending"}
    wanted = ("Run the tests", "Find what is not whole cents", "Repair it", "Say what was wrong")
    return [{"content": what, "status": states[state]} for what, state in zip(wanted, done, strict=True)]


def fix_the_tests(scene: Scene) -> None:
    shot = scene.shot()
    scene.opens_terminal(80, 24)
    files = {"shop/prices.py": PRICES, "tests/test_prices.py": TESTS, "README.md": b"# Shop\n"}
    shot.take(files, "start")
    scene.shows("\x1b[2J\x1b[H\x1b[1m\x1b[38;5;208m✻ Welcome to Claude Code\x1b[0m\r\n\r\n> ")
    scene.types(PROMPT + "\r", 3)
    scene.shows(PROMPT + "\r\n\r\n\x1b[2m✻ Thinking…\x1b[0m\r\n")
    scene.turn(
        thinking("The tests first: what fails, and where. The README may say how they are run."),
        text("I'll look at what fails."),
        use("toolu_01", "Bash", command="python -m pytest -q", description="Run the tests"),
        use("toolu_02", "Read", file_path="/home/alice/shop/shop/prices.py"),
        use("toolu_03", "TodoWrite", todos=todos("~", " ", " ", " ")),
        said=(REMINDER, PROMPT),
        seconds=6,
    )
    scene.shows("\x1b[32m●\x1b[0m Bash(python -m pytest -q)\r\n")
    scene.run("python -m pytest -q", ("o", FAILS.encode()), call="toolu_01", status=1, seconds=2.4)
    scene.shows("  \x1b[31m⎿ 1 failed in 0.31s\x1b[0m\r\n")
    scene.turn(
        thinking("189.81: vat is no whole number. Somebody else can find out who calls it."),
        use(
            "toolu_04",
            "Task",
            subagent_type="Explore",
            description="Find callers of vat",
            prompt="Find every caller of vat() in this repository, and say which of them round.",
        ),
        use("toolu_05", "Bash", command="git log --oneline -3", description="What was changed last"),
        said=(
            result("toolu_01", f"Exit code 1\n{FAILS}", is_error=True),
            result("toolu_02", PRICES.decode()),
            result("toolu_03", "Todos have been modified successfully."),
        ),
        seconds=5,
    )
    scene.run("git log --oneline -3", ("o", b"4f2a91c Prices in cents\n9be0d11 Shop\n"), call="toolu_05", seconds=0.1)
    explore(scene)
    scene.gap("reports of commands were lost", commands=1)
    scene.turn(
        text("Nobody rounds, so `vat` has to."),
        use(
            "toolu_08",
            "Edit",
            file_path="/home/alice/shop/shop/prices.py",
            old_string="    return net * 19 / 100",
            new_string="    return round(net * 19 / 100)",
        ),
        use("toolu_09", "Bash", command="rm -rf build", description="Clear what was built"),
        said=(
            result(
                "toolu_04", "Two callers: shop/cart.py:12 and shop/invoice.py:40. Neither rounds.\nagentId: explore-1"
            ),
            result("toolu_05", "4f2a91c Prices in cents\n9be0d11 Shop"),
        ),
        seconds=5,
    )
    scene.decide("toolu_09", "Bash", "denied", "user_reject")
    files["shop/prices.py"] = FIXED
    shot.take(files, "request")
    scene.hears(
        result("toolu_08", "The file /home/alice/shop/shop/prices.py has been updated."),
        result("toolu_09", "The user doesn't want to proceed with this tool use.", is_error=True),
    )
    scene.refuse(529, "overloaded_error", "Overloaded")
    scene.wait(2)
    scene.turn(
        use("toolu_10", "Bash", command="python -m pytest -q", description="Run the tests again"),
        use("toolu_11", "Bash", command="make coverage", description="How much is tested"),
        use("toolu_12", "Bash", command="wc -l shop/prices.py"),
        use("toolu_13", "TodoWrite", todos=todos("x", "x", "x", "~")),
        seconds=3,
    )
    scene.shows("\x1b[32m●\x1b[0m Edit(shop/prices.py)\r\n\x1b[32m●\x1b[0m Bash(python -m pytest -q)\r\n")
    scene.run("timeout 60 python -m pytest -q", ("o", PASSES.encode()), call="toolu_10", seconds=1.8)
    scene.run("wc -l shop/prices.py", ("o", b"6 shop/prices.py\n"), call="toolu_12", seconds=0.05)
    files["coverage.xml"] = b"<coverage/>\n"
    shot.take(files, "command")
    scene.resizes(100, 30)
    scene.turn(
        text(
            "It was `vat`: since prices are cents it gave fractions of one.\n\n"
            "- `shop/prices.py`: **rounded** to whole cents\n- all three tests pass\n"
        ),
        said=(
            result("toolu_10", PASSES),
            result("toolu_11", "TOTAL 97%"),
            result("toolu_12", "8 shop/prices.py"),
            result("toolu_13", "Todos have been modified successfully."),
        ),
        seconds=4,
        tokens=120,
    )
    scene.shows("\r\n\x1b[1mIt was `vat`:\x1b[0m since prices are cents it gave fractions of one.\r\n\r\n> ")
    scene.note("Checked by hand: 9.99 € gives 1.90 € of tax.")
    scene.wait(9)
    scene.types("\x03")
    shot.take(files, "end")
    scene.closes_terminal()
    scene.close()


def explore(scene: Scene) -> None:
    thread = "explore-1"
    scene.turn(
        thinking("A search will do."),
        use("toolu_06", "Bash", command="grep -rn 'vat(' shop"),
        said=("Find every caller of vat() in this repository, and say which of them round.",),
        thread=thread,
        seconds=2,
    )
    found = "shop/cart.py:12:    tax = vat(net)\nshop/invoice.py:40:    row.tax = vat(row.net)\n"
    scene.run("grep -rn 'vat(' shop", ("o", found.encode()), call="toolu_06", seconds=0.1)
    scene.turn(
        use("toolu_07", "Bash", command="grep -rn 'round(' shop"), said=(result("toolu_06", found),), thread=thread
    )
    scene.run("grep -rn 'round(' shop", call="toolu_07", status=1, seconds=0.1)
    scene.turn(
        text("Two callers: shop/cart.py:12 and shop/invoice.py:40. Neither rounds."),
        said=(result("toolu_07", "Exit code 1", is_error=True),),
        thread=thread,
        seconds=2,
    )


def fix_them_again(scene: Scene) -> None:
    """The same begin; then a worse repair, and a second look."""
    shot = scene.shot()
    files = {"shop/prices.py": PRICES, "tests/test_prices.py": TESTS, "README.md": b"# Shop\n"}
    shot.take(files, "start")
    scene.turn(
        thinking("The tests first: what fails, and where."),
        text("I'll look at what fails."),
        use("toolu_01", "Bash", command="python -m pytest -q", description="Run the tests"),
        use("toolu_02", "Read", file_path="/home/alice/shop/shop/prices.py"),
        said=(REMINDER, PROMPT),
    )
    scene.run("python -m pytest -q", ("o", FAILS.encode()), call="toolu_01", status=1, seconds=2.1)
    read = PRICES.decode()
    scene.turn(
        text("The test asks for whole cents; I'll cut the fraction off."),
        use(
            "toolu_03",
            "Edit",
            file_path="/home/alice/shop/shop/prices.py",
            old_string="net * 19 / 100",
            new_string="net * 19 // 100",
        ),
        use("toolu_04", "Bash", command="python -m pytest -q"),
        said=(result("toolu_01", f"Exit code 1\n{FAILS}", is_error=True), result("toolu_02", read)),
    )
    files["shop/prices.py"] = PRICES.replace(b"19 / 100", b"19 // 100")
    shot.take(files, "request")
    worse = FAILS.replace("189.81", "189")
    scene.run("python -m pytest -q", ("o", worse.encode()), call="toolu_04", status=1, seconds=2.2)
    scene.turn(
        text("189 is rounded down. Rounding it is."),
        use(
            "toolu_05",
            "Edit",
            file_path="/home/alice/shop/shop/prices.py",
            old_string="net * 19 // 100",
            new_string="round(net * 19 / 100)",
        ),
        use("toolu_06", "Bash", command="python -m pytest -q"),
        said=(
            result("toolu_03", "The file /home/alice/shop/shop/prices.py has been updated."),
            result("toolu_04", f"Exit code 1\n{worse}", is_error=True),
        ),
    )
    files["shop/prices.py"] = FIXED
    shot.take(files, "request")
    scene.run("python -m pytest -q", ("o", PASSES.encode()), call="toolu_06", seconds=1.9)
    scene.turn(
        text("`vat` gave fractions of a cent. It rounds now, and the tests pass."),
        said=(
            result("toolu_05", "The file /home/alice/shop/shop/prices.py has been updated."),
            result("toolu_06", PASSES),
        ),
    )
    scene.close()


def going_on(scene: Scene) -> None:
    scene.turn(
        text("I'll start the server."),
        use("toolu_01", "Bash", command="make serve", run_in_background=True),
        said=("Start the shop and look at its first page.",),
    )
    scene.run("make serve", ("o", b"listening on 127.0.0.1:8000\n"), call="toolu_01", seconds=0.5)
    scene.begin("tail -f server.log", ("o", b"GET / 200\n"))
    key = scene.ask(result("toolu_01", "Command running in background with ID: b1"))
    words = "The server is up. Now I fetch its first page, and compare it with the one in docs."
    scene.begin_answer(key, text(words), events=3)


def three_turns(scene: Scene, of: str) -> None:
    """A session that something is going to be done to."""
    scene.turn(text(f"First I read {of}."), use("toolu_01", "Bash", command="cat notes.txt"), said=(f"Sum up {of}.",))
    scene.run("cat notes.txt", ("o", b"the first note\nthe second note\n"), call="toolu_01")
    scene.turn(
        text(f"Then how long {of} are."),
        use("toolu_02", "Bash", command="wc notes.txt"),
        said=(result("toolu_01", "the first note\nthe second note"),),
    )
    scene.run("wc notes.txt", ("o", b" 2  6 31 notes.txt\n"), call="toolu_02")
    scene.turn(text("Two notes, of six words."), said=(result("toolu_02", " 2  6 31 notes.txt"),))
    scene.close()


def carried_on(scene: Scene) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": pixel}}
    scene.turn(text("It is a single red dot."), said=(picture, "What is in this picture?"))
    scene.turn(
        text("<summary>A picture was looked at: a red dot.</summary>"),
        said=("Your task is to create a detailed summary of the conversation so far.",),
    )
    scene.messages.clear()
    told = "This session is being continued from a previous conversation that ran out of context: a red dot was seen."
    scene.turn(text("Then I make it blue."), said=(told, "Make it blue."))
    scene.close()


NASTY = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b31m \x07 \u202eRTL\u202c שלום مرحبا "
    "[red]markup[/red] [@click=app.quit]x[/]"
)
WIDE = "日本語 👩‍👩‍👧‍👦 é e\u0301 🏳️‍🌈 ａｂｃ \u200b\ufeff ﷽ \U000e0041 ｶﾞ"
LONG = "very-long-" * 60
WORST = f"{NASTY} {WIDE} {LONG}"


def hostile(scene: Scene) -> None:
    scene.opens_terminal(80, 24)
    scene.shows(f"{NASTY}\r\n{WIDE}\r\n")
    path = f"/home/alice/[bold]{WIDE}[/]/{LONG}\x1b[41m.py"
    scene.turn(
        thinking(WORST),
        text(WORST + "\n\r\x00\x1b[9999;9999H" + "x" * 5000),
        use("toolu_01", "Bash", command=f"echo '{NASTY}'\nprintf '{WIDE}'; # {LONG}", description=NASTY),
        use("toolu_02", "Edit", file_path=path, old_string=NASTY, new_string=WIDE),
        use(NASTY, NASTY, **{NASTY: WORST}),
        said=(f"<system-reminder>{NASTY}</system-reminder>", f"{NASTY}\n{WIDE} {LONG}"),
    )
    line = f"echo '{NASTY}'\nprintf '{WIDE}'; # {LONG}"
    output = b"\x1b[2J\x1b]52;c;aGk=\x07\xff\xfe\x00" + WORST.encode() + b"\r\n\x1bP0;1|17/ab\x1b\\" + b"y" * 3000
    scene.run(line, ("o", output), ("e", b"\x1b[31m!\x1b[0m"), call="toolu_01", status=None, signal=9)
    scene.shot().take({f"[red]{NASTY}".replace("/", "∕"): NASTY.encode(), f"日本/{'n' * 200}": WIDE.encode()}, "start")
    scene.turn(
        text(WIDE),
        said=(
            result("toolu_01", f"Exit code 137\n{WORST}", is_error=True),
            result("toolu_02", NASTY, is_error=True),
            result(NASTY, WORST),
        ),
    )
    scene.note(WORST)
    scene.closes_terminal()
    scene.close()


@contextmanager
def archive_of(home: Path, *, clock: Clock, create: bool = False) -> Iterator[LmdbArchive]:
    with clock.running(), LmdbArchive.open(home / "archive", create=create) as archive:
        archive.boot = BOOT
        yield archive


def fill(home: Path) -> None:
    """The whole shelf, into a new home."""
    home.mkdir(mode=0o700)
    clock = Clock()
    with archive_of(home, clock=clock, create=True) as archive:
        hour = 3600
        three_turns(Scene(archive, clock, DAMAGED, at=0, cwd=b"/home/alice/notes"), "the notes")
        three_turns(Scene(archive, clock, WITHHELD, at=hour / 4, cwd=b"/home/alice/letters"), "the letters")
        Scene(archive, clock, at=hour / 3, cwd=NASTY.encode(), label=WORST).close()
        carried_on(Scene(archive, clock, CARRIED, at=hour / 2.5))
        hostile(Scene(archive, clock, HOSTILE, at=hour / 2, cwd=f"/home/alice/{NASTY}".encode(), label=WORST))
        fix_the_tests(Scene(archive, clock, FIX, at=hour))
        fix_them_again(Scene(archive, clock, AGAIN, at=2 * hour))
        going_on(Scene(archive, clock, OPEN, at=3 * hour))
        _withhold(archive, archive.names()[WITHHELD], 5, 6)
    with clock.running():
        carry_out(home / "archive")
    with archive_of(home, clock=clock) as archive:
        session = archive.names()[WITHHELD]
        archive.commit(Batch(summaries={session: summary_of(archive, session).to_bytes()}))
        _flip(archive, archive.names()[DAMAGED])


def _withhold(archive: LmdbArchive, session: Digest, first: int, last: int) -> None:
    plan = forget_steps(archive, session, first, last)
    for withholding in filter(None, plan.withholdings):
        draft = withholding.draft(who="alice", reason="a private note", what=plan.what, tapes="1.0")
        draft.wall_ns, draft.mono_ns = 1_773_485_000 * 10**9, 5000 * 10**9
        archive.commit(Batch([draft]))


def _flip(archive: LmdbArchive, session: Digest) -> None:
    """One byte of the second answer."""
    ends = [digest for digest, record in archive.session_records(session) if record.type == "exchange.end"]
    ref = BodyRef.of(archive.record(ends[1]).body["response"])
    data = archive.object(ref.node)[1]
    change_pack(archive, archive.position(ends[1]), data, changed(data))


def copied(shelf: Path, to: Path) -> Path:
    """A home of one's own, which may be written to."""
    shutil.copytree(shelf, to)
    to.chmod(0o700)
    return to


def bodies(archive: LmdbArchive, session: Digest) -> Iterator[BodyRef]:
    for _, record in archive.session_records(session):
        yield from body_refs(record.body)
