"""Secrets out, before anything is hashed; and nothing that is not a secret is touched.

Three kinds of things are secret: what has a vendor's known key format (rules.py, scan.py, blocks.py), what equals a
value known to be secret, in any spelling (values.py), and what stands where credentials stand (credentials.py).
Entropy is never a reason: signatures, hashes, encrypted reasoning and ordinary base64 survive byte for byte.

Each rule finds its hits locally, so bodies that repeat are scanned only where they are new, and streams only as they
arrive (horizon.py says how far one may judge); weave.py makes markers of hits and keeps JSON valid; stream.py and
fragments.py do the same for answers that come in pieces, also when a key is spread over several events; pieces.py and
plain.py for what commands and terminals write, where colours and line ends stand between the letters of a key.
"""

from tapes.wire.redact.credentials import secret_variables
from tapes.wire.redact.pieces import PieceRedactor, Released
from tapes.wire.redact.redactor import BodyHint, Redactor
from tapes.wire.redact.shapes import Redacted, Span
from tapes.wire.redact.stream import StreamRedactor, redact_sse

__all__ = [
    "BodyHint",
    "PieceRedactor",
    "Redacted",
    "Redactor",
    "Released",
    "Span",
    "StreamRedactor",
    "redact_sse",
    "secret_variables",
]
