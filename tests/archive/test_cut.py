from __future__ import annotations

import json
import os
import random
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import edits
from tapes.archive import cut as cutting
from tapes.archive.base import Object
from tapes.archive.cut import Cutter, cut_once
from tapes.archive.node import read_node
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef

HOSTILE = {
    "a flood of quotes": b'"' * 300_000,
    "a flood of escaped quotes": b'"' + b'\\"' * 200_000 + b'"',
    "backslashes without end": b'"' + b"\\" * 300_001 + b'"',
    "a string that never ends": b'{"a":"' + b"x" * 200_000,
    "nesting": b"[" * 100_000,
    "one byte": b" " * 400_000,
    "no text at all": random.Random(1).randbytes(300_000),
    "base64": b'{"data":"' + b64encode(random.Random(2).randbytes(200_000)) + b'"}',
    "many small numbers": json.dumps(list(range(60_000))).encode(),
    "a BOM and NaN": b'\xef\xbb\xbf{"a":NaN,"a":"\xed\xa0\x80' + b"y" * 5000 + b'"}',
    "nothing": b"",
}


def content(ref: BodyRef, objects: dict[Digest, Object]) -> bytes:
    """The body that a tree stands for, read without an archive."""

    def below(digest: Digest) -> bytes:
        node = read_node(objects[digest][1])
        pieces = []
        for entry in node.entries:
            if isinstance(entry, bytes):
                pieces.append(entry)
            else:
                pieces.append(below(entry.digest) if node.level else objects[entry.digest][1])
        return b"".join(pieces)

    return below(ref.node)


def check_hint(before: bytes, after: bytes) -> None:
    cutter, alone = Cutter(), cut_once(after)
    stored = dict(cutter.cut(before).objects)
    hinted = cutter.cut(after)
    assert hinted.ref == alone.ref
    assert alone.objects.keys() <= stored.keys() | hinted.objects.keys()
    assert content(hinted.ref, stored | hinted.objects) == after


@settings(max_examples=150, deadline=None)
@given(edits())
def test_the_hint_never_changes_the_result(bodies: tuple[bytes, bytes]) -> None:
    check_hint(*bodies)


@settings(max_examples=60, deadline=None)
@given(edits())
def test_nor_does_it_where_every_body_is_a_flood(bodies: tuple[bytes, bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "FLOOD", 6)
        patch.setattr(cutting, "FLOOD_SKIP", 3000)
        patch.setattr(cutting, "WHOLE_MAX", 0)
        check_hint(*bodies)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 8000), st.integers(0, 3), st.sampled_from([b"", b'"', b"\\", b"zz", b"q" * 300]))
def test_nor_where_the_change_lies_at_any_byte_of_a_conversation(at: int, cut_out: int, put_in: bytes) -> None:
    before = conversation(12)
    check_hint(before, before[:at] + put_in + before[at + cut_out :])


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_come_back_exactly_and_in_few_pieces(data: bytes) -> None:
    cut = cut_once(data)
    assert content(cut.ref, cut.objects) == data
    assert (cut.ref.length, cut.ref.hash) == (len(data), blob_digest(data))
    assert len(cut.objects) <= 4 + len(data) / 256
    check_hint(data, data + b'"')
    check_hint(data[: len(data) // 2] + b'"' + data[len(data) // 2 :], data)


def conversation(turns: int) -> bytes:
    say = random.Random(5)
    words = [say.randbytes(3).hex() for _ in range(300)]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": " ".join(say.choices(words, k=say.randint(5, 600)))}]}
        for _ in range(turns)
    ]
    tools = [{"name": f"t{n}", "description": " ".join(say.choices(words, k=90))} for n in range(20)]
    return json.dumps({"messages": messages, "tools": tools}, separators=(",", ":")).encode()


def test_a_turn_adds_little_though_the_marker_moves_and_the_tools_stand_behind() -> None:
    cutter, sizes = Cutter(), []
    say = random.Random(9)
    messages: list[dict[str, object]] = []
    tools = [{"name": f"t{n}", "description": say.randbytes(500).hex()} for n in range(30)]
    for _ in range(80):
        block: dict[str, object] = {"type": "text", "text": say.randbytes(600).hex()}
        messages.append({"role": "user", "content": [block]})
        block["cache_control"] = {"type": "ephemeral"}
        cut = cutter.cut(json.dumps({"messages": messages, "tools": tools}).encode())
        sizes.append(sum(len(data) for _, data in cut.objects.values()))
        del block["cache_control"]
    assert sizes[0] > 30_000
    assert max(sizes[1:]) < 1200 + 8000
    assert sum(sizes[40:]) <= 1.3 * sum(sizes[1:40]) * 40 / 39


def test_a_string_token_is_one_blob_named_by_its_own_bytes() -> None:
    text = b"prompt " * 700
    cut = cut_once(b'{"a":1,"text":"' + text + b'","b":"' + b"x" * 255 + b'"}')
    blobs = {data for kind, data in cut.objects.values() if kind == "blob"}
    assert blobs == {text} and blob_digest(text) in cut.objects


def test_an_insertion_into_a_long_string_moves_few_chunks() -> None:
    data = random.Random(3).randbytes(150_000).hex().encode()
    before = cut_once(b'{"x":"' + data + b'"}').objects
    after = cut_once(b'{"x":"' + data[:150_000] + b"inserted" + data[150_000:] + b'"}').objects
    new = [item for digest, item in after.items() if digest not in before and item[0] == "blob"]
    assert 0 < len(new) <= 3


def test_a_cutter_gives_little_more_than_what_is_new_until_it_forgets() -> None:
    data, cutter = conversation(30), Cutter()
    everything = cutter.cut(data).objects
    again = cutter.cut(data).objects
    assert len(again) <= 4 and all(kind == "node" for kind, _ in again.values())
    cutter.forget()
    assert cutter.cut(data).objects == everything == cut_once(data).objects


def test_a_small_body_is_one_node_and_no_hint() -> None:
    small, large = b'"' + b"x" * 3000 + b'"', b'"' + b"x" * 3000 + b'",' + b'"' + b"y" * 3000 + b'"'
    assert [kind for kind, _ in cut_once(small).objects.values()] == ["node"]
    check_hint(small, large)
    check_hint(large, small)
    check_hint(b"", large)


def test_random_growth_with_a_long_memory() -> None:
    cutter, stored, body = Cutter(), dict[Digest, Object](), b""
    for n in range(40):
        body = body[: len(body) * n // 40] + b'"' + os.urandom(300).hex().encode() + b'",' + body[len(body) * n // 40 :]
        cut = cutter.cut(body)
        stored |= cut.objects
        assert cut.ref == cut_once(body).ref
        assert content(cut.ref, stored) == body
