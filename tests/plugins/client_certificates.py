"""An authority for tests of mutual TLS: certificates of clients, and lists of those that it has revoked."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certificates import Pair
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """Issues certificates; its own stands in ``certificate``."""

    def __init__(self, folder: Path, name: str = "authority", *, days: float = 30) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            self._begun(self._name, self._key, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / f"{name}.crt"
        self.certificate.write_bytes(made.public_bytes(PEM))
        self._serials: dict[str, int] = {}

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=31))
            .not_valid_after(now + timedelta(days=days))
        )

    def issue(self, name: str, *alternatives: x509.GeneralName, days: float = 30) -> Pair:
        """Write a client's certificate with its names, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Shop"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._begun(subject, key, days).add_extension(usage, critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        self._serials[name] = made.serial_number
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pair.certificate.write_bytes(made.public_bytes(PEM))
        pair.key.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        pair.key.chmod(0o600)
        return pair

    def revoke(self, path: Path, names: Sequence[str], *, days: float = 7) -> Path:
        """Write the list of what was revoked, good for so many days."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - timedelta(days=30))
            .next_update(now + timedelta(days=days))
        )
        for name in names:
            revoked = x509.RevokedCertificateBuilder().serial_number(self._serials[name]).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        return path


def spiffe(path: str) -> x509.GeneralName:
    """Return the name of a workload, ``spiffe://shop.example`` and a path."""
    return x509.UniformResourceIdentifier(f"spiffe://shop.example{path}")


def context_of(server: Path, client: Pair | None) -> ssl.SSLContext:
    """Return the context of a client that trusts a server's certificate, and sends its own where it has one."""
    made = ssl.create_default_context(cafile=server)
    if client is not None:
        made.load_cert_chain(client.certificate, client.key)
    return made
