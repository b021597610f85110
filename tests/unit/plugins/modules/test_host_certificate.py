# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_certificate signs the names that the caller says, whatever a request asks for."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from support.modules import run_module

PEM = serialization.Encoding.PEM
PLAIN = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
NAMES = ["DNS:host1.example", "IP:192.0.2.10", "IP:2001:DB8::1"]


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def authority(folder: Path, days: int = 3650, *, begins: int = -1, ca: bool = True, key_id: bytes = b"") -> dict[str, str]:
    """Make a CA in a folder, whose days count from now; return the options of the module that name it."""
    folder.mkdir(exist_ok=True)
    key, now = ec.generate_private_key(ec.SECP384R1()), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name("a CA")).issuer_name(name("a CA")).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + timedelta(days=begins))
    builder = builder.not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
    if key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
    (folder / "ca.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(PEM))
    (folder / "ca.key").write_bytes(key.private_bytes(*PLAIN))
    return {"ca_certificate": str(folder / "ca.crt"), "ca_key": str(folder / "ca.key")}


def request(common: str = "host1.example", key: Any = None, *extensions: x509.ExtensionType, digest: Any = hashes.SHA256) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(common))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), digest and digest()).public_bytes(PEM).decode()


class Signer:
    """The module with a CA, for host1.example."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.ca = capsys, authority(folder)

    def __call__(self, asked: str, **options: Any) -> dict[str, Any]:
        given = {"request": asked, "common_name": "host1.example", "names": NAMES, **self.ca, **options}
        return run_module(self.capsys, "host_certificate", **given)


@pytest.fixture
def sign(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Signer:
    return Signer(capsys, tmp_path / "ca")


FORGED = {
    "the name of another host": ("host2.example", []),
    "other alternative names": ("host1.example", [x509.SubjectAlternativeName([x509.DNSName("frontend.example")])]),
    "an authority": ("host1.example", [x509.BasicConstraints(ca=True, path_length=None)]),
    "the right to sign": ("host1.example", [x509.KeyUsage(True, True, True, True, True, True, True, False, False)]),
    "an extension of its own": (
        "host1.example",
        [x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.1"), b"\x04\x00")],
    ),
}


@pytest.mark.parametrize("forged", FORGED)
def test_nothing_but_the_key_of_a_request_is_signed(sign: Signer, forged: str) -> None:
    common, extensions = FORGED[forged]
    key = ec.generate_private_key(ec.SECP256R1())
    found = x509.load_pem_x509_certificate(sign(request(common, key, *extensions))["certificate"].encode())
    assert found.subject == name("host1.example")
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["host1.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.10", "2001:db8::1"]
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not usage.key_cert_sign and not usage.crl_sign and usage.key_encipherment
    assert len(list(found.extensions)) == 6
    assert found.public_key() == key.public_key()


def test_a_certificate_begins_a_day_ago_and_ends_with_its_authority(sign: Signer, tmp_path: Path) -> None:
    found = x509.load_pem_x509_certificate(sign(request())["certificate"].encode())
    assert found.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)
    short = authority(tmp_path / "short", days=20)
    signed = x509.load_pem_x509_certificate(sign(request(), **short)["certificate"].encode())
    assert signed.not_valid_after_utc < datetime.now(UTC) + timedelta(days=20)


def test_a_certificate_that_does_stays(sign: Signer) -> None:
    asked = request()
    first = sign(asked)
    assert first["changed"] and "there is none" in first["actions"][0]
    again = sign(asked, present=first["certificate"])
    assert (again["changed"], again["certificate"], again["actions"]) == (False, first["certificate"], [])


CHANGES: dict[str, dict[str, Any]] = {
    "ends on": {"days": 800, "renew_before_days": 400},
    "other names": {"names": ["DNS:host1.example"]},
    "names or rights": {"common_name": "host2.example"},
    "asked for": {"force": True},
    "cannot be read": {"present": "rubbish"},
}


@pytest.mark.parametrize("why", CHANGES)
def test_a_certificate_that_does_not_is_replaced(sign: Signer, why: str) -> None:
    asked = request()
    first = sign(asked)["certificate"]
    again = sign(asked, **{"present": first, **CHANGES[why]})
    assert again["changed"] and again["certificate"] != first and why in again["actions"][0]


def test_a_certificate_of_another_key_or_authority_is_replaced(sign: Signer, tmp_path: Path) -> None:
    asked = request()
    first = sign(asked)["certificate"]
    assert "another key" in sign(request(), present=first)["actions"][0]
    assert "another authority" in sign(asked, present=first, **authority(tmp_path / "other"))["actions"][0]


def test_check_mode_signs_nothing(capsys: pytest.CaptureFixture[str], sign: Signer) -> None:
    options = {"request": request(), "common_name": "host1.example", "names": NAMES, **sign.ca}
    done = run_module(capsys, "host_certificate", check=True, **options)
    assert done["changed"] and done["certificate"] == ""


def damaged() -> str:
    """Return a request whose signature is of another request."""
    lines = request().splitlines()
    other = lines[-2]
    lines[-2] = other[:6] + ("A" if other[6] != "A" else "B") + other[7:]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("rubbish", "not a certificate request"),
        (request(key=rsa.generate_private_key(65537, 2048)), "elliptic curve"),
        (request(key=ec.generate_private_key(ec.SECP224R1())), "elliptic curve"),
        (request(key=ec.generate_private_key(ec.SECP256K1())), "elliptic curve"),
        (request(key=ed25519.Ed25519PrivateKey.generate(), digest=None), "elliptic curve"),
        (damaged(), "request:"),
    ],
    ids=["rubbish", "rsa", "short curve", "curve of no TLS library", "ed25519", "damaged"],
)
def test_a_request_that_proves_no_good_key_is_refused(sign: Signer, asked: str, message: str) -> None:
    done = sign(asked)
    assert done["failed"] and message in done["msg"] and done["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(
    "options",
    [
        *({"names": [name]} for name in ("host1.example", "IP:host1", "DNS:", "DNS:a b", "DNS:a.", "DNS:a..b", "DNS:-a", "DNS:*")),
        {"common_name": "a" * 65},
        {"days": 0},
        {"renew_before_days": 365},
    ],
)
def test_bad_options_are_named(sign: Signer, options: dict[str, Any]) -> None:
    done = sign(request(), **options)
    assert done["failed"] and done["msg"].startswith(next(iter(options)))


def test_a_key_that_is_not_the_authoritys_is_refused(sign: Signer, tmp_path: Path) -> None:
    other = authority(tmp_path / "other")
    assert "not the key of ca_certificate" in sign(request(), ca_key=other["ca_key"])["msg"]


def test_a_certificate_that_ends_with_its_authority_is_not_renewed_at_every_run(sign: Signer, tmp_path: Path) -> None:
    short, asked = authority(tmp_path / "short", days=20), request()
    first = sign(asked, **short)["certificate"]
    assert not sign(asked, present=first, **short)["changed"]


@pytest.mark.parametrize(("begins", "days"), [(-30, -3), (-30, 0), (30, 300)], ids=["ended", "ends now", "to come"])
def test_nothing_is_signed_outside_the_time_of_the_authority(sign: Signer, tmp_path: Path, begins: int, days: int) -> None:
    """A clock that a dead battery has set to 1970 looks like an authority to come."""
    ca = authority(tmp_path / "other", days, begins=begins)
    for check in (True, False):
        done = run_module(
            sign.capsys, "host_certificate", check=check, request=request(), common_name="host1.example", names=NAMES, **ca
        )
        assert done["failed"] and done["error"]["code"] == "refused" and "Set the clock" in done["msg"]


def test_a_certificate_of_no_authority_signs_nothing(sign: Signer, tmp_path: Path) -> None:
    assert sign(request(), **authority(tmp_path / "leaf", ca=False))["msg"].startswith("ca_certificate:")


def test_a_certificate_that_a_fast_clock_signed_is_replaced(sign: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, now = request(), datetime.now(UTC)

    class Fast(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:  # noqa: ARG003 - as datetime has it
            return now + timedelta(days=40)

    with monkeypatch.context() as patched:
        patched.setattr("ansible_collections.edge.cloud.plugins.modules.host_certificate.datetime", Fast)
        early = sign(asked)["certificate"]
    again = sign(asked, present=early)
    assert again["changed"] and "is valid from" in again["actions"][0]
    assert not sign(asked, present=again["certificate"])["changed"]


def test_fewer_days_replace_a_certificate_of_more(sign: Signer) -> None:
    asked = request()
    again = sign(asked, present=sign(asked)["certificate"], days=30)
    assert "later than is asked for" in again["actions"][0]
    assert not sign(asked, present=again["certificate"], days=30)["changed"]


def test_neither_the_order_of_names_nor_the_card_of_an_address_makes_a_difference(sign: Signer) -> None:
    asked, names = request(), ["DNS:host1.example", "IP:fe80::1%eth0", "IP:192.0.2.10"]
    first = sign(asked, names=names)["certificate"]
    assert not sign(asked, present=first, names=names)["changed"]
    assert not sign(asked, present=first, names=[*reversed(names), "IP:FE80::1"])["changed"]


def test_openssl_finds_the_authority_whatever_its_key_identifier(sign: Signer, tmp_path: Path) -> None:
    """smallstep and others do not make it of the key's SHA-1."""
    ca, host = authority(tmp_path / "other", key_id=b"any other identifier"), tmp_path / "host.crt"
    host.write_text(sign(request(), **ca)["certificate"])
    done = subprocess.run(["openssl", "verify", "-CAfile", ca["ca_certificate"], str(host)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("option", ["ca_certificate", "ca_key"])
def test_without_the_ca_it_says_where_it_is_to_be(sign: Signer, tmp_path: Path, option: str) -> None:
    done = sign(request(), **{option: str(tmp_path / "none")})
    assert done["error"]["code"] == "not_found" and done["msg"].startswith(f"{option}: ") and "pki_ca_host" in done["msg"]


OF_OTHERS = {
    "the same": ("DNS:host2.example", "host2.example"),
    "the same in other letters": ("DNS:HOST2.example", "host2.EXAMPLE."),
    "an address": ("IP:192.0.2.11", "192.0.2.11"),
    "an address in another form": ("IP:2001:DB8:0:0::2", "[2001:db8::2]"),
    "an address within IPv6": ("IP:::ffff:192.0.2.11", "192.0.2.11"),
    "an address as a name": ("DNS:192.0.2.11", "192.0.2.11"),
    "a wildcard": ("DNS:*.example", "host2.example"),
}


@pytest.mark.parametrize("why", OF_OTHERS)
def test_no_name_of_another_host_is_signed(sign: Signer, why: str) -> None:
    name, other = OF_OTHERS[why]
    asked, names, others = request(), [*NAMES, name], ["host3.example", other, "deep.host2.example"]
    present = sign(asked, names=names)["certificate"]
    done = sign(asked, names=names, names_of_others=others, present=present)
    assert done["failed"] and done["error"]["code"] == "refused" and name in done["msg"], done
    assert not sign(asked, names=NAMES, names_of_others=others)["failed"]
