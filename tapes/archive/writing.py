"""A commit's plan into an archive's tables, inside a transaction that somebody else opens."""

from __future__ import annotations

from tapes.archive import pack, squeeze, tables
from tapes.archive.lookups import Tables, Txn, number_of
from tapes.archive.plan import Plan
from tapes.archive.tables import digest_of
from tapes.errors import Damaged
from tapes.record.digest import Digest


class Known:
    """What a transaction sees, for the plan of a commit."""

    def __init__(self, txn: Txn, t: Tables) -> None:
        self._txn, self._t = txn, t

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        found = self._txn.get(session, db=self._t["head"])
        return None if found is None else tables.read_head(found)

    def has_record(self, digest: Digest) -> bool:
        return self._txn.get(digest, db=self._t["byhash"]) is not None

    def has_object(self, digest: Digest) -> bool:
        return self._txn.get(tables.obj_key(digest), db=self._t["obj"]) is not None

    def named(self, name: str) -> Digest | None:
        found = self._txn.get(name.encode(), db=self._t["ref"])
        return None if found is None else digest_of(found)


def carry_out(txn: Txn, t: Tables, plan: Plan, group: pack.Group) -> None:
    """Write a plan. Nothing of it exists for anybody before the transaction's last page does. The group is good for
    another commit only if this one takes effect."""
    objects = [pack.Item(digest, kind, data) for digest, (kind, data) in plan.objects.items()]
    records = [pack.Item(row.digest, "record", row.data) for row in plan.rows]
    logged: list[bytes] = []
    first_pack = tables.last_number(txn, t["pack"]) + 1
    if first_pack + len(objects) + len(records) > tables.PACK_MAX:
        raise Damaged(f"a pack claims to be the {first_pack - 1}th", where=f"pack {first_pack - 1}")
    for frame in pack.frames(first_pack, objects, records, group):
        for key, value in tables.frame_values(frame.number, frame.data):
            txn.put(key, value, db=t["pack"], append=True)
        for item, place in zip(frame.items, frame.places, strict=True):
            entry = tables.entry_value(tables.Entry(frame.number, place.offset, place.length, place.kind))
            if item.kind == "record":
                logged.append(entry)
            else:
                txn.put(tables.obj_key(item.digest), entry, db=t["obj"])
    rows = zip(plan.rows, logged, strict=True)
    for pos, (record, entry) in enumerate(rows, tables.last_number(txn, t["log"]) + 1):
        txn.put(tables.u64(pos), entry, db=t["log"], append=True)
        txn.put(record.digest, tables.u64(pos), db=t["byhash"])
        first = number_of(txn.get(record.session, db=t["byhash"]))
        if first is None:
            raise Damaged(f"session {record.session.short()} is missing from the log", where=record.session.hex())
        txn.put(tables.chain_key(first, record.seq), tables.u64(pos), db=t["chain"])
        for body in record.bodies:
            txn.put(tables.body_key(body, pos), b"", db=t["body"])
    for session, (digest, seq) in plan.heads.items():
        txn.put(session, tables.head_value(digest, seq), db=t["head"])
    for name, session in plan.names.items():
        txn.put(name.encode(), session, db=t["ref"])
    for part, data in plan.tails.items():
        txn.put(part, squeeze.compress(data), db=t["tail"])
    for part in plan.drop_tails:
        txn.delete(part, db=t["tail"])
    for session, summary in plan.summaries.items():
        if summary:
            txn.put(session, summary, db=t["summary"])
        else:
            txn.delete(session, db=t["summary"])
