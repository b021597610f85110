# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs certificates of hosts: of a request only its public key is used, every name and right comes from the caller."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # reported by require()
    pass

from ..._errors import InvalidInput, Refused, Unsupported
from .x509 import SKEW, key_identifier, require, when

GAIN = timedelta(hours=1)  # what a new certificate must be valid longer: near the end of its authority none is
LONGEST_COMMON_NAME = 64
CURVES = ("secp256r1", "secp384r1", "secp521r1")  # those that OpenSSL and GnuTLS both use
DNS_NAME = re.compile(
    r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*", re.ASCII
)


@dataclass(frozen=True)
class Wanted:
    """What a certificate says: its common name, its other names as ``DNS:…`` or ``IP:…``, and how long it is valid."""

    common_name: str
    names: tuple[str, ...]
    days: int
    renew_before_days: int

    def __post_init__(self) -> None:
        if not 0 < len(self.common_name) <= LONGEST_COMMON_NAME or not self.common_name.isprintable():
            raise InvalidInput(f"common_name: {self.common_name!r:.100} is not 1 to 64 printable characters.", option="common_name")
        if self.days < 1 or self.renew_before_days < 0:
            raise InvalidInput("days, renew_before_days: at least one day of validity, and no negative number.", option="days")
        if self.renew_before_days >= self.days:
            raise InvalidInput(
                f"renew_before_days: {self.renew_before_days} is not less than days, {self.days}: a certificate would be "
                "renewed at every run; half of days is usual.",
                option="renew_before_days",
            )


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and its key."""

    certificate: Any
    key: Any

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Authority:
        """Return the authority of two PEM texts; refuse a key that is not the certificate's."""
        require()
        try:
            found = cls(x509.load_pem_x509_certificate(certificate), serialization.load_pem_private_key(key, None))
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"ca_key, ca_certificate: they cannot be read: {error}") from None
        if not isinstance(found.key, ec.EllipticCurvePrivateKey):
            raise Unsupported("ca_key: it is not a key of an elliptic curve, as the role pki makes them.")
        if found.key.public_key().public_numbers() != found.certificate.public_key().public_numbers():
            raise InvalidInput("ca_key: it is not the key of ca_certificate; put back the one that belongs to it.", option="ca_key")
        if not _may_sign(found.certificate):
            raise InvalidInput("ca_certificate: it is not the certificate of an authority, so hosts would not trust what it signs.")
        return found

    def require_valid(self, now: datetime) -> None:
        """Refuse to sign what hosts would not trust: with a clock far behind the authority's beginning, or after its end."""
        begin, end = when(self.certificate, "not_valid_before"), when(self.certificate, "not_valid_after")
        if not begin - SKEW <= now < end:
            raise Refused(
                f"The clock of the CA's host says {now:%Y-%m-%d %H:%M} UTC, and the CA is valid from {begin:%Y-%m-%d} to "
                f"{end:%Y-%m-%d}. Set the clock, or change to a new CA; nothing was signed."
            )

    def _new_end(self, wanted: Wanted, now: datetime) -> datetime:
        return min(now + timedelta(days=wanted.days), when(self.certificate, "not_valid_after"))

    def sign(self, public_key: Any, wanted: Wanted, now: datetime) -> bytes:
        """Return a certificate as PEM; it is valid since yesterday and ends no later than the authority's own."""
        self.require_valid(now)
        builder = x509.CertificateBuilder().subject_name(_subject(wanted)).issuer_name(self.certificate.subject)
        builder = builder.public_key(public_key).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - SKEW).not_valid_after(self._new_end(wanted, now))
        for extension, critical in self._extensions(public_key, wanted):
            builder = builder.add_extension(extension, critical=critical)
        signed: bytes = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return signed

    def _extensions(self, public_key: Any, wanted: Wanted) -> list[tuple[Any, bool]]:
        # libvirt and QEMU refuse a certificate without key encipherment.
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage, True),
            (purposes, False),
            (x509.SubjectAlternativeName(alternative_names(wanted.names)), False),
            (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
            (key_identifier(self.certificate), False),
        ]

    def why_new(self, present: bytes | None, public_key: Any, wanted: Wanted, now: datetime) -> str | None:
        """Return why the present certificate does not do, or nothing if it does."""
        if not present:
            return "there is none"
        try:
            found = x509.load_pem_x509_certificate(present)
        except ValueError:
            return "the present one cannot be read"
        if not self._signed(found):
            return "the present one is of another authority"
        return self._time(found, wanted, now) or self._difference(found, public_key, wanted)

    def _time(self, found: Any, wanted: Wanted, now: datetime) -> str | None:
        begin, end, new = when(found, "not_valid_before"), when(found, "not_valid_after"), self._new_end(wanted, now)
        if begin > now:
            return f"the present one is valid from {begin:%Y-%m-%d} only"
        if end - new > GAIN:
            return f"the present one ends on {end:%Y-%m-%d}, later than is asked for"
        if end - now < timedelta(days=wanted.renew_before_days) and new - end > GAIN:
            return f"the present one ends on {end:%Y-%m-%d}"
        return None

    def _difference(self, found: Any, public_key: Any, wanted: Wanted) -> str | None:
        if found.public_key().public_numbers() != public_key.public_numbers():
            return "the present one is of another key"
        said = {extension.oid: (_unordered(extension.value), extension.critical) for extension in found.extensions}
        asked = {value.oid: (_unordered(value), critical) for value, critical in self._extensions(public_key, wanted)}
        same = found.subject == _subject(wanted) and said == asked
        return None if same else "the present one has other names or rights"

    def _signed(self, found: Any) -> bool:
        try:
            algorithm = ec.ECDSA(found.signature_hash_algorithm)
            self.certificate.public_key().verify(found.signature, found.tbs_certificate_bytes, algorithm)
            key = found.public_key()
        except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
            return False
        return isinstance(key, ec.EllipticCurvePublicKey) and found.issuer == self.certificate.subject


def public_key_of(request: bytes) -> Any:
    """Return the public key of a request, which its sender has proven to hold; all else that the request says is ignored."""
    require()
    try:
        found = x509.load_pem_x509_csr(request)
        key, valid = found.public_key(), found.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"request: it is not a certificate request in PEM: {error}", option="request") from None
    if not valid:
        raise InvalidInput("request: its signature is wrong, so its sender does not hold the key.", option="request")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise InvalidInput("request: its key is not one of the elliptic curves P-256, P-384 and P-521.", option="request")
    return key


def require_own(names: Iterable[str], of_others: Iterable[str]) -> None:
    """Raise Refused for a name or an address that another host has, or a wildcard that covers it."""
    others = {_plain(one): one for one in of_others}
    for name in names:
        asked = _plain(name.partition(":")[2])
        same = [
            one for plain, one in others.items() if plain == asked or (asked[:2] == "*." and plain.partition(".")[2] == asked[2:])
        ]
        if same:
            raise Refused(
                f"names: {name} is that of another host, which has {same[0]}: who has a certificate with it can pose as that host. "
                "Give each host its own names and addresses in the inventory. If one is taken from what a host says of itself "
                "(ansible_facts), look whether the host was broken into. Nothing was signed.",
                option="names",
            )


def _plain(name: str) -> str:
    """Return the one form of an address or name of those that mean the same."""
    text = name.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def alternative_names(names: Iterable[str]) -> list[Any]:
    """Return names as X.509 has them, each once, in their order."""
    return list(dict.fromkeys(_alternative_name(name) for name in names))


def _alternative_name(name: str) -> Any:
    kind, _colon, value = name.partition(":")
    try:
        if kind == "IP":  # without the card of a link-local address, which means something on one host only
            return x509.IPAddress(ipaddress.ip_address(value.partition("%")[0]))
        if kind == "DNS" and DNS_NAME.fullmatch(value):
            return x509.DNSName(value)
    except ValueError:
        pass
    raise InvalidInput(f"names: {name!r:.100} is not like DNS:host1.example or IP:192.0.2.10.", option="names")


def _subject(wanted: Wanted) -> Any:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)])


def _unordered(extension: Any) -> Any:
    """Return an extension so that the order of alternative names, which means nothing, makes no difference."""
    return frozenset(extension) if isinstance(extension, x509.SubjectAlternativeName) else extension


def _may_sign(certificate: Any) -> bool:
    """Return whether a certificate is one of an authority that may sign others."""
    kinds = {type(extension.value): extension.value for extension in certificate.extensions}
    usage = kinds.get(x509.KeyUsage)
    return x509.BasicConstraints in kinds and kinds[x509.BasicConstraints].ca and (usage is None or usage.key_cert_sign)
