"""Certificates of our CA that are not as they should be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tapes_addons.trust import CA_KEY, CERTIFICATE


def signed_as(ca: Path, *, days: float, may_sign: bool = True) -> None:
    """Make the CA's certificate anew with the same key: it runs out in `days`, and is no CA's without `may_sign`."""
    both = (ca / CA_KEY).read_bytes()
    old, key = x509.load_pem_x509_certificate(both), load_pem_private_key(both, None)
    assert isinstance(key, RSAPrivateKey)
    until = datetime.now(UTC) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder(old.issuer, old.subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - timedelta(days=400))
        .not_valid_after(until)
    )
    for extension in old.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            constraints = x509.BasicConstraints(ca=may_sign, path_length=None)
            builder = builder.add_extension(constraints, critical=extension.critical)
        else:
            builder = builder.add_extension(extension.value, critical=extension.critical)
    new = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    (ca / CERTIFICATE).write_bytes(new)
    (ca / CA_KEY).write_bytes(both[: both.index(b"-----BEGIN CERTIFICATE")] + new)
