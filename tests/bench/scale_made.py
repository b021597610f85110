# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores of any size in seconds: images are holes whose manifests are generated, disks are headers of qcow2 with leases.

No digest here is that of the bytes beside it, except for pieces of zeros. What reads manifests, lists of pieces, headers and leases
does the same work as on a real host.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import Pieces
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue, lease
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.identity import identify
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest, piece_size_for
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store

GIB = 1024**3
CREATED = "2026-01-02T03:04:05Z"
FIXED, FEATURES, EXTENSION = ">4sIQIIQIIQQIIQ", ">QQQII", ">II"
HEADER, BACKING_FORMAT, CLUSTER = 104, 0xE2792ACA, 65536


def put_image(store: Store, name: str, size: int, value: bytes | None = None) -> Manifest:
    """Put an image into a store: a hole, all of whose pieces have the SHA-256 ``value``, or that of zeros."""
    piece_size = piece_size_for(size)
    value = value or hashlib.sha256(bytes(piece_size)).digest()
    words = {"name": name, "version": "1", "created": CREATED}
    pieces = Pieces.of([value] * -(-size // piece_size))
    image = Manifest.new(size=size, virtual_size=size, piece_size=piece_size, pieces=pieces, **words)
    with store.image_path(image.digest).open("wb") as file:
        file.truncate(size)
    with store.pieces_path(image.digest).open("wb") as file:
        file.writelines(pieces.file())
    store.manifest_path(image.digest).write_bytes(image.to_json())
    return image


def put_disk(path: Path, image: Path, virtual_size: int) -> None:
    """Make a file that begins as an overlay of an image does, and its lease."""
    path.parent.mkdir(parents=True)
    backing = str(image).encode()
    extension = struct.pack(EXTENSION, BACKING_FORMAT, 5) + b"qcow2".ljust(8, b"\0") + struct.pack(EXTENSION, 0, 0)
    places = (HEADER + len(extension), len(backing), 16, virtual_size, 0, 2, 3 * CLUSTER, CLUSTER, 1, 0, 0)
    head = struct.pack(FIXED, b"QFI\xfb", 3, *places) + struct.pack(FEATURES, 0, 0, 0, 4, HEADER)
    with path.open("wb") as file:
        file.write(head + extension + backing)
        file.truncate(4 * CLUSTER)
    kept = lease.Lease(Path(), str(path), identify(path), identify(path.parent))
    text = lease.text_of(kept)
    (lease.folder_of(image) / lease.file_name(image, str(path), text.decode())).write_bytes(text)


def put_host(folder: Path, images: int, disks: int) -> tuple[Store, Path]:
    """Make a store of images of 3 GiB with a catalogue, and disks over them in turn; return it and the folder of the disks."""
    store, vms = Store(folder / "images"), folder / "vms"
    store.prepare()
    lease.folder_of(store.image_path(f"sha256:{'0' * 64}")).mkdir(mode=0o700)
    vms.mkdir()
    values = [hashlib.sha256(b"%d" % number).digest() for number in range(images)]
    made = [store.image_path(put_image(store, f"image{number}", 3 * GIB, value).digest) for number, value in enumerate(values)]
    catalogue.write(store)
    for number in range(disks):
        put_disk(vms / f"vm{number}" / "root.qcow2", made[number % images], GIB)
    return store, vms
