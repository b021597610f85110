# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and revocation lists by Python's cryptography, 38 or newer, which only the CA's host has to have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:  # reported by require()
    x509 = None  # type: ignore[assignment]

from ..._errors import InvalidInput, Unsupported

SKEW = timedelta(days=1)  # clocks of hosts that are behind


def require() -> None:
    """Raise Unsupported without Python's cryptography."""
    if x509 is None:
        raise Unsupported("This host has no Python module cryptography. Install the package python3-cryptography.")


@dataclass(frozen=True)
class Certificate:
    """What is asked of a certificate: who signed it, whose key it has, and how long it is valid."""

    pem: bytes
    fingerprint: str
    subject: str
    issuer: str
    serial: int
    key: str
    ends: datetime


def certificate(pem: bytes, where: str) -> Certificate:
    """Read a certificate; ``where`` is for the message of one that cannot be read."""
    try:
        read = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidInput(f"{where}: this is not a certificate in PEM: {error}") from None
    key = read.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        read.public_bytes(serialization.Encoding.PEM),
        read.fingerprint(hashes.SHA256()).hex()[:32],
        read.subject.rfc4514_string(),
        read.issuer.rfc4514_string(),
        read.serial_number,
        _digest(key),
        when(read, "not_valid_after"),
    )


def _digest(data: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex()


def when(thing: Any, name: str) -> datetime:
    """Return a time of a certificate or list; only cryptography 42 and newer say that it is UTC."""
    found: datetime = getattr(thing, f"{name}_utc", None) or getattr(thing, name).replace(tzinfo=UTC)
    return found


def key_identifier(ca: Any) -> Any:
    """Return how what a CA signs names its key: as the CA's own certificate does, or OpenSSL does not find it."""
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


@dataclass(frozen=True)
class RevocationList:
    """The serial numbers in a revocation list, which of them are refused for a time only, when it ends, and its own number."""

    pem: bytes
    serials: frozenset[int]
    held: frozenset[int]
    ends: datetime
    number: int


def revocation_list(pem: bytes, signer: Certificate) -> RevocationList | None:
    """Read a revocation list; None if it cannot be read or another CA signed it: it is made again."""
    try:
        read = x509.load_pem_x509_crl(pem)
    except ValueError:
        return None
    public = x509.load_pem_x509_certificate(signer.pem).public_key()
    if read.issuer.rfc4514_string() != signer.subject or not read.is_signature_valid(public):  # type: ignore[arg-type]
        return None
    entries = {entry.serial_number: entry for entry in read}
    held = frozenset(serial for serial, entry in entries.items() if _is_held(entry))
    return RevocationList(pem, frozenset(entries), held, when(read, "next_update"), _number(read))


def _is_held(entry: Any) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return bool(reason == x509.ReasonFlags.certificate_hold)


def _number(read: Any) -> int:
    try:
        return int(read.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    except x509.ExtensionNotFound:
        return 0


def split_lists(texts: Iterable[str]) -> list[str]:
    """Return the single revocation lists of texts that have several, as hosts have them, without those that are there twice."""
    found = [one for text in texts for one in re.findall(r"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", text, re.DOTALL)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Entry:
    """Since when a certificate is refused, and whether that is for a time only."""

    since: datetime
    held: bool


def sign_list(ca: bytes, key: bytes, refused: Mapping[int, Entry], now: datetime, days: int, *, after: int = 0) -> bytes:
    """Return a revocation list with these serial numbers, valid for so many days; its number is greater than that ``after``.

    The number is the time, unless the clock was put back: of two lists the newer one has the greater number in any case.
    """
    signer, private = x509.load_pem_x509_certificate(ca), private_key(ca, key)
    builder = x509.CertificateRevocationListBuilder().issuer_name(signer.subject)
    builder = builder.last_update(now - SKEW).next_update(now + timedelta(days=days))
    builder = builder.add_extension(x509.CRLNumber(max(int(now.timestamp()), after + 1)), critical=False)
    builder = builder.add_extension(key_identifier(signer), critical=False)
    for serial in sorted(refused):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(refused[serial].since)
        if refused[serial].held:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.certificate_hold), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private_key(ca: bytes, key: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the key of a CA; raise InvalidInput unless it is that of the certificate."""
    try:
        private = serialization.load_pem_private_key(key, None)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"path: the key of the CA cannot be read: {error}. Restore it from a backup.") from None
    public = x509.load_pem_x509_certificate(ca).public_key()
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key().public_numbers() != public.public_numbers():  # type: ignore[union-attr]
        raise InvalidInput("path: the key of the CA is not that of its certificate. Restore both from a backup.")
    return private


def successor(ca: bytes, now: datetime, days: int) -> tuple[bytes, bytes]:
    """Return the key and certificate of a CA that follows another one: its name with the next number, its constraints.

    Two CAs of one name would make revocation lists of one name, which OpenSSL cannot tell apart.
    """
    old = x509.load_pem_x509_certificate(ca)
    name = old.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    found = re.fullmatch(r"(.*) G(\d+)", str(name))
    base, number = (found[1], int(found[2])) if found else (str(name), 1)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{base[:56]} G{number + 1}")])
    private = ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - SKEW)
    builder = builder.not_valid_after(now + timedelta(days=days))
    for extension in old.extensions:
        if not isinstance(extension.value, (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)):
            builder = builder.add_extension(extension.value, extension.critical)
    identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    signed = builder.add_extension(identifier, critical=False).sign(private, hashes.SHA256())
    key = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, signed.public_bytes(serialization.Encoding.PEM)
