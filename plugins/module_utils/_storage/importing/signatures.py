# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenPGP signatures, detached or around a text, verified by gpgv against the keyring that the user names, and no other."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..._errors import InvalidInput, NotFound, Refused, Unsupported
from ..._runner import Runner

LARGEST_SIGNATURE = 256 * 1024
LARGEST_KEYRING = 16 * 1024 * 1024
ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[A-Za-z-]+: [^\n]*\n)*\r?\n([A-Za-z0-9+/=\r\n]+?)(?:=[A-Za-z0-9+/]{4}\r?\n)?"
    rb"-----END PGP PUBLIC KEY BLOCK-----"
)
BAD = ("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NODATA")


@dataclass(frozen=True)
class Signatures:
    """Signatures by the keys of ``keyring`` (armoured or binary), which ``option`` names."""

    runner: Runner
    keyring: Path
    option: str = "keyring"

    def verify(self, data: bytes, signature: bytes, what: str) -> str:
        """Return the fingerprint of the key that signed ``data``; raise Refused unless a key of the keyring did."""
        with tempfile.TemporaryDirectory(prefix="edge-gpgv-") as folder:
            path = Path(folder, "data")
            path.write_bytes(data)
            return self.verify_file(path, signature, what)

    def verify_file(self, path: Path, signature: bytes, what: str) -> str:
        """Like verify, for the bytes of a file; every signature must be good."""
        if len(signature) > LARGEST_SIGNATURE:
            raise InvalidInput(f"The signature of {what} is larger than {LARGEST_SIGNATURE} bytes; it was not read.")
        with tempfile.TemporaryDirectory(prefix="edge-gpgv-") as folder:
            signed = Path(folder, "signature")
            signed.write_bytes(signature)
            return self._gpgv(folder, [str(signed), str(path)], what)

    def signed_text(self, data: bytes, what: str) -> bytes:
        """Return the text of a clear-signed document, and nothing that stands outside of it; raise Refused as verify does."""
        with tempfile.TemporaryDirectory(prefix="edge-gpgv-") as folder:
            path, text = Path(folder, "data"), Path(folder, "text")
            path.write_bytes(data)
            self._gpgv(folder, ["--output", str(text), str(path)], what)
            if not text.exists():
                raise Refused(f"{what} is refused: it has a signature and no text in it.", keyring=str(self.keyring))
            return text.read_bytes()

    def _gpgv(self, folder: str, arguments: list[str], what: str) -> str:
        ring = Path(folder, "ring.gpg")
        ring.write_bytes(self._keys())
        argv = ["gpgv", "--homedir", folder, "--weak-digest", "SHA1", "--status-fd", "1", "--keyring", str(ring)]
        try:
            done = self.runner.run([*argv, *arguments], check=False)
        except Unsupported:
            raise Unsupported("The program gpgv is not installed on this host; install the package gpgv.", program="gpgv") from None
        words = [line.split() for line in done.stdout.splitlines() if line.startswith("[GNUPG:] ")]
        valid = [word[2] for word in words if word[1] == "VALIDSIG"]
        if done.rc or not valid or any(word[1] in BAD for word in words):
            raise Refused(
                f"{what} is refused: it has no good signature by a key of {self.keyring}: {_reason(done.stderr)}",
                keyring=str(self.keyring),
            )
        return valid[0]

    def _keys(self) -> bytes:
        """Return the keyring as gpgv reads it."""
        try:
            with self.keyring.open("rb") as file:
                data = file.read(LARGEST_KEYRING + 1)
        except FileNotFoundError:
            raise NotFound(
                f"{self.option}: {self.keyring} does not exist on this host.", option=self.option, path=str(self.keyring)
            ) from None
        if b"-----BEGIN PGP" not in data[:4096]:
            return data
        try:
            blocks = [base64.b64decode(block.translate(None, b"\r\n"), validate=True) for block in ARMOUR.findall(data)]
        except binascii.Error:
            blocks = []
        if not blocks or len(data) > LARGEST_KEYRING:
            raise InvalidInput(
                f"{self.option}: {self.keyring} holds no public keys in a format that can be read.",
                option=self.option,
                path=str(self.keyring),
            )
        return b"".join(blocks)


def _reason(stderr: str) -> str:
    return "; ".join(line.removeprefix("gpgv: ") for line in stderr.strip().splitlines())[:500] or "gpgv gave no reason."
