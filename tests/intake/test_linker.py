"""Calls and results find each other: by id, without ids, and where ids repeat."""

from __future__ import annotations

from tapes.archive.base import Draft
from tapes.intake.linker import Event, Linker
from tapes.record.digest import Digest, blob_digest
from tapes.wire.turns import ToolCall


def draft(type_: str = "exchange.end", body: dict[str, object] | None = None) -> Draft:
    return Draft(type=type_, body=body or {}, session=None, wall_ns=0, mono_ns=0)


class Bench:
    """A linker that writes into a list."""

    def __init__(self) -> None:
        self.linker = Linker()
        self.written: list[tuple[str, str, list[Digest | Draft]]] = []

    def write(self, type_: str, body: dict[str, object], parents: list[Digest | Draft]) -> Draft:
        self.written.append((type_, str(body["id"]), parents))
        return draft(type_, body)

    def use(self, id_: str, call: ToolCall) -> None:
        body: dict[str, object] = {"id": id_, "name": call.name, "input_hash": blob_digest(call.input_raw.encode())}
        self.linker.link(Event("tool.use", body, call), draft(), self.write)

    def result(self, id_: str) -> None:
        self.linker.link(Event("tool.result", {"id": id_}), draft("exchange.open"), self.write)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(type_, id_) for type_, id_, _ in self.written]


def call(id_: str, name: str = "bash", said: str = "ls", **extra: str) -> ToolCall:
    return ToolCall(id_, name, {"command": said}, said, extra=extra)


def test_a_result_names_its_call_as_a_parent_and_is_written_once() -> None:
    bench = Bench()
    bench.use("a", call("a"))
    bench.result("a")
    bench.result("a")
    assert bench.told == [("tool.use", "a"), ("tool.result", "a")]
    assert len(bench.written[1][2]) == 2
    assert not bench.linker.waiting()


def test_a_retried_answer_with_the_same_call_writes_nothing_new() -> None:
    bench = Bench()
    bench.use("a", call("a"))
    bench.use("a", call("a"))
    assert bench.told == [("tool.use", "a")]


def test_an_id_that_comes_again_after_its_result_is_another_call() -> None:
    bench = Bench()
    for said in ("ls", "ls"):  # a server that counts from 0 with every answer
        bench.use("call_0", call("call_0", said=said))
        bench.result("call_0")
    assert bench.told == [("tool.use", "call_0"), ("tool.result", "call_0")] * 2


def test_an_id_that_comes_again_with_another_input_is_another_call() -> None:
    bench = Bench()
    bench.use("call_0", call("call_0", said="ls"))
    bench.use("call_0", call("call_0", said="pwd"))
    assert bench.told == [("tool.use", "call_0")] * 2


def test_a_call_without_an_id_is_found_again_by_what_it_says() -> None:
    bench = Bench()
    bench.use("x.0", call("", said="ls"))
    bench.use("x.1", call("", said="pwd"))
    assert bench.linker.resolve(call("invented_2", said="pwd")) == "x.1"
    assert bench.linker.resolve(call("invented_1", said="ls")) == "x.0"
    assert bench.linker.resolve(call("invented_1", said="ls")) == "x.0", "a retry finds the same"
    assert bench.linker.resolve(call("invented_3", said="ls")) is None


def test_a_signature_outranks_what_a_call_says() -> None:
    bench = Bench()
    bench.use("x.0", call("", said="ls", thoughtSignature="s0"))
    bench.use("y.0", call("", said="ls", thoughtSignature="s1"))
    assert bench.linker.resolve(call("#3.0", said="ls", thoughtSignature="s1")) == "y.0"
    assert bench.linker.resolve(call("#1.0", said="ls", thoughtSignature="s0")) == "x.0"


def test_the_only_nameless_call_of_a_tool_is_found_though_the_agent_rewrote_its_input() -> None:
    bench = Bench()
    bench.use("x.0", call("", said="ls"))
    assert bench.linker.resolve(call("#1.0", said="ls -l")) == "x.0"


def test_equal_calls_without_ids_are_taken_in_order() -> None:
    bench = Bench()
    bench.use("x.0", call(""))
    bench.use("x.1", call(""))
    assert [bench.linker.resolve(call(f"#1.{n}")) for n in range(3)] == ["x.0", "x.1", None]


def test_an_adopted_session_knows_its_events_again() -> None:
    bench = Bench()
    body = {"id": "a", "name": "bash", "input_hash": blob_digest(b"ls")}
    bench.linker.known("tool.use", body, blob_digest(b"record"))
    bench.use("a", call("a"))
    assert bench.told == []
    assert bench.linker.waiting() == ["a"]
    bench.result("a")
    assert bench.written[0][2][1] == blob_digest(b"record")


def test_what_has_been_committed_is_kept_by_its_hash_alone() -> None:
    bench = Bench()
    for n in range(3):
        bench.use(str(n), call(str(n)))
        made = bench.linker.uses[str(n)].record
        assert isinstance(made, Draft)
        made.hash = blob_digest(str(n).encode())
    bench.result("0")
    kept = [use.record for use in bench.linker.uses.values()]
    assert kept == [blob_digest(str(n).encode()) for n in range(3)]
