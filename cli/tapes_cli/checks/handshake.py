"""One TLS handshake in memory, a certificate signed by the user's own CA: what every decrypted connection needs."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from tapes_addons.trust import CA_KEY, CERTIFICATE

HOST = "doctor.test"
ROUNDS = 10
"""TLS 1.3 takes two, 1.2 three."""


def handshake(ca: Path) -> None:
    """Between a server as our proxy is one and a client that trusts our CA. Raises OSError (ssl.SSLError is one) or
    ValueError when they do not come together. The CA must be readable (see `tapes_addons.ca.checked`).
    """
    with tempfile.NamedTemporaryFile(prefix="tapes-doctor-") as leaf:
        leaf.write(signed(ca))
        leaf.flush()
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # As in mitmproxy, the CA's key is that of every host.
        theirs.load_cert_chain(leaf.name, ca / CA_KEY)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(ca / CERTIFICATE)).wrap_bio(
        to_client, to_server, server_hostname=HOST
    )
    server = theirs.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(ROUNDS):
        waiting = [side for side in waiting if not done(side)]
        if not waiting:
            return
    raise ValueError("the handshake does not come to an end")


def done(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def signed(ca: Path) -> bytes:
    """A certificate for HOST in PEM, made as the proxy makes them."""
    from cryptography import x509
    from mitmproxy import certs

    both = (ca / CA_KEY).read_bytes()
    key, issuer = certs.load_pem_private_key(both, None), x509.load_pem_x509_certificate(both)
    return certs.dummy_cert(key, issuer, HOST, [x509.DNSName(HOST)]).to_pem()
