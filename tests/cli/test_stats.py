"""`tapes stats`: the sums are what the provider said, whatever went wrong on the way."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support import Bench, bench
from tapes_addons.simulators.agent import DIALECTS

QUICK = {"first_ms": 5, "gap_ms": 1, "chars": 16}
TOOL = {"text": "Looking.", "tools": [{"tool": "bash", "input": {"command": "echo one"}}]}
FAILING = {"text": "Once more.", "tools": [{"tool": "bash", "input": {"command": "exit 3"}}]}
LAST = {"text": "Done: é 漢字 🙂."}
TASK = {"tools": [{"tool": "task", "input": {"prompt": "[script:sub] Look.", "description": "look"}}]}


def script(*turns: object, **others: list[object]) -> dict[str, object]:
    return {"pace": QUICK, "scripts": {"main": list(turns), **others}}


def said_by(b: Bench) -> Counter[str]:
    """What the provider's answers say, read without any of our readers: input (with caches), cached, output."""
    total: Counter[str] = Counter()
    for request, answer in b.said(""):
        if b'"generate": false' in request or b'"generate":false' in request:
            continue  # a warm-up
        found: dict[str, Any] = {}
        for value in objects(answer.decode("utf-8", "replace")):
            inner = [value, *(value.get(name) or {} for name in ("message", "response") if isinstance(value, dict))]
            for holder in inner:
                if isinstance(holder, dict):
                    found |= holder.get("usage") or holder.get("usageMetadata") or {}
                    found |= {k: v for k, v in holder.items() if k in ("prompt_eval_count", "eval_count")}
        if not found:
            continue
        details = found.get("prompt_tokens_details") or found.get("input_tokens_details") or {}
        read = (
            found.get("cache_read_input_tokens") or details.get("cached_tokens") or found.get("cachedContentTokenCount")
        )
        given = next(
            found[name]
            for name in ("input_tokens", "prompt_tokens", "promptTokenCount", "prompt_eval_count")
            if name in found
        )
        if "cache_read_input_tokens" in found:
            given += found["cache_read_input_tokens"] + found["cache_creation_input_tokens"]
        made = next(
            found[name]
            for name in ("output_tokens", "completion_tokens", "candidatesTokenCount", "eval_count")
            if name in found
        )
        total += Counter(given=given, read=read or 0, made=made)
    return total


def objects(text: str) -> list[Any]:
    found = []
    # An array that was cut is one once it is closed.
    for piece in [text, text.rstrip(", \r\n") + "]", *text.splitlines()]:
        try:
            found.append(json.loads(piece.removeprefix("data:")))
        except ValueError:
            continue
    flat = [value for one in found for value in (one if isinstance(one, list) else [one])]
    return [value for value in flat if isinstance(value, dict)]


def counted(row: dict[str, Any]) -> Counter[str]:
    t = row["tokens"]
    given = t["input"] + t["cache_read"] + t["cache_write_5m"] + t["cache_write_1h"]
    return Counter(given=given, read=t["cache_read"], made=t["output"])


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_sums_of_every_dialect_are_what_the_provider_said(tmp_path: Path, dialect: str) -> None:
    with bench(tmp_path, script(TOOL, FAILING, LAST)) as b:
        assert b.run(*b.agent("Go.", "--dialect", dialect)).returncode == 0
        rows = b.rows("stats", "--by", "model")
        assert counted(rows[-1]) == said_by(b)
        assert counted(rows[-1])["made"] > 0
        assert (rows[-1]["calls"], rows[-1]["failed"], rows[-1]["untold"]) == (3, 0, 0)
        assert (rows[-1]["tool_uses"], rows[-1]["sessions"]) == (2, 1)
        assert rows[-1]["ttft_p50_us"] is None or rows[-1]["ttft_p50_us"] > 0


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_what_failed_and_was_made_again_is_counted_and_told_apart(tmp_path: Path, dialect: str) -> None:
    faults = ({"error": {"status": 429}}, {"drop": {"after": 2}})
    with bench(tmp_path, script(*(TOOL | {"faults": fault} for fault in faults), LAST)) as b:
        assert b.run(*b.agent("Go.", "--dialect", dialect)).returncode == 0
        total = b.rows("stats")[-1]
        assert counted(total) == said_by(b)
        assert total["failed"] == 2
        assert total["calls"] == 5
        lost = sum(total["lost"].values())
        if dialect == "anthropic":  # its streams begin with the input
            assert lost > 0
        # The others tell nothing before the end: what the cut stream cost is not known, and that is said.
        assert total["untold"] == (0 if lost else 1)


def test_a_subagents_calls_are_counted_once(tmp_path: Path) -> None:
    with bench(tmp_path, script(TASK, LAST, sub=[TOOL, LAST])) as b:
        assert b.run(*b.agent("Go.")).returncode == 0
        total = b.rows("stats")[-1]
        assert counted(total) == said_by(b)
        assert total["calls"] == 4
        assert len({row["thread"] for row in b.rows("show", "@", "--exchanges")}) == 2


def test_groups_add_up_to_the_whole_and_filters_leave_out(tmp_path: Path) -> None:
    with bench(tmp_path, script(TOOL, FAILING, LAST)) as b:
        for dialect in ("anthropic", "gemini"):
            assert b.run(*b.agent("Go.", "--dialect", dialect)).returncode == 0
        for by in ("day", "agent", "model", "project", "session"):
            *groups, total = b.rows("stats", "--by", by)
            assert sum((counted(row) for row in groups), Counter()) == counted(total), by
            assert {row["by"] for row in groups} == {by}
        assert len(b.rows("stats", "--by", "session")) == 3
        assert b.rows("stats", "@")[-1]["calls"] == 3
        assert b.rows("stats", "@", "@")[-1]["calls"] == 3
        assert b.rows("stats", "--until", "1h")[-1]["calls"] == 0
        assert b.rows("stats", "--since", "1h")[-1]["calls"] == 6
        assert b.rows("stats", "--agent", "nobody")[-1]["sessions"] == 0
        (models, _) = {row["key"] for row in b.rows("stats", "--by", "model")[:-1]}, None
        for model in models:
            assert b.rows("stats", "--model", str(model))[-1]["calls"] == 3
        (bash, total) = b.rows("stats", "--by", "tool")
        assert bash["tool_uses"] == total["tool_uses"] == 4


def test_the_hash_of_a_slow_call_is_one_that_show_and_cat_accept(tmp_path: Path) -> None:
    with bench(tmp_path, script(TOOL, LAST)) as b:
        assert b.run(*b.agent("Go.")).returncode == 0
        found = [row for row in b.rows("stats", "--slowest", "1", "--costliest", "1") if row["by"] == "slowest"]
        assert len(found) == 1
        longest = max(row["duration_us"] for row in b.rows("show", "@", "--exchanges"))
        assert found[0]["duration_us"] == longest
        assert b.tapes("cat", found[0]["key"]).returncode == 0
        assert b.tapes("show", found[0]["key"]).returncode == 0


def test_what_was_forgotten_is_not_told_from_the_cache(tmp_path: Path) -> None:
    with bench(tmp_path, script(TOOL, LAST)) as b:
        for _ in range(2):
            assert b.run(*b.agent("Go.")).returncode == 0
        assert b.rows("stats")[-1]["calls"] == 4
        before = b.rows("stats", "@~1")[-1]
        done = b.tapes("forget", "@", "--yes")
        assert done.returncode == 0, done.stderr.decode()
        assert not list((b.home / "cache").glob("facts*"))
        after = b.rows("stats")[-1]
        assert after["tokens"] == before["tokens"]
        assert b.rows("stats")[-1] == after


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One session, which is only read."""
    with bench(tmp_path_factory.mktemp("once"), script(TOOL, FAILING, LAST)) as b:
        assert b.run(*b.agent("Go.")).returncode == 0
        return b


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_tables_and_charts_fit_the_terminal(once: Bench, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setitem(once.environ, "COLUMNS", str(columns))
    for by in ("day", "agent", "model", "tool", "project", "session"):
        for words in ((), ("--chart",)):
            shown = once.read("stats", "--by", by, "--slowest", "2", *words).decode()
            assert max(map(len, shown.splitlines())) <= columns, shown
            assert ("█" in shown) == bool(words)


def test_without_price_lists_it_says_so_once_and_nothing_costs_nought(tmp_path: Path) -> None:
    with bench(tmp_path, script(LAST)) as b:
        assert b.run(*b.agent("Go.")).returncode == 0
        done = b.tapes("stats", "--json")
        total = json.loads(done.stdout.splitlines()[-1])
        assert total["cost"] is None and total["unpriced"] == 1  # nobody sells the scripted model
        assert done.stderr.decode().count("price lists") + done.stderr.decode().count("unpriced") == 1


def test_a_session_that_is_being_recorded_counts_as_far_as_it_is(tmp_path: Path) -> None:
    waiting = LAST | {"faults": {"stall": {"after": 2, "seconds": 20.0}}}
    with bench(tmp_path, script(TOOL, waiting)) as b:
        command = b.command(*b.route(), *b.agent("Go."))
        run = subprocess.Popen(command, env=b.env(), cwd=b.project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            deadline, total = time.monotonic() + 30, {"calls": 0}
            while total["calls"] < 2 and time.monotonic() < deadline:
                done = b.tapes("stats", "--json")
                if done.returncode == 0:
                    total = json.loads(done.stdout.splitlines()[-1])
            assert (total["calls"], total["failed"], total["tool_uses"]) == (2, 0, 1)
            assert total["tokens"]["output"] > 0
        finally:
            run.terminate()
            run.wait(20)
        assert b.rows("stats")[-1]["calls"] == 2
