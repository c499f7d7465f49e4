"""A session's commands with their verdicts, and how many of each there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.asking import Asking
from tapes.session.calls import Calls
from tapes.session.commands import Command
from tapes.session.exchanges import gather
from tapes.session.joining import joined
from tapes.session.placing import headers_tell, placed
from tapes.session.verdicts import VERDICTS, Judge
from tapes.values import dataclass
from tapes.wire import shells
from tapes.wire.shells.base import Shells

type Family = Callable[[str], Shells]
"""The shells of an agent, by the agent's name."""
type Wanted = Callable[[Command], bool]


def commands(
    archive: Archive, session: Digest, *, wanted: Wanted | None = None, family: Family | None = None
) -> Iterator[Command]:
    """In the order they began. Only those `wanted` are judged and given: judging reads outputs. NotFound for an unknown
    session, Damaged where a record itself is."""
    records = list(archive.session_records(session))
    calls = Calls(archive, gather(iter(records)))
    told = headers_tell(records, calls)
    for command in commands_in(archive, records, calls, wanted=wanted, family=family):
        if command.call is None:
            yield command
            continue
        if not told:
            placed(records, calls)
            told = True
        exchange = calls.exchange_of(command.call.use, command.call.record)
        yield replace(command, thread=exchange.thread) if exchange else command


def commands_in(
    archive: Archive,
    records: Sequence[tuple[Digest, Record]],
    calls: Calls,
    *,
    wanted: Wanted | None = None,
    family: Family | None = None,
) -> Iterator[Command]:
    """The same of records at hand."""
    asking = Asking(records, calls, family or shells.by_name)
    found = joined(records, asking)
    judge = Judge(archive, [record for _, record in records], calls, asking, found)
    for command in found:
        if wanted is None or wanted(command):
            yield replace(command, judgement=judge.judge(command))


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far what was said is borne out by what was seen."""

    witnessed: int
    """Commands seen to run, whoever ran them."""
    matched: int
    unmatched: Mapping[str, int]
    """By verdict, those that there are."""

    def __str__(self) -> str:
        others = [f"{count} {verdict.replace('-', ' ')}" for verdict, count in self.unmatched.items()]
        return ", ".join([f"{self.witnessed} commands witnessed", f"{self.matched} matched", *others])


def coverage(commands: Iterable[Command]) -> Coverage:
    found = list(commands)
    counts = Counter(verdict for command in found for verdict in command.judgement.verdicts)
    unmatched = {verdict: counts[verdict] for verdict in VERDICTS[1:] if counts[verdict]}
    return Coverage(sum(c.ran is not None for c in found), counts["matched"], unmatched)
