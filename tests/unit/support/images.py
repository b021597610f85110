# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real images for tests, made by the real qemu-img."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.foreign_image import Rules
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import Pieces
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.import_ import ImageDescription, import_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.digest import describe
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest, piece_size_for
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store

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


def small(folder: Path, size: int = 64 * MIB, data: bytes = b"") -> tuple[Path, Path, str]:
    """Return a qcow2 whose first bytes are ``data``, its manifest, with its list of pieces beside it, and its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, made, about = (folder / f"image.{kind}" for kind in ("raw", "qcow2", "json"))
    with plain.open("wb") as file:
        file.write(data)
        file.truncate(size)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", plain, made)
    plain.unlink()
    found = describe(made)
    manifest = Manifest.new(**vars(found), virtual_size=size, name="small", version="1", created="2026-01-01T00:00:00Z")
    about.write_bytes(manifest.to_json())
    about.with_suffix(".pieces").write_bytes(b"".join(manifest.pieces.file()))
    return made, about, manifest.digest


def cached(cache: Path, data: bytes = b"", size: int = 64 * MIB) -> str:
    """Put a small image that begins with ``data`` into a host cache, and return its digest."""
    made, about, digest = small(cache / "new", size, data)
    for path in (made, about.with_suffix(".pieces"), about):
        path.rename(cache / f"{digest.removeprefix('sha256:')}{path.suffix}")
    return digest


def datastore(root: Path, source: Path, name: str = "debian", version: str = "1") -> tuple[Store, Manifest]:
    """Import ``source`` into a new store under ``root``."""
    store = Store(root)
    wanted = ImageDescription(name, version, created="2026-01-02T03:04:05Z", source=str(source))
    return store, import_file(store, QEMU, source, wanted=wanted, rules=Rules(), now=0)


def hole(store: Store, name: str, size: int, value: bytes | None = None) -> Manifest:
    """Put an image of any size into a store: one hole, all of whose pieces have the SHA-256 ``value``, or that of zeros."""
    store.prepare()
    piece_size = piece_size_for(size)
    pieces = Pieces.of([value or hashlib.sha256(bytes(piece_size)).digest()] * -(-size // piece_size))
    words = {"name": name, "version": "1", "created": "2026-01-02T03:04:05Z"}
    image = Manifest.new(size=size, virtual_size=size, piece_size=piece_size, pieces=pieces, **words)
    with store.image_path(image.digest).open("wb") as file:
        file.truncate(size)
    store.adopt(image)
    return image


def changed(source: Path, target: Path, *, share: float, extent: int, seed: int = 5) -> Path:
    """Copy a qcow2 and write other bytes into ``share`` of its disk, in place, by extents of ``extent`` bytes here and there."""
    shutil.copy(source, target)
    dice = random.Random(seed)
    size = json.loads(subprocess.run(["qemu-img", "info", "--output=json", target], check=True, capture_output=True).stdout)[
        "virtual-size"
    ]
    starts = sorted(dice.sample(range(size // extent), int(share * size / extent)))
    writes = [f"write -q -P {dice.randrange(1, 255)} {start * extent} {extent}" for start in starts]
    subprocess.run(["qemu-io", "-f", "qcow2", target], input="\n".join(writes), text=True, check=True, stdout=subprocess.DEVNULL)
    return target
