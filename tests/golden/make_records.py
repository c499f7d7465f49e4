"""Makes the golden bytes of format 1: records, trees and a pack, from fixed input.

    python tests/golden/make_records.py > tests/golden/records_1.json

Run it once per format version and keep the file for ever. If it would write something else today, the format has
changed: then the version must change too (a decision record, docs/format.md, a new file beside this one).
Compressed bytes may differ with the compressor; of those the test asks only that they can still be read.
"""

from __future__ import annotations

import json
import random
from typing import Any

from tapes.archive import pack, squeeze
from tapes.archive.cut import cut_once
from tapes.record.chain import link
from tapes.record.digest import Digest, blob_digest, node_digest, record_digest
from tapes.record.kinds import record_bytes

BODIES: dict[str, dict[str, Any]] = {
    "session.open": {"agent": "claude", "argv": [b"claude", b"\xff"], "cwd": b"/w", "scheme": "plain", "name": "größe"},
    "exchange.open": {"method": "POST", "url": "https://h/v1", "class": "model", "headers": [[b"a", b"b"]]},
    "exchange.part": {"n": 0, "offset": 0, "length": 5, "data": blob_digest(b"hello"), "times": [5, 2**40]},
    "exchange.end": {"outcome": "partial", "status": None, "response": None},
    "tool.use": {"id": "t1", "name": "Bash", "input": {"command": "ls"}},
    "command.end": {"status": -1, "signal": 9, "big": 2**64 - 1, "small": -(2**63), "yes": True, "none": None},
    "gap": {"reason": "", "counts": {"é": 1, "z": 2, "aa": 3}},
}


def bodies() -> dict[str, bytes]:
    """Bodies that take every turn of the cut."""
    made = random.Random(2026)
    text = [
        bytes(made.choices(b"etaoin shrdlu\\n", k=made.randint(1, 900))).replace(b"\\", b"\\\\") for _ in range(150)
    ]
    return {
        "empty": b"",
        "small": b'{"a":"b"}',
        "conversation": b"[" + b",".join(b'"' + part + b'"' for part in text) + b"]",
        "long string": b'{"x":"' + made.randbytes(120_000).hex().encode() + b'"}',
        "long stretch": b",".join(b'"%d"' % n for n in range(5000)),
        "flood": b'"' * 600_000,
        "not json": made.randbytes(50_000),
    }


def records() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    head: tuple[Digest, int] | None = None
    session: Digest | None = None
    for type_, body in BODIES.items():
        if type_ == "exchange.open":
            body = body | {"request": cut_once(bodies()["conversation"]).ref.to_value()}
        record = link(
            type=type_,
            body=body,
            session=session,
            head=head,
            parents=(head[0],) if head else (),
            writer=b"writer 16 bytes!",
            wall_ns=1_767_225_600_000_000_000,
            mono_ns=len(rows),
            boot="5f0c9a52-0000-4000-8000-000000000001",
            nonce=bytes(range(16)),
        )
        data = record_bytes(record)
        head = record_digest(data), record.seq
        session = session or head[0]
        rows.append({"type": type_, "hash": head[0].hex(), "bytes": data.hex()})
    return rows


def trees() -> list[dict[str, Any]]:
    rows = []
    for name, data in bodies().items():
        cut = cut_once(data)
        names = b"".join(sorted(cut.objects))
        rows.append(
            {
                "name": name,
                "root": cut.ref.node.hex(),
                "length": cut.ref.length,
                "hash": cut.ref.hash.hex(),
                "objects": len(cut.objects),
                "all": blob_digest(names).hex(),
            }
        )
    return rows


def a_pack() -> dict[str, Any]:
    node = next(data for kind, data in cut_once(bodies()["small"]).objects.values() if kind == "node")
    record = bytes.fromhex(records()[0]["bytes"])
    objects = [
        pack.Item(blob_digest(b"hello"), "blob", b"hello"),
        pack.Item(node_digest(node), "node", node),
        pack.Item(record_digest(record), "record", record),
    ]
    group = pack.Group()
    frames = [frame.data for n, item in enumerate(objects, 1) for frame in pack.frames(n, [item], [], group)]
    return {
        "frames": [frame.hex() for frame in frames],
        "objects": [[digest.hex(), kind, data.hex()] for digest, kind, data in objects],
    }


def everything() -> dict[str, Any]:
    squeezed = squeeze.compress(b"a record, squeezed: " + b"exchange.open " * 9)
    return {"records": records(), "trees": trees(), "pack": a_pack(), "squeezed": squeezed.hex()}


if __name__ == "__main__":
    print(json.dumps(everything(), indent=1))
