"""The user's own hosts and endpoints, from `config.toml`. The command line alone reads it; a run carries what it says.

    model_hosts = ["llm.example.test", "*.corp.example:8443"]

    [[endpoint]]
    host = "llm.example.test"
    method = "POST"
    path = "api/generate"
    provider = "openai-chat"
    class = "model"

    [worktree]
    snapshots = false
    limit_mib = 20

Whatever is malformed or unknown is refused with the file and the key: a rule that silently did nothing would be found
out only when the recording is missing.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tapes.errors import UsageError
from tapes.record.kinds import CLASSES
from tapes.values import dataclass
from tapes.wire.endpoints import Row, path_pattern, split_host

FILE = "config.toml"
_MOST_MIB = 256
NOT_STORED = "none"
"""As a class: such calls are counted, and not stored."""

_NAME = re.compile(r"[a-z0-9*]([a-z0-9._*-]*[a-z0-9*])?")
_REQUIRED = ("host", "path", "provider", "class")
_HOST_HINT = 'write it as "name", "*.name" or "name:port", without https:// and without a path'


@dataclass(frozen=True, slots=True)
class WorktreeConfig:
    """Of the files that a run records."""

    snapshots: bool = True
    """Without --worktree: are there any?"""
    limit_bytes: int = 0
    """Larger files are listed only. 0: as ever."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says; nothing where there is none."""

    model_hosts: tuple[str, ...] = ()
    """For endpoints.is_model_host and the like."""
    rows: tuple[Row, ...] = ()
    """For endpoints.classify."""
    worktree: WorktreeConfig = WorktreeConfig()


def config_path(home: Path) -> Path:
    """In `home` where $TAPES_HOME names it, else in the platform's configuration directory."""
    if os.environ.get("TAPES_HOME"):
        return home / FILE
    from platformdirs import user_config_path  # slow to import, and not needed when the variable is set

    return user_config_path("tapes", appauthor=False) / FILE


def load_config(home: Path) -> Config:
    """The user's configuration. UsageError, with the file and the key, on anything that is not as it should be."""
    path = config_path(home)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        import tomllib  # slow to import, and most have no such file

        raw = tomllib.loads(text)
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise UsageError(f"{path}: can not be read: {error.strerror}", hint=f"look at it: ls -ld {path}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: no TOML: {error}", hint=f"mend it, or move it away: {path}") from error
    with _at(str(path)):
        _only(raw, ("model_hosts", "endpoint", "worktree"))
        return Config(
            tuple(_each(raw, "model_hosts", _model_host)),
            tuple(_each(raw, "endpoint", _row)),
            _worktree(raw.get("worktree", {})),
        )


def _worktree(value: object) -> WorktreeConfig:
    with _at("worktree"):
        if not isinstance(value, dict):
            raise UsageError(f"{value!r} is no table", hint="write [worktree] on a line of its own")
        _only(value, ("snapshots", "limit_mib"))
        snapshots, limit = value.get("snapshots", True), value.get("limit_mib", 0)
        if not isinstance(snapshots, bool):
            raise UsageError(f"snapshots: {snapshots!r} is neither true nor false", hint="write snapshots = false")
        if type(limit) is not int or not (0 < limit <= _MOST_MIB or "limit_mib" not in value):
            raise UsageError(f"limit_mib: {limit!r} is no number from 1 to {_MOST_MIB}", hint="write limit_mib = 20")
        return WorktreeConfig(snapshots, limit * 1024 * 1024)


def _model_host(value: object) -> str:
    name, port = _host(value)
    if not name.strip("*."):
        raise UsageError("every host would be decrypted", hint="name the hosts of your models")
    return f"[{name}]:{port}" if port and ":" in name else f"{name}:{port}" if port else name


def _row(value: object) -> Row:
    if not isinstance(value, dict):
        raise UsageError(f"{value!r} is no table", hint="write each endpoint under a line of its own: [[endpoint]]")
    _only(value, (*_REQUIRED, "method"))
    missing = [key for key in _REQUIRED if key not in value]
    if missing:
        raise UsageError(f"{missing[0]} is missing", hint=f"an endpoint needs {', '.join(_REQUIRED)}")
    with _at("host"):
        host, port = _host(value["host"])
        if port:
            raise UsageError(f"{value['host']!r} has a port", hint="leave it out: an endpoint holds on every port")
    with _at("method"):
        method = _text(value.get("method", "*")).upper()
        if not re.fullmatch(r"[A-Z]+|\*", method):
            raise UsageError(f"{method!r} is no method", hint='write it as "POST", or "*" for any')
    with _at("provider"):
        from tapes.wire import dialects  # 20 ms that a launch without endpoints of one's own need not wait

        provider = _one_of(value["provider"], [dialect.name for dialect in dialects.DIALECTS])
    with _at("class"):
        cls = _one_of(value["class"], [*CLASSES, NOT_STORED])
    with _at("path"):
        return Row(host, method, _pattern(value["path"]), provider, None if cls == NOT_STORED else cls)


def _host(value: object) -> tuple[str, str]:
    """Name and port (or empty), both as endpoints.py compares them."""
    name, port = split_host(_text(value))
    if not (_NAME.fullmatch(name) or _is_address(name)) or (port and not 0 < int(port[:6]) < 65536):
        raise UsageError(f"{value!r} is no host", hint=_HOST_HINT)
    return name, port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _pattern(value: object) -> str:
    text = _text(value)
    if text.endswith("/"):
        raise UsageError(f"{text!r} ends with a slash", hint="leave it out: paths are compared without it")
    try:
        path_pattern(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no regular expression: {error}",
            hint="write it as it ends the path, like \"v1/generate\"; a special character after a backslash, in '…'",
        ) from error
    return text


def _one_of(value: object, names: list[str]) -> str:
    text = _text(value)
    if text not in names:
        raise UsageError(f"{text!r} is none of them", hint=f"one of {', '.join(names)}")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{value!r} is no text", hint='write it in quotes: "…"')
    return value


def _each[T](table: Mapping[str, object], key: str, read: Callable[[object], T]) -> Iterator[T]:
    values = table.get(key, [])
    if not isinstance(values, list):
        raise UsageError(f"{key}: no list", hint='write model_hosts = ["…"], and each endpoint under [[endpoint]]')
    for number, value in enumerate(values, 1):
        with _at(f"{key} {number}"):
            yield read(value)


def _only(table: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{key!r} is unknown", hint=f"known are {', '.join(known)}")


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Put where it was before the words of an error."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{place}: {error}", hint=error.hint) from error.__cause__
