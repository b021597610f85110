# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real OpenPGP keys for tests, made by the real gpg in a home of their own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signer:
    """A key pair in ``home``."""

    home: Path

    def _gpg(self, *arguments: str | Path, data: bytes | None = None) -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--yes"]
        done = subprocess.run([*argv, *map(str, arguments)], input=data, check=True, capture_output=True)
        return done.stdout

    def generate(self, name: str, expires: str = "never") -> None:
        self._gpg("--quick-generate-key", name, "ed25519", "sign", expires)

    def sign(self, data: bytes, *, armour: bool = False) -> bytes:
        return self._gpg(*(["--armor"] if armour else []), "--detach-sign", data=data)

    def clear_sign(self, data: bytes) -> bytes:
        return self._gpg("--clear-sign", data=data)

    def keyring(self, path: Path, *, armour: bool = False) -> Path:
        path.write_bytes(self._gpg(*(["--armor"] if armour else []), "--export"))
        return path


@contextmanager
def signer(name: str) -> Iterator[Signer]:
    """Yield a signer with a new key; its agent ends with the block."""
    with tempfile.TemporaryDirectory(prefix="g", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o700)
        one = Signer(Path(folder))
        one.generate(name)
        try:
            yield one
        finally:
            subprocess.run(["gpgconf", "--homedir", folder, "--kill", "gpg-agent"], check=False)
