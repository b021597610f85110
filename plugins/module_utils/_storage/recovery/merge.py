# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A merge of adjacent deltas: written as a new file, compared with them by reading, and only then used by any generation.

A kill at any moment leaves each document whole, with the old deltas or the new one, and the old ones stay until a collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ... import _files
from ..._errors import Corrupt
from ..._generation import Delta
from ..._sizes import DELTA_CLUSTER, GIB
from ..format import qcow2
from ..format.qemu_img import Creation, QemuImg, options
from ..store.digest import checksum_of
from ..store.store import Store
from .delta_file import judge_delta
from .depot import Depot, Listed
from .layers import UNKNOWN, Base, Layers, Range, stacked, union
from .merge_plan import Run

MADE = "merged"
WINDOW = 16 * GIB  # has at most so many ranges that they fit in memory, whatever a delta is
CREATION: Creation = {"cluster_size": DELTA_CLUSTER, "compat": "1.1"}


@dataclass(frozen=True)
class Merger:
    """Merges deltas of a depot; the image store may have the images below them."""

    depot: Depot
    qemu: QemuImg
    images: Store | None = None

    @property
    def layers(self) -> Layers:
        """QEMU's tools."""
        return Layers(self.qemu)

    def merge(self, uuid: str, run: Run, listed: Listed, work: Path) -> Delta:
        """Merge a run in all generations that have it, except for pinned ones; the caller holds the VM's lock."""
        users = [one for one in listed.whole if one.name not in listed.pinned and any(map(run.within, one.disks))]
        made = work / MADE
        self._fold(uuid, run, made)
        merged = self._publish(uuid, run, made)
        for generation in users:
            self.depot.write(run.replaced_in(generation, merged), work)
        return merged

    def _publish(self, uuid: str, run: Run, made: Path) -> Delta:
        judge_delta(self.qemu, made, str(made))
        digest, size = checksum_of(made, "sha256"), made.stat().st_size
        self.depot.publish(uuid, made, digest)
        _files.fsync(self.depot.files(uuid))
        return Delta(digest, size, (run.deltas[0].of[0], run.deltas[-1].of[1]), run.deltas[-1].state)

    def _fold(self, uuid: str, run: Run, made: Path) -> None:
        files = [self.depot.path_of(uuid, delta.digest) for delta in run.deltas]
        for path, delta in zip(files, run.deltas, strict=True):
            if checksum_of(path, "sha256") != delta.digest:
                raise Corrupt(f"{path} is damaged: its bytes do not have its digest; nothing was merged.", path=str(path))
        longest = max(qcow2.read_header(path).virtual_size for path in files)
        base = self.base(uuid, run)
        self.qemu.run(["create", "-q", "-f", "qcow2", *options(CREATION), str(made), str(longest)])
        made.chmod(0o600)
        hidden = self.layers.fold(files, made, base)
        self._require_same(files, made, base, hidden)

    def base(self, uuid: str, run: Run) -> Base:
        """Return what is below a run."""
        image = self._image(run.image)
        files = [self.depot.path_of(uuid, delta.digest) for delta in run.below]
        layers = [*([image] if image else []), *files]
        if not layers:
            return Base(UNKNOWN if run.image else 0)
        return Base(qcow2.read_header(layers[-1]).virtual_size, stacked(layers) if image or not run.image else None)

    def _image(self, digest: str | None) -> Path | None:
        found = self.images.find(digest) if self.images and digest else None
        return self.images.image_path(found.digest) if self.images and found else None

    def _require_same(self, files: Sequence[Path], made: Path, base: Base, hidden: Sequence[Range]) -> None:
        """Raise Corrupt unless the new delta reads as those that it is made of, whatever is below it."""
        copied = any(start % DELTA_CLUSTER for start, _end in hidden)  # a part of a cluster came from below
        below = base.node if copied else None
        size = qcow2.read_header(made).virtual_size
        right = size == qcow2.read_header(files[-1]).virtual_size and self._hides_the_same(
            files, made, min(base.size, size), hidden
        )
        if not right or not self.layers.identical(stacked(files, below), stacked([made], below)):
            raise Corrupt(
                f"The merged delta differs from the {len(files)} that it was made of ({', '.join(path.name for path in files)}); "
                "it was thrown away, and they stay. Check the host's memory and disks, and its version of QEMU.",
                deltas=[path.name for path in files],
            )

    def _hides_the_same(self, files: Sequence[Path], made: Path, end: int, hidden: Sequence[Range]) -> bool:
        """Return whether the new delta hides of what is below just what the others hid; a part of a large disk at a time."""
        for start in range(0, end, WINDOW):
            stop = min(start + WINDOW, end)
            wanted = union([*self.layers.own(stacked(files), start, stop), *hidden], start, stop)
            if union(self.layers.own(stacked([made]), start, stop), start, stop) != wanted:
                return False
        return True
