# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of a CA as the role pki makes it, and certificates that it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


class Room:
    """The folder, with a key and a certificate of the CA."""

    def __init__(self, folder: Path, name: str = "edge.cloud internal CA", key_id: bytes = b"") -> None:
        self.path = folder / "ca"
        self.path.mkdir(parents=True)
        key = self.new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, subject, key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        if key_id:
            builder = builder.add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
        made = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        (self.path / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (self.path / "ca.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )

    @staticmethod
    def new_key() -> Key:
        return ec.generate_private_key(ec.SECP256R1())

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        return builder.not_valid_after(now + timedelta(days=365))

    def signer(self) -> str:
        """Return the common name of the CA that signs."""
        read = x509.load_pem_x509_certificate((self.path / "ca.crt").read_bytes())
        return str(read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def sign(self, name: str, key: Key | None = None) -> str:
        """Return a certificate of the CA for a host, in PEM."""
        ca = x509.load_pem_x509_certificate((self.path / "ca.crt").read_bytes())
        private = serialization.load_pem_private_key((self.path / "ca.key").read_bytes(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, ca.subject, key or self.new_key()).sign(private, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()
