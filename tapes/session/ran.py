"""What steps had run, and what of it was on the screen meanwhile: it goes with them when they are forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record

type Records = Sequence[tuple[Digest, Record]]


def gone_with(records: Records, chosen: Mapping[Digest, int]) -> dict[Digest, str]:
    """Records of commands that the steps asked for (`chosen`: step numbers by hash), and why each goes; the screen of
    that time too."""
    calls = {record.body["id"]: chosen[digest] for digest, record in records if digest in chosen and _is_call(record)}
    numbers = {
        record.parents[1]: calls[record.body["tool"]]
        for _, record in records
        if record.type == "join" and len(record.parents) == 2 and record.body["tool"] in calls
    }
    numbers |= {digest: chosen[digest] for digest, record in records if digest in chosen and _is_start(record)}
    found: dict[Digest, str] = {}
    for digest, record in records:
        command = digest if record.type == "command.start" else _command_of(record)
        if command in numbers:
            found[digest] = f"a command of step {numbers[command]}"
    times = [record.wall_ns for digest, record in records if digest in chosen or digest in found]
    for digest, record in records:
        if record.type == "terminal" and found and min(times) <= record.wall_ns <= max(times):
            found[digest] = "the screen while it ran"
    return found


def words_of(archive: Archive, records: Records, gone: Mapping[Digest, str]) -> Iterator[str]:
    """What these commands were, and what they put out."""
    for digest, record in records:
        if digest not in gone:
            continue
        body = record.body
        match record.type:
            case "command.start":
                yield _text(body["line"])
            case "command.output":
                try:
                    yield _text(archive.body(BodyRef.of(body["data"])))
                except (Damaged, NotFound, Withheld):
                    continue  # of it the end has the first words and the last
            case "command.end":
                yield from (_text(body[name]) for name in ("head", "tail", "line") if body.get(name))
            case _:
                pass


def _is_start(record: Record) -> bool:
    return record.type == "command.start"


def _is_call(record: Record) -> bool:
    return record.type in ("tool.use", "tool.result")


def _command_of(record: Record) -> Digest | None:
    if record.type == "join" and len(record.parents) == 2:
        return record.parents[1]
    return record.parents[0] if record.type.startswith("command.") and record.parents else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
