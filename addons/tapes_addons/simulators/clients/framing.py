"""The ways in which these APIs cut a stream into events. All take text in any pieces and yield whole data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

_DECODER = json.JSONDecoder()


def event_data(pieces: Iterable[str]) -> Iterator[str]:
    """The `data` of each event (WHATWG event stream, as far as these APIs use it; lines end in LF or CR LF).

    Lines end at LF alone: str.splitlines would also cut at U+2028, which JSON may hold.
    """
    data: list[str] = []
    for line in lines(pieces):
        if line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line.strip() and data:
            yield "\n".join(data)
            data = []


def lines(pieces: Iterable[str]) -> Iterator[str]:
    pending = ""
    for piece in pieces:
        *whole, pending = (pending + piece).split("\n")
        yield from (line.removesuffix("\r") for line in whole)


def array_elements(pieces: Iterable[str]) -> Iterator[str]:
    """The elements of one JSON array of objects, each as soon as it is whole."""
    pending = ""
    for piece in pieces:
        pending = (pending + piece).lstrip("[, \r\n")
        while pending.startswith("{"):
            try:
                _, end = _DECODER.raw_decode(pending)
            except ValueError:
                break  # not whole yet
            yield pending[:end]
            pending = pending[end:].lstrip(", \r\n")
