"""Where credentials are expected: in some headers and URLs, and in the environment's secret-looking variables.

Here a name decides, not the value's shape: what a credential header holds is secret whatever it looks like, and is
then sought everywhere else as an exact value.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from tapes.wire.markers import MARKER
from tapes.wire.redact.shapes import Hit
from tapes.wire.redact.values import SHORTEST

_CREDENTIAL_HEADERS = frozenset(
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "anthropic-api-key",
        "x-amz-security-token",
        "x-auth-token",
        "x-access-token",
        "x-goog-iam-authorization-token",
    ]
)
_NOT_CREDENTIALS = frozenset(
    {"idempotency-key", "x-idempotency-key", "sec-websocket-key", "surrogate-key", "cache-key"}
)
_CREDENTIAL_NAME = re.compile(r".*-(?:token|secret|password|authorization|auth)\Z|authentication\Z")
_KEY_NAME = re.compile(r".*-(?:key|apikey)\Z")
_TOKEN = re.compile(rb"(?=.*\d)[!-~]{16,}")
_SHORTEST_COOKIE = 16


def is_token(value: bytes) -> bool:
    """Whether a value has the shape of a credential: 16 visible characters or more, a digit among them."""
    return bool(_TOKEN.fullmatch(value))


def is_credential_header(name: str, value: bytes) -> bool:
    """Whether the value of header `name` (lower case) is never to be stored."""
    if name in _CREDENTIAL_HEADERS:
        return bool(value)
    if _CREDENTIAL_NAME.match(name):
        return len(value.strip()) >= SHORTEST
    return name not in _NOT_CREDENTIALS and bool(_KEY_NAME.match(name)) and is_token(value.strip())


def in_header(name: str, value: bytes) -> Iterator[tuple[bytes, bool]]:
    """The secrets in a credential header's value, and whether each is also to be sought in encoded forms."""
    if name in ("cookie", "set-cookie"):
        for pair in value.split(b";")[: 1 if name == "set-cookie" else None]:
            secret = pair.partition(b"=")[2].strip().strip(b'"')
            if len(secret) >= _SHORTEST_COOKIE:
                yield secret, False
        return
    if MARKER.fullmatch(value):
        return
    scheme, _, rest = value.strip().partition(b" ")
    secret = rest.strip() or scheme
    yield secret, True
    if scheme.lower() == b"basic":
        yield from ((word, True) for word in _basic(secret))


def _basic(encoded: bytes) -> Iterator[bytes]:
    """The password of Basic credentials (RFC 7617), and user and password together."""
    try:
        whole = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return  # not Basic after all; the value itself is learned and replaced anyhow
    yield whole
    yield whole.partition(b":")[2]


_QUERY = re.compile(
    rb"(?i:[?&;#](?:key|api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]?token|auth[_-]?token|token|auth|sig"
    rb"|signature|secret|client[_-]?secret|password|passwd|pwd|jwt|x-amz-signature|x-amz-security-token"
    rb"|x-goog-signature|subscription-key))=(?P<value>(?!\[REDACTED:)[^&;#\s]+)"
)


_SUBPROTOCOL = re.compile(
    rb"(?i:\b[\w.-]*(?:api-?key|token|auth|jwt|bearer|secret|password)[\w-]*)[.,=]\s*"
    rb"(?P<value>(?!\[REDACTED:)[^\s,]{8,})"
)


def in_subprotocols(value: bytes) -> list[Hit]:
    """Credentials in `Sec-WebSocket-Protocol`, where browsers put what they may not put into a header of its own:
    `openai-insecure-api-key.KEY`, `base64url.bearer.authorization.k8s.io.TOKEN`, or `access_token, TOKEN`."""
    return [
        Hit(found.start("value"), *found.span("value"), "header:sec-websocket-protocol")
        for found in _SUBPROTOCOL.finditer(value)
    ]


def in_url(url: bytes) -> list[Hit]:
    """The values of query parameters that carry credentials; a password before the host is found in any text."""
    return [Hit(found.start("value"), *found.span("value"), "url-key") for found in _QUERY.finditer(url)]


_SECRET_WORDS = frozenset(
    [
        "KEY",
        "KEYS",
        "TOKEN",
        "TOKENS",
        "SECRET",
        "SECRETS",
        "PASSWORD",
        "PASSWD",
        "PASS",
        "PASSPHRASE",
        "CREDENTIAL",
        "CREDENTIALS",
        "PAT",
        "JWT",
    ]
)
_SECRET_ENDS = (
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "APIKEY",
    "SECRETKEY",
    "ACCESSKEY",
    "PRIVATEKEY",
    "AUTHKEY",
)
_URL_WORDS = frozenset({"URL", "URI", "DSN", "URLS", "PROXY", "CONNECTION"})
_PUBLIC = frozenset({"GPG_KEY"})  # a release key's fingerprint in container images
_PUBLIC_WORDS = frozenset({"PUBLIC", "PUBLISHABLE", "PUB"})
_PATH = re.compile(rb"(?:[/~]|\.{1,2}/|[A-Za-z]:[\\/])[^\n]*")
_DULL = re.compile(
    rb"(?i:true|false|yes|no|none|null|enabled|disabled|required|password|changeme|postgres)|[-+]?[0-9.]{1,11}"
)
_PASSWORD_IN_URL = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?P<user>[^\s/@:?#]*):(?P<value>[^\s/?#]+)@")


def secret_variables(environ: Mapping[bytes, bytes] | Mapping[str, str]) -> list[tuple[str, bytes]]:
    """(rule, secret) for every variable whose name says that it holds one, as `Redactor` takes them.

    The rule is `env:NAME`. Paths, switches, short numbers and values under 8 bytes are no secrets; of a URL only its
    password is, as written and with its percent escapes undone.
    """
    found: list[tuple[str, bytes]] = []
    for raw_name, raw_value in environ.items():
        name, value = os.fsdecode(raw_name), os.fsencode(raw_value)
        secrets = _in_variable(name, value)
        found += [(f"env:{name}", secret) for secret in dict.fromkeys(secrets) if len(secret) >= SHORTEST]
    return found


def _in_variable(name: str, value: bytes) -> Iterator[bytes]:
    password = _PASSWORD_IN_URL.match(value)
    if password:
        # `postgres:postgres@localhost` is nobody's secret, and would take that word out of every text.
        if password["value"] != password["user"] and not _DULL.fullmatch(password["value"]):
            yield password["value"]
            yield unquote_to_bytes(password["value"])
        return
    value = value.strip()
    if _names_a_secret(name) and not _is_path(name, value) and not _DULL.fullmatch(value):
        yield value


def _is_path(name: str, value: bytes) -> bool:
    """One AWS secret key in 64 begins like a path."""
    return bool(_PATH.fullmatch(value)) and not name.upper().endswith("SECRET_ACCESS_KEY")


def _names_a_secret(name: str) -> bool:
    words = [word for word in re.split(r"[^A-Z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()) if word]
    if not words or name in _PUBLIC:
        return False
    if words[-3:] in (["ACCESS", "KEY", "ID"], ["SECRET", "KEY", "BASE"]):
        return True
    if words[-1] in _URL_WORDS or (words[-1].startswith("KEY") and _PUBLIC_WORDS & set(words)):
        return False
    if words[-1] == "PWD":
        return len(words) > 1
    return words[-1] in _SECRET_WORDS or words[-1].endswith(_SECRET_ENDS)
