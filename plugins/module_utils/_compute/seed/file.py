# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud-init NoCloud seed: what cloud-init reads at boot, as an ISO 9660 file that names its own content.

The digest of the content is the ISO's application identifier, so that a seed is compared by reading 128 bytes and without any
file beside it. The same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..._errors import InvalidInput
from ..._files import fsync
from ..._runner import Runner

VOLUME = "CIDATA"
DATE = "2020010100000000"
APPLICATION = "EDGE-"
SECTOR = 2048
DESCRIPTOR = 16 * SECTOR
APPLICATION_FIELD = slice(574, 702)
CONTEXT_VOLUME = "CONTEXT"
META_DATA = "cloud_init.meta_data"


@dataclass(frozen=True)
class Seed:
    """The files of a seed: name → text, and the label that the guest finds it by."""

    files: tuple[tuple[str, str], ...]
    volume: str = VOLUME

    @property
    def digest(self) -> str:
        """SHA-256 over names and texts."""
        return "sha256:" + hashlib.sha256(json.dumps(self.files).encode()).hexdigest()


@dataclass(frozen=True)
class Seeds:
    """The disks by which a guest is configured, as they are asked for: cloud-init's and OpenNebula's."""

    cloud_init: Seed | None = None
    context: Seed | None = None

    def of(self, path: str, digest: str, *, context: bool) -> Seed:
        """Return the one that is planned for a path, with this digest; raise InvalidInput where its content is missing."""
        seed = self.context if context else self.cloud_init
        if seed is None or seed.digest != digest:
            raise InvalidInput(f"The content of the seed {path} is missing.", path=path)
        return seed


def read_digest(path: str) -> str | None:
    """Return the digest of the content of the seed at ``path``; None where it does not exist or was not built by us."""
    try:
        with Path(path).open("rb") as file:
            file.seek(DESCRIPTOR)
            descriptor = file.read(SECTOR)
    except FileNotFoundError:
        return None
    label = descriptor[APPLICATION_FIELD].decode("ascii", "replace").strip()
    if descriptor[1:6] != b"CD001" or not label.startswith(APPLICATION):
        return None
    return "sha256:" + label.removeprefix(APPLICATION).lower()


def build_seed(seed: Seed, path: str, runner: Runner) -> None:
    """Write the ISO under ``path``, which has the old seed or the new one at every instant and is readable by its owner only."""
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=".seed-", dir=target.parent) as work:
        files, made = Path(work, "files"), Path(work, "seed.iso")
        files.mkdir()
        for name, text in seed.files:
            (files / name).write_text(text, encoding="utf-8", newline="")
        application = APPLICATION + seed.digest.removeprefix("sha256:").upper()
        runner.run(
            [
                "xorriso", "-as", "mkisofs", "-quiet", "-o", str(made), "-V", seed.volume, "-A", application, "-J", "-r",
                f"--modification-date={DATE}", "--set_all_file_dates", DATE, str(files),
            ]
        )  # fmt: skip
        made.chmod(0o600)
        fsync(made)
        made.replace(target)
        fsync(target.parent)
