"""Which conversation a call belongs to, told of small made-up ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tapes.record.digest import Digest
from tapes.session.threads import MAIN, ModelCall, Place, Spawn, Threads
from tapes.wire.agents.base import Identity

_COUNT = iter(range(10_000))


def call(*said: str, session: str = "", thread: str = "", parent: str = "", **facts: object) -> ModelCall:
    """A request whose messages are these; `last_said` is the last of them that is not the model's."""
    words = [one for one in said if not one.startswith("model:")]
    known = ModelCall(
        key=Digest(next(_COUNT).to_bytes(32, "big")),
        identity=Identity(session, thread, parent),
        marks=tuple(one.encode() for one in said),
        last_said=words[-1].encode() if words else b"",
        ground=b"system",
        said=tuple(words),
    )
    return replace(known, **facts)  # type: ignore[arg-type]


def put(threads: Threads, *calls: ModelCall) -> list[Place]:
    return [threads.add(one) for one in calls]


def use(number: int) -> Digest:
    return Digest(bytes([255, number]) + bytes(30))


def names(places: list[Place]) -> list[str]:
    return [place.thread for place in places]


def test_a_history_that_grows_is_one_conversation_and_only_its_end_is_new() -> None:
    found = put(Threads(), call("a"), call("a", "model:b", "c"), call("a", "model:b", "c", "model:d", "e"))
    assert names(found) == [MAIN] * 3
    assert [place.new for place in found] == [None, {1, 2}, {3, 4}]


def test_the_same_request_again_has_nothing_new() -> None:
    found = put(Threads(), call("a"), call("a"), call("a", "model:b", "a"))
    assert [place.new for place in found] == [None, frozenset(), {1, 2}]


def test_two_conversations_that_take_turns_are_told_apart() -> None:
    found = put(
        Threads(), call("a"), call("x"), call("a", "model:b", "c"), call("x", "model:y", "z"), call("x", "model:y", "z")
    )
    assert names(found) == [MAIN, "thread-2", MAIN, "thread-2", "thread-2"]


def test_another_system_text_is_another_conversation_though_it_begins_with_the_same_question() -> None:
    threads = Threads()
    put(threads, call("a"), call("a", "model:b", ground=b"other"))
    assert list(threads.hung(())) == [MAIN, "thread-2"]


def test_a_history_rewritten_at_its_end_goes_on_where_the_last_words_of_the_person_are_still_in_it() -> None:
    # As aider does: a reminder stands last, and moves.
    found = put(Threads(), call("a", "reminder", last_said=b"a"), call("a", "model:b", "c", "reminder", last_said=b"c"))
    assert names(found) == [MAIN, MAIN] and found[1].new == {1, 2}


def test_an_answers_id_leads_on_and_all_that_comes_with_it_is_new() -> None:
    found = put(
        Threads(),
        call("a", answer="r1"),
        call("b", previous="r1", answer="r2"),
        call("other", answer="s1"),
        call("b", previous="r2", answer="r3"),
        call("d", previous="s1"),
    )
    assert names(found) == [MAIN, MAIN, "thread-2", MAIN, "thread-2"]
    assert [place.new for place in found] == [None] * 5


def test_a_history_sent_anew_after_a_broken_connection_says_nothing_twice() -> None:
    ids = {"session": "s"}
    found = put(
        Threads(),
        call("rules", "do it", answer="r1", **ids),
        call("result 1", previous="r1", answer="r2", **ids),
        call("rules", "do it", "model:x", "result 1", "model:y", "result 2", resumed=True, **ids),
    )
    assert names(found) == [MAIN] * 3
    assert found[2].new == {2, 4, 5} and not found[2].seam


def test_after_a_compaction_prompts_are_not_said_again_but_new_ones_are() -> None:
    threads = Threads()
    found = put(
        threads,
        call("rules", "do it", "model:x", "more", session="s"),
        call("rules", "do it", "model:x", "more", "trigger", session="s", purpose="compaction"),
        call("rules", "do it", "more", "summary", "and now this", session="s", continued=True),
    )
    assert [place.seam for place in found] == ["", "compaction", ""]
    assert found[2].new == {3, 4} and list(threads.hung(())) == [MAIN]


def test_a_run_that_goes_on_from_an_earlier_one_begins_with_a_seam() -> None:
    (found,) = put(Threads(), call("a", "model:b", "c", session="s", resumed=True))
    assert found.seam == "resumed"


def test_a_warm_up_is_no_beginning() -> None:
    warm = call(session="s", purpose="probe", answer="r1")
    found = put(Threads(), warm, call("a", "model:b", "c", session="s", previous="r1", resumed=True))
    assert found[1].seam == "resumed" and found[1].new is None


@pytest.mark.parametrize("purpose", ["title", "router", "commit"])
def test_side_calls_have_a_thread_of_their_own(purpose: str) -> None:
    threads = Threads()
    put(threads, call("a", purpose=purpose, session="s"), call("a", session="s"))
    assert {name: thread.kind for name, thread in threads.hung(()).items()} == {purpose: purpose, MAIN: "main"}


def test_ids_of_the_agents_own_outrank_what_histories_have_in_common() -> None:
    found = put(Threads(), call("a", session="s"), call("a", session="s", thread="t"), call("a", session="other"))
    assert names(found) == [MAIN, "t", "other"]


def test_a_subagent_hangs_under_the_call_whose_result_names_it() -> None:
    threads = Threads()
    put(
        threads,
        call("a", session="s"),
        call("look", session="s", thread="a6ef"),
        call("look", session="s", thread="b7"),
    )
    spawns = [Spawn(use(1), MAIN, "look", "done. agentId: b7"), Spawn(use(2), MAIN, "look", "done. agentId: a6ef")]
    assert {t.id: t.spawned_by for t in threads.hung(spawns).values()} == {MAIN: None, "a6ef": use(2), "b7": use(1)}


def test_before_there_is_a_result_the_prompt_tells() -> None:
    threads = Threads()
    put(threads, call("a"), call("Your task: count the lines.", ground=b"investigator"))
    thread = threads.hung([Spawn(use(1), MAIN, "count the lines.")])["thread-2"]
    assert (thread.kind, thread.parent, thread.spawned_by) == ("subagent", MAIN, use(1))


def test_a_nested_subagent_hangs_under_its_own_parent_by_the_name_of_its_task() -> None:
    threads = Threads()
    put(
        threads,
        call("a", session="s", path="/root"),
        call("sealed", session="s", thread="t1", path="/root/task"),
        call("sealed", session="s", thread="t2", parent="t1", path="/root/task/task"),
    )
    found = threads.hung(
        [
            Spawn(use(1), MAIN, "go", '{"task_name":"/root/task"}'),
            Spawn(use(2), "t1", "go", '{"task_name":"/root/task/task"}'),
        ]
    )
    assert [(t.parent, t.spawned_by) for t in found.values()] == [("", None), (MAIN, use(1)), ("t1", use(2))]


def test_no_agent_hangs_under_a_call_of_its_own() -> None:
    threads = Threads()
    put(threads, call("a"), call("do it", ground=b"x"))
    assert threads.hung([Spawn(use(1), "thread-2", "do it")])["thread-2"].spawned_by is None
