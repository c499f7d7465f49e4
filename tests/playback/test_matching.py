"""A recording played to itself answers as it did; what makes runs differ changes nothing; what does not fit is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.errors import Withheld
from tapes.playback.matching import Given, Refused, Tape
from tapes.playback.places import Places
from tapes.playback.recorded import Answer, Piece, Recorded
from tapes.record.digest import blob_digest

URL = "https://api.anthropic.com/v1/messages"


def body(*messages: Any, **fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields, "messages": list(messages)}).encode()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def result(text: str, id_: str = "toolu_1") -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id_, "content": text}]}


def exchange(request: bytes, answer: bytes, n: int = 0, url: str = URL, cls: str = "model") -> Recorded:
    said = Answer(200, "OK", (), (Piece(0, answer),))
    found = blob_digest(request) if request else None
    return Recorded(f"{n:064x}", n, "http", "anthropic", cls, "POST", url, found, lambda: request, lambda: said)


def tape(pairs: Sequence[tuple[bytes, bytes]], places: Places | None = None, **how: bool) -> Tape:
    return Tape([exchange(*pair, n) for n, pair in enumerate(pairs)], places or Places({}), **how)


def answered(found: Given | Refused) -> bytes:
    assert isinstance(found, Given), found
    return found.answer.body


def ask(played: Tape, request: bytes) -> Given | Refused:
    return played.ask("http", "POST", URL, request)


words = st.sampled_from(["do it", "ls -l", "one two\nthree", "é 漢字", '{"a": [1]}', "x" * 30])
histories = st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=8)
ids = st.builds(lambda a, b: f"{a:08x}-1111-4222-8333-{b:012x}", st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1))


@given(histories)
@settings(max_examples=60, deadline=None)
def test_a_sequence_played_to_itself_answers_exactly(said: list[list[str]]) -> None:
    pairs = [(body(*map(user, words)), f"answer {n}".encode()) for n, words in enumerate(said)]
    played = tape(pairs)
    for request, answer in pairs:
        found = ask(played, request)
        assert answered(found) == answer
        assert isinstance(found, Given) and found.how == "exact"
    assert not played.left


@given(histories, st.lists(ids, min_size=2, max_size=2, unique=True), st.dates().map(str), st.dates().map(str))
@settings(max_examples=60, deadline=None)
def test_ids_and_dates_may_change(said: list[list[str]], names: list[str], then: str, now: str) -> None:
    def asked(words: list[str], id_: str, day: str) -> bytes:
        told = [user(f"<id>{id_}</id> {word}, on {day} at 12:00:01") for word in words]
        return body(*told, metadata={"user_id": id_}, system=[{"type": "text", "text": f"Today is {day}."}])

    played = tape([(asked(words, names[0], then), f"answer {n}".encode()) for n, words in enumerate(said)])
    for n, words in enumerate(said):
        assert answered(ask(played, asked(words, names[1], now))) == f"answer {n}".encode()


def test_the_same_request_gets_its_answers_in_their_order_and_then_none() -> None:
    request = body(user("Go."))
    played = tape([(request, b"overloaded"), (request, b"done")])
    assert [answered(ask(played, request)) for _ in range(2)] == [b"overloaded", b"done"]
    refused = ask(played, request)
    assert isinstance(refused, Refused) and "2 times" in refused.reason
    again = tape([(request, b"overloaded"), (request, b"done")], repeat=True)
    assert [answered(ask(again, request)) for _ in range(3)] == [b"overloaded", b"done", b"done"]


def test_what_is_no_model_call_may_be_asked_for_again() -> None:
    url = "https://api.anthropic.com/v1/models"
    played = Tape([exchange(b"", b"models", 0, url, "models")], Places({}))
    for _ in range(3):
        assert answered(played.ask("http", "POST", url, b"")) == b"models"
    assert not played.left


def test_cache_marks_client_data_forms_of_text_and_the_order_of_keys_do_not_count() -> None:
    marked = {"type": "text", "text": "Go.", "cache_control": {"type": "ephemeral"}}
    then = body({"role": "user", "content": [marked]}, metadata={"user_id": "a"}, max_tokens=5)
    now = json.dumps({"messages": [{"content": "Go.", "role": "user"}], "max_tokens": 5, "model": "m"}).encode()
    assert answered(ask(tape([(then, b"yes")]), now)) == b"yes"


def test_results_of_parallel_calls_may_come_in_any_order() -> None:
    blocks = [*result("one", "toolu_1")["content"], *result("two", "toolu_2")["content"]]
    then = body(user("Go."), {"role": "user", "content": blocks})
    now = body(user("Go."), {"role": "user", "content": blocks[::-1]})
    assert answered(ask(tape([(then, b"yes")]), now)) == b"yes"


def test_threads_that_go_on_at_the_same_time_each_get_their_own() -> None:
    pairs = [(body(user(f"{name} {n}")), f"{name}{n}".encode()) for n in range(3) for name in ("a", "b")]
    played = tape(pairs)
    for request, answer in [*pairs[1::2], *pairs[::2]]:
        assert answered(ask(played, request)) == answer


def test_a_miss_names_the_nearest_request_and_the_first_difference() -> None:
    played = tape([(body(user("Go.")), b"a"), (body(user("Go."), result("it is hello")), b"b")])
    found = ask(played, body(user("Go."), result("it is hullo")))
    assert isinstance(found, Refused)
    assert found.nearest is not None and found.nearest.number == 1
    assert found.difference is not None
    assert found.difference.where == "messages[1].content[0].content[0].text"
    assert "hello" in found.difference.recorded and "hullo" in found.difference.asked
    assert "only what tools gave back" in found.reason
    assert len(played.left) == 2, "a miss takes nothing away"


def test_with_lenient_what_tools_answered_may_differ_and_that_is_told() -> None:
    played = tape([(body(user("Go."), result("it is hello")), b"b")], lenient=True)
    found = ask(played, body(user("Go."), result("it is hullo")))
    assert answered(found) == b"b"
    assert isinstance(found, Given) and found.difference is not None


@pytest.mark.parametrize(("now", "fits"), [("4 passed in 9", True), ("5 passed in 9", True), ("Exit code 2", False)])
def test_numbers_of_what_tools_answered_may_differ_but_not_how_a_command_ended(now: str, fits: bool) -> None:
    then = "Exit code 1" if "code" in now else "4 passed in 3.2"
    played = tape([(body(user("Go."), result(then)), b"b")])
    found = ask(played, body(user("Go."), result(now)))
    assert isinstance(found, Given) == fits
    if isinstance(found, Given):
        assert found.how == "counted" and found.difference is not None


def test_another_prompt_is_never_answered() -> None:
    played = tape([(body(user("Count to 3.")), b"b")], lenient=True)
    assert isinstance(ask(played, body(user("Count to 4."))), Refused)


def test_what_is_no_json_is_compared_as_text() -> None:
    played = tape([(b"run 2026-11-21 {", b"b")])
    assert answered(ask(played, b"run 2026-11-22 {")) == b"b"


OLD, NEW = "/home/ann/project", "/srv/other/place"
EVENT = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":1,"delta":{"partial_json":"%s"}}\n\n'


def test_the_directory_is_learned_from_the_request_and_put_into_answers_that_come_in_pieces() -> None:
    def asked(place: str) -> bytes:
        return body(user("Go."), system=[{"type": "text", "text": f"Be good.\n - Working directory: {place}\nEnd."}])

    parts = [b'{\\"path\\": \\"/home', b"/ann/pro", b'ject/a.py\\", \\"other\\": \\"/home/ann/project2\\"}']
    pieces = tuple(Piece(10, EVENT % part) for part in parts)
    one = replace(exchange(asked(OLD), b""), answer=lambda: Answer(200, "OK", (), pieces))
    played = Tape([one], Places({"cwd": OLD}))
    found = ask(played, asked(NEW))
    assert isinstance(found, Given)
    assert played.places.new == {"cwd": NEW}
    said = [json.loads(piece.data.split(b"data: ")[1])["delta"]["partial_json"] for piece in found.answer.pieces]
    assert json.loads("".join(said)) == {"path": f"{NEW}/a.py", "other": "/home/ann/project2"}
    assert [piece.after_us for piece in found.answer.pieces] == [10, 10, 10]


def test_ids_of_the_agents_own_making_are_put_into_later_answers() -> None:
    then, now = "a6ef41df0611037b2", "b1111111111111111"
    pairs = [
        (body(user("Go."), result(f"agentId: {then}")), f'{{"to":"{then}"}}'.encode()),
        (body(user("Go.")), b"first"),
    ]
    played = tape(pairs)
    assert answered(ask(played, body(user("Go."), result(f"agentId: {now}")))) == f'{{"to":"{now}"}}'.encode()


def test_codex_names_its_first_agent_as_root_names_its_home() -> None:
    played = tape(
        [(body(user("home /root/.codex")), b'"/root/task" "/root/.codex"')],
        Places({"home": "/root"}, {"home": "/home/me"}),
    )
    assert answered(ask(played, body(user("home /home/me/.codex")))) == b'"/root/task" "/home/me/.codex"'


def test_what_comes_when_all_was_played_is_told_apart() -> None:
    played = tape([(body(user("Go.")), b"a")])
    before = ask(played, body(user("More.")))
    assert isinstance(before, Refused) and not before.behind
    ask(played, body(user("Go.")))
    after = ask(played, body(user("More.")))
    assert isinstance(after, Refused) and after.behind


def test_a_marker_in_the_recording_stands_for_whatever_was_secret() -> None:
    played = tape([(body(user("Go."), result("KEY=[REDACTED:env:KEY]\nB=1")), b"a")])
    assert isinstance(ask(played, body(user("Go."), result("KEY=\nB=1"))), Refused)
    assert isinstance(ask(played, body(user("Go."), result("KEY=anything\nC=1"))), Refused)
    assert answered(ask(played, body(user("Go."), result("KEY=anything\nB=1")))) == b"a"


def test_the_home_is_learned_too_also_where_it_holds_what_is_named_after_the_directory() -> None:
    def asked(home: str, place: str) -> bytes:
        slug = place.replace("/", "-")
        return body(user(f"Memory: `{home}/.claude/projects/{slug}/memory/`\nAt: {place}\nAlso {home}/.x"))

    played = tape(
        [(asked("/home/ann", "/home/ann/p"), b"/home/ann/.x /home/ann/p/a")],
        Places({"cwd": "/home/ann/p", "home": "/home/ann"}),
    )
    assert answered(ask(played, asked("/home/bob", "/srv/q/r"))) == b"/home/bob/.x /srv/q/r/a"
    assert played.places.new == {"cwd": "/srv/q/r", "home": "/home/bob"}


def test_a_request_that_can_not_be_read_keeps_no_other_from_its_answer() -> None:
    def gone() -> bytes:
        raise Withheld("a body", "0" * 64)

    one, two = exchange(body(user("One.")), b"1"), exchange(body(user("Two.")), b"2", 1)
    played = Tape([replace(one, request=gone), two], Places({}))
    now = body(user("Two."), metadata={"user_id": "x"})
    assert answered(ask(played, now)) == b"2"
    assert isinstance(ask(played, body(user("Three."))), Refused)
    assert answered(ask(played, body(user("One.")))) == b"1", "byte by byte it is known"


def test_a_directory_is_no_part_of_an_url() -> None:
    places = Places({"cwd": "/app"}, {"cwd": "/srv/new"})
    played = tape([(body(user("Go.")), b'"/app/x" "https://a.b/app/x" "file:///app/x" "/app-2"')], places)
    assert answered(ask(played, body(user("Go.")))) == b'"/srv/new/x" "https://a.b/app/x" "file:///srv/new/x" "/app-2"'


def test_agents_that_begin_alike_each_get_their_own_beginning() -> None:
    def warm(agent: str, id_: str) -> bytes:
        told = json.dumps({"agent_name": agent, "thread_id": f"01a1fe48-cdce-7b03-b18f-{id_ * 12}"})
        return json.dumps({"input": [], "generate": False, "client_metadata": {"turn": told}}).encode()

    pairs = [(warm("/root/a", "1"), b"warm a"), (warm("/root/b", "2"), b"warm b")]
    played = tape(pairs)
    assert answered(ask(played, warm("/root/b", "3"))) == b"warm b"
    assert answered(ask(played, warm("/root/a", "4"))) == b"warm a"
    played = tape(pairs)
    assert answered(ask(played, warm("/root/c", "5"))) == b"warm a", "whoever else it is, gets the first"


def test_lines_of_what_a_tool_answered_may_come_in_another_order_and_that_is_told() -> None:
    played = tape([(body(user("Go."), result("err\nout\n")), b"a"), (body(user("One\nTwo")), b"b")])
    found = ask(played, body(user("Go."), result("out\nerr\n")))
    assert answered(found) == b"a"
    assert isinstance(found, Given) and found.difference is not None
    assert isinstance(ask(played, body(user("Two\nOne"))), Refused)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["tool_result", "x", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "output", "is_error", "text", "id", "functionResponse", "messages"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(anything, anything)
@settings(max_examples=150, deadline=None)
def test_any_json_can_be_asked_and_is_given_to_itself_alone(then: Any, now: Any) -> None:
    played = tape([(json.dumps({"a": then}).encode(), b"yes")], lenient=True)
    ask(played, json.dumps({"b": 1, "a": now}).encode())
    assert isinstance(ask(played, json.dumps({"a": then, "b": 1}).encode()), Refused)
    assert (
        answered(ask(tape([(json.dumps({"a": then}).encode(), b"yes")]), json.dumps({"a": then}, indent=1).encode()))
        == b"yes"
    )


def test_when_an_agent_hears_of_the_end_of_another_does_not_count() -> None:
    notice = user('<subagent_notification>\n{"agent_path": "a", "status": "done"}')
    pairs = [(body(user("Go."), notice), b"1"), (body(user("Go."), result("x")), b"2")]
    played = tape(pairs)
    assert answered(ask(played, body(user("Go.")))) == b"1"
    assert answered(ask(played, body(user("Go."), result("x"), notice))) == b"2"


def test_codex_may_ask_before_it_has_its_list_of_models() -> None:
    listed = "- `a-1`: One.\n- `b-2`: Two."
    several = f"\n        Available model overrides (optional; inherited is preferred):\n{listed}\n        Spawns."
    none = "\n        No picker-visible model overrides are currently loaded.\n        Spawns."
    for one, other in ((several, none), (none, several)):
        played = tape([(body(user("hi"), tools=[{"name": "t", "description": one}]), b"yes")])
        assert answered(ask(played, body(user("hi"), tools=[{"name": "t", "description": other}]))) == b"yes"
    played = tape([(body(user("hi"), tools=[{"name": "t", "description": none}]), b"yes")])
    assert isinstance(ask(played, body(user("hi"), tools=[{"name": "t", "description": f"{none} More."}])), Refused)


def test_a_directory_that_is_the_same_has_not_moved() -> None:
    places = Places({"cwd": "/home/one/repo"}, {"cwd": "/home/two/repo"})
    assert places.moved["/home/one/repo"] == "/home/two/repo"
    assert all(then != now for then, now in places.moved.items())
