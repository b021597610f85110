# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of its certificates: keys that never leave it, made once, and the requests that prove that it holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:  # reported by require()
    pass

from ..._errors import InvalidInput
from ..._files import write_atomically
from .signing import LONGEST_COMMON_NAME

MODE = 0o640


@dataclass(frozen=True)
class Asked:
    """A certificate of this host: the stem of its files, its common name, and the group that may read its key."""

    name: str
    common_name: str
    group: int

    def __post_init__(self) -> None:
        if not 0 < len(self.common_name) <= LONGEST_COMMON_NAME or not self.common_name.isprintable():
            raise InvalidInput(f"certificates: the common name {self.common_name!r:.100} is not 1 to 64 printable characters.")


def new_key(path: Path, group: int) -> None:
    """Make a key of the curve P-256; it appears whole, for root and the group only."""
    private = ec.generate_private_key(ec.SECP256R1())
    text = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_atomically(path, text, path.with_name(f".{path.name}.new"), MODE, (0, group))


def read_key(path: Path) -> Any:
    """Return the key in a file, which is never replaced; raise InvalidInput unless it is one of an elliptic curve."""
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput(
            f"{path} cannot be read as a key: {error}. Remove it and run again, and the host gets a new one."
        ) from None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise InvalidInput(f"{path} is not a key of an elliptic curve. Remove it and run again, and the host gets a new one.")
    return found


def request(key: Any, common_name: str) -> str:
    """Return a request for a certificate in PEM."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def why_set(path: Path, group: int) -> str | None:
    """Return what is wrong with the owner or mode of a key."""
    about = path.stat()
    if (about.st_uid, about.st_gid) != (0, group):
        return "its owner is another one"
    return None if about.st_mode & 0o7777 == MODE else f"its mode is {about.st_mode & 0o7777:04o}"
