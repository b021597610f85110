# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a generation fetched into a folder of our own. An interrupted file goes on where it ended.

A file counts when its digest was compared, which taking the generation in does. After a wrong one the folder is removed.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..._errors import Unreachable
from ..._generation import DOCUMENT, File, Generation, file_name
from ..._sizes import KIB
from ..._space import Space, give_back
from .offers import Offer, Offers

BLOCK = 256 * KIB


@dataclass(frozen=True)
class Fetch:
    """Fetches into ``folder``/UUID/EPOCH.NUMBER; ``received`` gets the bytes of each block, and may wait or raise."""

    offers: Offers
    folder: Path
    received: Callable[[int], None]

    def place(self, offer: Offer) -> Path:
        """Return the folder of a generation on its way."""
        return self.folder / offer.uuid / offer.name

    def fetch(self, offer: Offer, generation: Generation, files: Iterable[File]) -> Path:
        """Have the document and these files in the folder of the generation, and return that."""
        place = self.place(offer)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in files:
            self._bring(offer, file, place / file_name(file.digest))
        (place / DOCUMENT).write_bytes(generation.to_json())
        return place

    def _bring(self, offer: Offer, file: File, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with closing(os.fdopen(descriptor, "wb", buffering=0)) as target:
            have = os.fstat(descriptor).st_size
            if have > file.size:
                os.ftruncate(descriptor, 0)
                have = 0
            if have == file.size:
                return
            space = Space(self.folder, f"The recovery point {offer.name} of the VM {offer.uuid}")
            with space.writing():
                space.take(descriptor, [(have, file.size - have)])
            try:
                target.seek(have)
                with self.offers.read(offer, file, have) as response:
                    while have < file.size and (block := response.read(min(BLOCK, file.size - have))):
                        with space.writing():
                            _write(target, block)
                        have += len(block)
                        self.received(len(block))
            finally:
                give_back(descriptor)
        if have < file.size:
            host = self.offers.host
            raise Unreachable(f"{host}: the connection ended after {have} of {file.size} bytes.", source=host)

    def drop(self, offer: Offer) -> None:
        """Remove the folder of a generation that was taken in, or has wrong bytes."""
        shutil.rmtree(self.place(offer), ignore_errors=True)

    def drop_others(self, uuid: str, names: Iterable[str]) -> None:
        """Remove the folders of generations of a VM that the host gives no longer."""
        gone = {path.name for path in _below(self.folder / uuid)} - set(names)
        for name in gone:
            shutil.rmtree(self.folder / uuid / name, ignore_errors=True)

    def drop_vms(self, uuids: Iterable[str]) -> None:
        """Remove the folders of VMs that the host gives no longer."""
        for name in {path.name for path in _below(self.folder) if path.is_dir()} - set(uuids):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def _below(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _write(target: io.RawIOBase, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[target.write(left) or 0 :]
