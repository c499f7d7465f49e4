"""Pictures and files that came inside a body: what they are, without their bytes."""

from __future__ import annotations

from collections.abc import Mapping

from tapes.wire.turns import Json, Media


def encoded(kind: str, media_type: str, data: str, extra: Mapping[str, Json]) -> Media:
    """Media that came as base64 text."""
    import hashlib  # loads OpenSSL, and few messages hold a picture

    size = len(data) * 3 // 4 - data[-2:].count("=")
    print_ = hashlib.blake2b(data.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return Media(kind, media_type, size, "", print_, extra)


def linked(kind: str, url: str, extra: Mapping[str, Json]) -> Media:
    """Media behind a URL; a `data:` URL (RFC 2397) holds it."""
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:")):
        return Media(kind, "", 0, url, extra=extra)
    media_type, _, coding = head.removeprefix("data:").rpartition(";")
    if coding == "base64":
        return encoded(kind, media_type, data, extra)
    return Media(kind, media_type or coding, 0, url, extra=extra)  # percent-encoded text: short, and readable as it is
