"""`tapes cat REF`: any record as JSON, or the exact bytes of its bodies; any file as it was at a step."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from typing import Any

import click

from tapes.archive.base import Archive
from tapes.archive.refs import Ref, resolve
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.record.tomb import WITHHELD
from tapes.session.audit import commands
from tapes.session.commands import pieces
from tapes.session.exchanges import Exchange, exchanges
from tapes.session.sockets import messages
from tapes.session.view import steps
from tapes_cli import output
from tapes_cli.home import open_archive


@click.command("cat")
@click.argument("ref")
@click.argument("path", required=False)
@click.option("--request", "what", flag_value="request", help="The request body of its exchange, byte for byte.")
@click.option("--response", "what", flag_value="response", help="The response body, byte for byte.")
@click.option("--headers", "what", flag_value="headers", help="Request and response headers as they were sent.")
@click.option("--output", "what", flag_value="output", help="What a command wrote, byte for byte.")
@click.option("--messages", "what", flag_value="messages", help="WebSocket messages, one JSON object a line.")
def command(ref: str, path: str | None, what: str | None) -> None:
    """Print a record as JSON, or the stored bytes of an exchange's bodies or a command's output to standard output.
    With PATH, a file of the working directory as it was when step REF:N was over, or at the end; or by its hash alone.

    Bodies are after content-decoding and redaction: the record says where anything was replaced. A body larger than
    memory is no problem; a damaged one ends with exit code 4, and what came before it must not be trusted.
    """
    with open_archive() as archive:
        found = resolve(archive, ref)
        if path is not None and what is not None:
            raise UsageError(f"--{what} is about a record, and PATH about a file")
        if path is not None or (found.file is not None and what is None):
            write_file(archive, found, path)
            return
        digest = found.record or found.session
        if found.step is not None:
            digest = next((s.hash for s in steps(archive, found.session) if s.number == found.step), digest)
        record = archive.record(digest)
        if what is None:
            output.show_json(as_object(digest, record))
            return
        if what == "messages":
            show_messages(archive, found.session, digest)
            return
        if what == "output":
            write_output(archive, found.session, digest, record)
            return
        exchange = exchange_of(archive, found.session, digest, record)
        if what == "headers":
            show_headers(exchange)
        else:
            write_body(archive, exchange, what)


def write_file(archive: Archive, found: Ref, path: str | None) -> None:
    """The stored bytes of a file, of a link its target."""
    from tapes_cli.worktrees import bytes_of, file_at, stored_bytes

    stored = found.file
    data = stored_bytes(archive, stored) if stored is not None and path is None else None
    if data is None:
        assert path is not None
        data = bytes_of(archive, file_at(archive, found, path))
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def exchange_of(archive: Archive, session: Digest, digest: Digest, record: Record) -> Exchange:
    """The exchange that a record belongs to, itself or by its parents."""
    found = {h: e for e in exchanges(archive, session) for h in (e.hash, e.end_hash) if h is not None}
    for wanted in (digest, *record.parents):
        if wanted in found:
            return found[wanted]
    raise UsageError(
        f"{digest.short()} is a {record.type}, which has no request or response",
        hint=f"exchanges of its session: tapes show {session.short()} --exchanges",
    )


def write_body(archive: Archive, exchange: Exchange, what: str) -> None:
    reference: BodyRef | None = exchange.request if what == "request" else exchange.response
    out = sys.stdout.buffer
    if reference is not None:
        for chunk in archive.body_chunks(reference):
            out.write(chunk)
    elif what == "response" and exchange.end is None:
        # Still open: what its parts hold so far.
        for digest, _ in exchange.parts:
            out.write(archive.tail(digest) or b"")
    elif what == "response" and exchange.status is None:
        raise NotFound(f"exchange {exchange.hash.short()} has no response: {exchange.outcome}")
    out.flush()


def write_output(archive: Archive, session: Digest, digest: Digest, record: Record) -> None:
    """Of a command by any record of it, or of the call that it was joined to."""
    ran = [one.ran for one in commands(archive, session, wanted=lambda one: digest in one.records) if one.ran]
    if not ran:
        raise UsageError(
            f"{digest.short()} is a {record.type}, and of no command that ran",
            hint=f"commands of its session: tapes commands {session.short()}",
        )
    for one in ran:
        for _, data in pieces(archive, one):
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def show_messages(archive: Archive, session: Digest, digest: Digest) -> None:
    """Of a turn, of a `connection` record, or of everything said on the connection that a handshake opened."""
    for message in messages(archive, session, digest):
        try:
            said = {"text": message.data.decode()}
        except UnicodeDecodeError:
            said = {"base64": base64.b64encode(message.data).decode()}
        from_ = "agent" if message.from_agent else "provider"
        output.show_json({"hash": message.record.hex(), "from": from_, "kind": message.kind, **said})


def show_headers(exchange: Exchange) -> None:
    """As on the wire, controls made visible: a header must not drive the terminal."""
    body = exchange.body
    click.echo(output.harmless(f"> {body['method']} {body['url']} {body.get('http', '')}".rstrip()))
    for name, value in body["headers"]:
        click.echo(output.harmless(f"> {name.decode('latin-1')}: {value.decode('latin-1')}"))
    head = exchange.end.body if exchange.end else exchange.parts[0][1].body if exchange.parts else {}
    if exchange.status is not None:
        click.echo(output.harmless(f"< {head.get('http', '')} {exchange.status} {head.get('reason', '')}".rstrip()))
    for name, value in head.get("headers", ()):
        click.echo(output.harmless(f"< {name.decode('latin-1')}: {value.decode('latin-1')}"))


def as_object(digest: Digest, record: Record) -> dict[str, Any]:
    """A record as JSON: digests and ids in hex, other byte strings as text with what is not UTF-8 escaped."""
    if record.type == WITHHELD:
        return {
            "hash": digest.hex(),
            "type": WITHHELD,
            "was": record.body["type"],
            "by": record.body["by"].hex(),
            "session": record.session.hex() if record.session else digest.hex(),
            "seq": record.seq,
            "prev": record.prev.hex() if record.prev else None,
            "parents": [parent.hex() for parent in record.parents],
            "time": output.iso(record.wall_ns),
            "wall_ns": record.wall_ns,
        }
    return {
        "hash": digest.hex(),
        "v": record.v,
        "type": record.type,
        "session": record.session.hex() if record.session else digest.hex(),
        "seq": record.seq,
        "prev": record.prev.hex() if record.prev else None,
        "parents": [parent.hex() for parent in record.parents],
        "writer": record.writer.hex(),
        "time": output.iso(record.wall_ns),
        "wall_ns": record.wall_ns,
        "mono_ns": record.mono_ns,
        "boot": record.boot,
        "nonce": record.nonce.hex(),
        "body": plain(record.body),
        **({"extra": plain(record.extra)} if record.extra else {}),
    }


DIGEST_KEYS = frozenset(
    {"node", "hash", "data", "wire_hash", "input_hash", "tombs", "bodies", "continues", "playback", "session", "record"}
)


def plain(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {k: plain(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, key) for item in value]
    if isinstance(value, bytes):
        return value.hex() if key in DIGEST_KEYS else value.decode("utf-8", "backslashreplace")
    return value
