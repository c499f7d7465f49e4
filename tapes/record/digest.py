"""Identity: what a thing is called is computed from its bytes, and how it was computed is part of the name.

Blobs are named by plain BLAKE3, so `b3sum` agrees with us. Nodes and records are named in BLAKE3's
key-derivation mode, each under a context of its own: a blob whose bytes happen to be a valid record never
shares the record's name. Changing a context string changes every digest made with it; a new format needs a
new string.
"""

from __future__ import annotations

import re
from typing import Self

from blake3 import blake3

from tapes.pattern import pattern

NODE_CONTEXT = "tapes 2026 node v1"
RECORD_CONTEXT = "tapes 2026 record v1"

_HEX = pattern(r"[0-9a-f]{64}", re.ASCII)

# The context string is hashed once; a copy of the state is what each digest starts from. Never updated in
# place.
_NODE = blake3(derive_key_context=NODE_CONTEXT)
_RECORD = blake3(derive_key_context=RECORD_CONTEXT)

type Buffer = bytes | bytearray | memoryview


class Digest(bytes):
    """Exactly 32 bytes; ValueError otherwise. Equal to, and hashed like, the plain bytes."""

    __slots__ = ()

    def __new__(cls, data: Buffer) -> Self:
        if len(data) != 32:
            raise ValueError(f"a digest has 32 bytes, not {len(data)}")
        return super().__new__(cls, data)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The digest written as 64 lowercase hex digits; ValueError for any other text."""
        if not _HEX.fullmatch(text):
            raise ValueError("a digest is written as 64 lowercase hex digits")
        return cls(bytes.fromhex(text))

    def short(self, n: int = 12) -> str:
        """The first `n` hex digits, for people."""
        return self.hex()[:n]

    def __repr__(self) -> str:
        return f"Digest({self.short()}…)"

    __str__ = __repr__


def blob_digest(data: Buffer) -> Digest:
    """Plain BLAKE3."""
    return Digest(blake3(data).digest())


def node_digest(data: Buffer) -> Digest:
    return _derive(_NODE, data)


def record_digest(data: Buffer) -> Digest:
    return _derive(_RECORD, data)


def _derive(start: blake3, data: Buffer) -> Digest:
    state = start.copy()
    state.update(data)
    return Digest(state.digest())
