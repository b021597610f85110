# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of generations: every file is read and compared with its digest, and every delta checked by qemu-img."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..._errors import EdgeError
from ..._generation import File, Generation
from ..._shown import counted
from ..format.qemu_img import QemuImg
from ..store.digest import checksum_of
from ..store.store import Store
from .delta_file import judge_delta
from .depot import Depot

MISSING = "it is not here"


@dataclass(frozen=True)
class Verified:
    """What was found in the generations of a VM: damage by a generation's name, and images that are not here or are damaged."""

    good: tuple[str, ...] = ()
    damaged: dict[str, list[str]] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether all of it can be restored."""
        return not self.damaged and not self.images


@dataclass
class Verification:
    """Verifies generations; each file is read once, however many need it."""

    depot: Depot
    qemu: QemuImg
    images: Store | None = None
    _files: dict[tuple[str, File], str | None] = field(default_factory=dict)
    _images: dict[str, str | None] = field(default_factory=dict)

    def of(self, uuid: str, names: set[str] | None = None) -> Verified:
        """Verify the generations of a VM, all or those named; documents that cannot be read count as damaged."""
        listed = self.depot.listed(uuid)
        damaged = {one.name: [one.why] for one in listed.unreadable if names is None or one.name.removesuffix(".json") in names}
        good: list[str] = []
        images: dict[str, str] = {}
        for generation in listed.generations:
            if names is None or generation.name in names:
                found = self._damage_now(generation)
                images |= self._image_damage(generation)
                if found:
                    damaged[generation.name] = found
                elif found is not None:
                    good.append(generation.name)
        return Verified(tuple(good), damaged, images)

    def _damage_now(self, generation: Generation) -> list[str] | None:
        """Return what is wrong with a generation as it is when all of it was read, None where it was dropped meanwhile."""
        uuid, now = generation.vm.uuid, generation
        while found := self._damage(now):
            current = next((one for one in self.depot.listed(uuid).generations if one.name == now.name), None)
            if current is None:
                return found if self.depot.document(uuid, now.name).exists() else None
            if current.needs == now.needs:
                return found
            now = current
        return []

    def _damage(self, generation: Generation) -> list[str]:
        deltas = {delta.digest for disk in generation.disks for delta in disk.chain}
        found = {file.digest: self._file(generation.vm.uuid, file, file.digest in deltas) for file in generation.needs}
        return [f"{digest}: {why}" for digest, why in found.items() if why]

    def _file(self, uuid: str, file: File, is_delta: bool) -> str | None:
        key = (uuid, file)
        if key not in self._files:
            self._files[key] = self._read(self.depot.path_of(uuid, file.digest), file, is_delta)
        return self._files[key]

    def _read(self, path: Path, file: File, is_delta: bool) -> str | None:
        """Return what is wrong with a file, None where nothing is."""
        try:
            if path.stat().st_size != file.size:
                return f"it has {path.stat().st_size} bytes, not {file.size}"
            found = checksum_of(path, "sha256")
            if found != file.digest:
                return f"its bytes have the digest {found}"
            if is_delta:
                judge_delta(self.qemu, path, str(path))
        except FileNotFoundError:
            return MISSING
        except (EdgeError, OSError) as error:
            return str(error)
        return None

    def _image_damage(self, generation: Generation) -> dict[str, str]:
        digests = {disk.image for disk in generation.disks if disk.image}
        for digest in digests - self._images.keys():
            self._images[digest] = self._image(digest)
        return {digest: why for digest in sorted(digests) if (why := self._images[digest])}

    def _image(self, digest: str) -> str | None:
        if self.images is None or self.images.find(digest) is None:
            return MISSING
        damaged = self.images.verify(digest)
        return f"it has {counted(len(damaged), 'damaged piece')}" if damaged else None
