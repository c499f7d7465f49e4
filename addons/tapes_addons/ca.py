"""Is our CA whole? If not, another one is made. A program, started by `trust.ensure_ca`: what it imports is slow.

A CA that has run out, or whose key can not be used, would let every connection of every agent fail, with messages that
speak of anything but the cause. A new one harms nobody: agents under way trust a copy of the old certificate, and the
capture process that they use has the old key in memory. (Should that very process die and be started again, it takes
the new one, which its agent does not trust. But the old one would not have served it either.)
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tapes.errors import ArchiveError
from tapes_addons import serve_state
from tapes_addons.harmless import harmless
from tapes_addons.trust import CA_KEY, CERTIFICATE, STAMP, identity_of, is_known_whole, make_ca


def checked(folder: Path) -> datetime:
    """Until when the CA in `folder` holds. Raises ArchiveError when it can not be used, saying why."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with_key, alone = read(folder / CA_KEY), read(folder / CERTIFICATE)
    try:
        certificate = x509.load_pem_x509_certificate(alone)
    except ValueError:
        raise ArchiveError(f"{folder / CERTIFICATE} holds no certificate that can be read") from None
    try:
        key = load_pem_private_key(with_key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ArchiveError(f"{folder / CA_KEY} holds no key that can be read") from None
    try:
        beside = x509.load_pem_x509_certificate(with_key)
    except ValueError:
        raise ArchiveError(f"{folder / CA_KEY} holds no certificate that can be read") from None
    if key.public_key() != certificate.public_key() or beside != certificate:
        raise ArchiveError(f"the key in {folder / CA_KEY} does not belong to the certificate in {CERTIFICATE}")
    until = certificate.not_valid_after_utc
    if until <= datetime.now(UTC):
        raise ArchiveError(f"the certificate in {folder} ran out on {until:%Y-%m-%d}")
    return until


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArchiveError(f"{path} is missing") from None
    except OSError as error:
        raise ArchiveError(f"{path} can not be read ({error.strerror})") from error


def renew(home: Path) -> str:
    """See to it that the CA under `home` is whole. What to tell the user; empty when there is nothing to tell."""
    folder, said = home / "ca", ""
    # One at a time: who comes second must not put away what the first has just made.
    descriptor = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if is_known_whole(folder):
            return ""
        if not os.path.lexists(folder):
            make_ca(home)
        try:
            until = checked(folder)
        except ArchiveError as error:
            aside = home / f"ca.old-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
            make_ca(home, aside)
            until = checked(folder)
            said = f"{error}: a new CA was made, the old one is in {aside}"
            if servers := serve_state.running(home):
                said += f"; start tapes serve (pid {servers[0].pid}) again, it uses the old one"
        # Where nothing can be written, a whole CA still serves; it is looked at again next time.
        with contextlib.suppress(OSError):
            (folder / STAMP).write_text(json.dumps({"files": identity_of(folder), "until": until.timestamp()}))
    finally:
        os.close(descriptor)
    return said


if __name__ == "__main__":
    try:
        line = renew(Path(sys.argv[1]))
    except (ArchiveError, OSError) as error:
        sys.exit(str(error))
    if line:
        sys.stdout.write(f"tapes: {harmless(line)}\n")
