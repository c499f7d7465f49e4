"""Whose session a request belongs to, where one proxy serves many; decided by headers, and steady."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapes.archive.base import Batch
from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.opening import Facts, opening
from tapes.intake.recording import Who
from tapes.wire.exchange import Egress, Finished, Happening, Moment, Opened, PassedBy
from tapes.wire.redact import Redactor
from tapes_addons.standing import REMEMBERED, UNASSIGNED, Persons, Sessions, Waiting, label

CLAUDE = {"user-agent": "claude-cli/2.1.0 (external)", "x-claude-code-session-id": "c-1"}
CODEX = {"originator": "codex_exec", "user-agent": "codex_exec/0.1"}
SDK = {"user-agent": "OpenAI/Python 3"}


def opencode(session: str, parent: str = "") -> dict[str, str]:
    named = {"user-agent": "opencode/1.18", "x-session-id": session}
    return named | ({"x-parent-session-id": parent} if parent else {})


# -- persons


def test_an_id_on_the_wire_comes_before_the_user_name_and_that_before_nothing() -> None:
    persons = Persons()
    assert persons.whose(CLAUDE, "alice") == Who("wire", "claude", "c-1", "alice")
    assert persons.whose(SDK, "bob") == Who("user", "", "bob", "bob")
    assert persons.whose(SDK, "") == UNASSIGNED


def test_a_person_stays_the_same_whatever_later_requests_say() -> None:
    persons = Persons()
    first = persons.whose(CLAUDE, "alice")
    assert persons.whose(CLAUDE, "") is first
    assert persons.whose(CLAUDE, "bob") is first
    user = persons.whose({"user-agent": "GeminiCLI/1.0"}, "carol")
    assert user.agent == "gemini"
    assert persons.whose(SDK, "carol") is user


def test_the_name_that_env_makes_up_tells_the_agent_that_leaves_no_mark() -> None:
    assert Persons().whose(SDK, "mini-3f2a").agent == "mini"
    assert Persons().whose(SDK, "minister").agent == ""


def test_subagents_of_subagents_belong_to_the_session_they_came_from() -> None:
    persons = Persons()
    root = persons.whose(opencode("ses_root"), "")
    assert persons.whose(opencode("ses_child", "ses_root"), "") is root
    assert persons.whose(opencode("ses_grandchild", "ses_child"), "") is root
    assert persons.whose(opencode("ses_other"), "") is not root


def test_calls_of_an_agent_without_an_id_go_to_its_users_session_with_one() -> None:
    persons = Persons()
    before = persons.whose(CODEX, "codex-3f2a")
    assert before.kind == "user"
    wire = persons.whose(CODEX | {"session-id": "s-1"}, "codex-3f2a")
    assert persons.whose(CODEX, "codex-3f2a") is wire
    assert persons.whose(SDK, "codex-3f2a") is before
    assert persons.whose({}, "codex-3f2a") is wire


def test_an_endless_stream_of_ids_does_not_fill_the_memory() -> None:
    persons = Persons()
    for number in range(REMEMBERED + 50):
        persons.whose(opencode(f"ses_{number}", f"ses_{number - 1}"), f"user-{number}")
    assert max(len(persons._known), len(persons._latest), len(persons._roots)) <= REMEMBERED


def test_an_id_too_long_to_be_one_is_none() -> None:
    assert Persons().whose(CLAUDE | {"x-claude-code-session-id": "x" * 5000}, "") == UNASSIGNED


# -- what waits


def opened() -> Opened:
    url = "https://h/v1/messages"
    return Opened("k", Moment.now(), "POST", url, "HTTP/1.1", (), b"{}", "anthropic", "model", "c", "proxy")


TUNNEL = Egress(Moment.now(), "h", 443, "tunnel", 1, 2, 0)
COUNTED = PassedBy("h", "POST", "/telemetry")
ALICE = Who("user", id="alice", user="alice")


class Put:
    def __init__(self) -> None:
        self.seen: list[tuple[Happening, Who]] = []

    def __call__(self, happening: Happening, who: Who) -> bool:
        self.seen.append((happening, who))
        return True


def test_tunnels_wait_for_their_users_first_exchange_and_go_with_it() -> None:
    put, persons = Put(), Persons()
    waiting = Waiting(put, persons)
    waiting.put(TUNNEL, persons.whose({}, "alice"))
    assert put.seen == []
    who = persons.whose(CLAUDE, "alice")
    call = opened()
    waiting.put(call, who)
    waiting.put(COUNTED, persons.whose({}, "alice"))
    assert put.seen == [(call, who), (TUNNEL, who), (COUNTED, who)]


def test_after_a_session_was_closed_they_wait_again_and_nothing_is_lost_at_the_end() -> None:
    put, persons = Put(), Persons()
    waiting = Waiting(put, persons)
    end = Finished("k", Moment.now(), "eof")
    for happening in (opened(), end):
        waiting.put(happening, UNASSIGNED)
    waiting.closed(UNASSIGNED)
    waiting.put(TUNNEL, UNASSIGNED)
    waiting.put(COUNTED, ALICE)
    assert len(put.seen) == 2
    waiting.release_all()
    assert put.seen[2:] == [(TUNNEL, UNASSIGNED), (COUNTED, ALICE)]


def test_what_can_not_wait_any_longer_is_counted() -> None:
    waiting = Waiting(Put(), Persons())
    taken = [waiting.put(TUNNEL, ALICE) for _ in range(1002)]
    assert taken.count(False) == waiting.dropped == 2


# -- sessions


def test_the_last_session_of_an_id_is_continued_and_only_by_the_same_agents() -> None:
    archive = MemoryArchive()
    earlier = [opening(Facts("claude", (), b"", agent_session="c-1"), Redactor()) for _ in range(2)]
    archive.commit(Batch(drafts=earlier))
    sessions = Sessions(archive, Redactor(), "serve")
    claude, other = Who("wire", "claude", "c-1"), Who("wire", "codex", "c-1")
    first, second = sessions.begin(claude), sessions.begin(other)
    body = dict(first.session.body)  # type: ignore[union-attr]
    assert body["continues"] == earlier[1].hash
    assert (body["agent_session"], body["label"], body["route"]) == ("c-1", "serve: c-1", "serve")
    assert "continues" not in second.session.body  # type: ignore[union-attr]
    archive.commit(first.splitter.take_batch()[0])
    again = sessions.begin(claude)
    assert again.session.body["continues"] == first.session.hash  # type: ignore[union-attr]


def test_a_key_in_the_place_of_a_name_is_not_written(tmp_path: Path) -> None:
    key = "sk-ant-api03-" + "a1B2" * 20
    body = Sessions(MemoryArchive(), Redactor(), "serve").begin(Who("user", id=key, user=key)).session.body  # type: ignore[union-attr]
    assert "a1B2" not in str(body)
    assert body["redactions"]


@pytest.mark.parametrize(
    "key",
    ["sk-mine1", "AIzaSyMine", "ghp_mine", "my-own-password-1", "sk-" + "a1B2" * 99],
)
def test_a_user_name_like_a_key_is_nobodys_label_and_a_person_all_the_same(key: str) -> None:
    redactor = Redactor([("password", b"my-own-password-1")])
    persons = Persons(redactor)
    who, other = persons.whose(SDK, key), persons.whose(SDK, "sk-another")
    assert persons.whose(SDK, key) is who
    assert other != who
    assert label("serve", who) == label("serve", other) == "serve: (redacted)"
    body = Sessions(MemoryArchive(), Redactor(), "serve").begin(who).session.body  # type: ignore[union-attr]
    assert body["label"] == "serve: (redacted)"
    assert key[:8] not in str((who, body))
    wire = persons.whose(CLAUDE, key)
    assert label("serve", wire) == "serve: (redacted) c-1"
    assert persons.whose({}, key) is wire


def test_labels_are_short_and_leave_made_up_names_out() -> None:
    long = "ses_0123456789abcdef"
    assert label("serve", Who("wire", "opencode", long, "opencode-3f2a")) == "serve: ses_01234567…"
    assert label("serve", Who("wire", "opencode", long, "alice")) == "serve: alice ses_01234567…"
    assert label("serve", Who("user", "mini", "mini-3f2a", "mini-3f2a")) == "serve: mini-3f2a"
    assert label("mitmproxy", UNASSIGNED) == "mitmproxy: unassigned"
