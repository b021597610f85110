# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deltas as layers over an image: the block options by which QEMU opens them, and what QEMU's tools do with such a chain.

No header says what lies below a layer, and none is believed: each layer has its ``backing`` by an option, null for the lowest.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..._errors import CommandFailed, NotFound
from ..._sizes import DELTA_CLUSTER, GIB
from ..._space import SLACK, longer, reserved
from ..format import qcow2
from ..format.qemu_img import WORKING, Creation, QemuImg, options

Node: TypeAlias = dict[str, Any]
Range: TypeAlias = tuple[int, int]  # start and end in bytes
DIFFERENT = 1
UNKNOWN = 2**63 - 1  # the size of a lower layer that is not here: it may be longer than any


def stacked(files: Sequence[Path], below: Node | None = None) -> Node:
    """Return the block options of layers, the lowest first, over others; an image is a layer too. There is at least one."""
    node = below
    for path in files:
        node = {"driver": "qcow2", "file": _file(path), "backing": node}
    if node is None:
        raise NotFound("There is no layer to read.")
    return node


def _file(path: Path) -> Node:
    return {"driver": "file", "filename": str(path)}


def name_of(node: Mapping[str, Any]) -> str:
    """Return a chain as programs of QEMU take it for a file name."""
    return f"json:{json.dumps(node)}"


@dataclass(frozen=True)
class Base:
    """What is right below the layers that are folded: its size in bytes (0 for nothing), and its chain where that is here.

    ``own`` means that the file which the layers are folded into names it in its own header.
    """

    size: int = 0
    node: Node | None = None
    own: bool = False


@dataclass(frozen=True)
class Layers:
    """QEMU's tools over chains of layers."""

    qemu: QemuImg

    def fold(self, files: Sequence[Path], into: Path, base: Base) -> list[Range]:
        """Write the layers, the lowest first, into ``into``, as long as the longest of them, and cut it to the last.

        What it then has itself hides what the layers hid of ``base``. Returns the ranges that had to be hidden since a layer ended
        before them. The space for all of it is taken first.
        """
        hidden: list[Range] = []
        at, below = 0, base.size
        with longer(into, sum(path.stat().st_size for path in files) + SLACK, f"The layers below {files[-1].name}"):
            for path in files:
                size = qcow2.read_header(path).virtual_size
                if at and at < (end := min(size, below)):
                    hidden.append(self._hide(into, at, end, base))
                self._commit(path, size, into, base)
                at, below = size, max(below, size)
        if qcow2.read_header(into).virtual_size != at:
            self.qemu.resize(into, at, shrink=True)
        return hidden

    def _commit(self, layer: Path, size: int, into: Path, base: Base) -> None:
        """Write one layer of ``size`` bytes into ``into``.

        qemu-img opens the top of what it commits to write it, and would clear marks in its header. So an empty file is the top, and
        the layer is only read; nobody writes it, so that a lock on it would only keep VMs from reading it.
        """
        with tempfile.TemporaryDirectory(prefix="edge-layers-") as folder:
            top = Path(folder, "top")
            self.qemu.run(["create", "-q", "-f", "qcow2", str(top), str(size)])
            read = {"driver": "qcow2", "file": {**_file(layer), "locking": "off"}, "backing": self._written(into, base)}
            self.qemu.run(["commit", "-q", "-d", "-b", str(into), name_of(stacked([top], read))])

    def _written(self, into: Path, base: Base) -> Node:
        return {"driver": "qcow2", "file": _file(into), **({} if base.own else {"backing": None})}

    def _hide(self, into: Path, start: int, end: int, base: Base) -> Range:
        """Make zeros from where a layer ended, as it read there; what is before that in the same cluster is copied from below."""
        node = self._written(into, base)
        if start % DELTA_CLUSTER and not base.own and base.size > start:
            if base.node is None:
                raise NotFound(
                    f"A disk ended within a cluster (at {start} bytes) over an image that is not here, without which its layers "
                    "cannot be merged; they stay as they are until the image is here.",
                    size=start,
                )
            node["backing"] = base.node
        commands = [f"write -z {at} {min(GIB, end - at)}" for at in range(start, end, GIB)]
        argv = ["qemu-io", *[word for one in commands for word in ("-c", one)], name_of(node)]
        done = self.qemu.runner.run([*WORKING.prefix(), *argv], check=False)
        if done.rc or "failed" in done.stderr:
            raise CommandFailed(argv, done.rc, done.stderr or done.stdout)
        return start, end

    def own(self, node: Node, start: int, end: int) -> list[Range]:
        """Return the ranges from ``start`` to ``end`` that the layers of a chain have themselves, zeros included."""
        done = self.qemu.run(["map", "--output=json", f"--start-offset={start}", f"--max-length={end - start}", name_of(node)])
        return [(one["start"], one["start"] + one["length"]) for one in json.loads(done.stdout) if one["present"]]

    def identical(self, one: Node, other: Node) -> bool:
        """Return whether two chains have the same content, all of which is read."""
        done = self.qemu.run(["compare", "-q", name_of(one), name_of(other)], check=False)
        if done.rc > DIFFERENT or done.rc < 0:
            raise CommandFailed(["qemu-img", "compare"], done.rc, done.stderr)
        return done.rc == 0

    def copy(self, node: Node, size: int, target: Path, creation: Creation) -> None:
        """Write the content of a chain of ``size`` bytes as a new standalone qcow2, whose space is taken before the first byte."""
        how = ["measure", "--output=json", "-O", "qcow2", *options(creation), name_of(node)]
        needed = int(json.loads(self.qemu.run(how).stdout)["required"])
        self.qemu.run(["create", "-q", "-f", "qcow2", *options(creation), str(target), str(size)])
        with reserved(target, needed, "The disk of a recovery point"):
            self.qemu.run(["convert", "-q", "-O", "qcow2", "-n", "--target-is-zero", name_of(node), str(target)])


def union(ranges: Sequence[Range], start: int, end: int) -> list[Range]:
    """Return ranges in whole clusters from ``start`` to ``end``, sorted, with those joined that touch."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        low = max(first - first % DELTA_CLUSTER, start)
        high = min(-(-last // DELTA_CLUSTER) * DELTA_CLUSTER, end)
        if low >= high:
            continue
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found
