"""What the snapshot process is told at its start, over its socket: secrets never touch the disk."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Task:
    home: str
    """The archive's home; never looked into, should a root hold it."""
    run_dir: str
    session: str
    """Hex."""
    roots: list[str]
    """Absolute; bytes that are no UTF-8 as surrogates."""
    strict: bool = False
    """--redact strict."""
    restart: bool = False
    """Another snapshot process of this session was lost before."""
    file_limit: int = 0
    """Bytes; larger files are listed only. 0: as ever."""

    def to_line(self) -> bytes:
        return line(task=asdict(self))

    @staticmethod
    def of(message: dict[str, object]) -> Task:
        told = message["task"]
        assert isinstance(told, dict)
        return Task(**told)


def line(**message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def secret_line(label: str, value: bytes) -> bytes:
    return line(secret=[label, base64.b64encode(value).decode()])
