import itertools
from dataclasses import replace

import pytest

from tapes.errors import Damaged
from tapes.record.chain import check_link, link
from tapes.record.digest import Digest, record_digest
from tapes.record.kinds import Record, record_bytes

OPEN = {"agent": "a", "argv": [], "cwd": b"/", "scheme": "plain"}


def made(head: tuple[Digest, int] | None, session: Digest | None) -> tuple[Digest, Record]:
    record = link(
        type="note" if head else "session.open",
        body={} if head else OPEN,
        session=session,
        head=head,
        parents=(),
        writer=bytes(16),
        wall_ns=0,
        mono_ns=0,
        boot="",
        nonce=bytes(16),
    )
    return record_digest(record_bytes(record)), record


def a_chain() -> list[tuple[Digest, Record]]:
    chain = [made(None, None)]
    while len(chain) < 4:
        chain.append(made((chain[-1][0], chain[-1][1].seq), chain[0][0]))
    return chain


def test_each_record_follows_the_one_before() -> None:
    chain = a_chain()
    check_link(None, chain[0][1])
    for before, (_, record) in itertools.pairwise(chain):
        check_link(before, record)
    assert [record.seq for _, record in chain] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seq": 3}, "seq 3 follows seq 1"),
        ({"prev": Digest(bytes(32))}, "prev"),
        ({"session": Digest(bytes(32))}, "another session"),
    ],
)
def test_a_wrong_link_is_damage(change: dict[str, object], complaint: str) -> None:
    chain = a_chain()
    with pytest.raises(Damaged, match=complaint):
        check_link(chain[1], replace(chain[2][1], **change))


def test_a_chain_begins_with_its_opening_only() -> None:
    with pytest.raises(Damaged, match="begins with note"):
        check_link(None, a_chain()[1][1])
