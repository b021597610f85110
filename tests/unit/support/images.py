# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real images for tests, made by the real qemu-img."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.import_ import Rules, Wanted, import_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import Store

MIB = 1024 * 1024
QEMU = QemuImg(SubprocessRunner())


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def raw(path: Path, mib: int, seed: int = 1) -> Path:
    """Make a raw disk of random bytes with a boot signature."""
    data = bytearray(random.Random(seed).randbytes(mib * MIB))
    data[510:512] = b"\x55\xaa"
    path.write_bytes(data)
    return path


def qcow2(path: Path, mib: int, seed: int = 1) -> Path:
    """Make a qcow2 full of random bytes."""
    plain = raw(path.with_suffix(".raw"), mib, seed)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", plain, path)
    plain.unlink()
    return path


def datastore(root: Path, source: Path, name: str = "debian", version: str = "1") -> tuple[Store, Manifest]:
    """Import ``source`` into a new store under ``root``."""
    store = Store(root)
    wanted = Wanted(name, version, created="2026-01-02T03:04:05Z", source=str(source))
    return store, import_file(store, QEMU, source, wanted=wanted, rules=Rules(), now=0)
