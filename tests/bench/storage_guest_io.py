# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(f) I/O of a guest's disk: an overlay that we made on a local image against a raw file, on the same file system.

Both are opened by QEMU as a VM opens them (no host cache, native AIO, discard), and run by turns. ``export`` measures with fio over
the export of a qemu-storage-daemon. ``block layer`` measures with qemu-img bench, which has no transport that could hide a
difference, and strides over the disk so that no two requests in a row are in the same cluster.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import leave_room
from report import NO_GOAL, RUNS, Row, row
from storage_parts import NEARLY, noise
from support.images import MIB, datastore, qemu_img

AIO = "native"
STRIDE = 37 * MIB + 4096  # has no divisor in common with the disk's clusters
DEPTH = 16
OURS, QEMU_DEFAULT = "ours", "qemu-img's default"


@dataclass(frozen=True)
class Disk:
    """A disk of a guest as QEMU opens it: its file, and the image below it."""

    path: Path
    image: Path | None = None
    extra: tuple[str, ...] = field(default=())

    @property
    def form(self) -> str:
        return "qcow2" if self.image else "raw"

    def nodes(self) -> list[str]:
        """Return QEMU's block devices, the last being what the guest sees."""
        opened = f"cache.direct=on,aio={AIO},discard=unmap"
        top = [f"driver=file,node-name=file,filename={self.path},{opened}"]
        if self.image is None:
            return [*top, "driver=raw,node-name=disk,file=file,discard=unmap"]
        below = [f"driver=file,node-name=below,filename={self.image},read-only=on,{opened}"]
        image = ["driver=qcow2,node-name=image,file=below,read-only=on"]
        return [*below, *image, *top, ",".join(("driver=qcow2,node-name=disk,file=file,backing=image,discard=unmap", *self.extra))]


@contextmanager
def exported(disk: Disk) -> Iterator[str]:
    """Give the disk out over NBD on a local socket, and yield its URI."""
    socket = disk.path.with_suffix(".sock")
    argv = ["qemu-storage-daemon"]
    argv += [word for node in disk.nodes() for word in ("--blockdev", node)]
    argv += ["--nbd-server", f"addr.type=unix,addr.path={socket}"]
    argv += ["--export", "type=nbd,id=export,node-name=disk,name=disk,writable=on"]
    with subprocess.Popen(argv) as process:
        try:
            until = time.monotonic() + 20
            while not socket.exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            yield f"nbd+unix:///disk?socket={socket}"
        finally:
            process.terminate()
            process.wait()
            socket.unlink(missing_ok=True)


@dataclass(frozen=True)
class Load:
    """What a guest does: fio's pattern, the block size, and the seconds that it goes on, or the bytes that it touches once."""

    pattern: str
    block: str
    seconds: float = 3.0
    once: str = ""

    def operations(self, uri: str) -> float:
        """Return operations a second."""
        bound = [f"--io_size={self.once}", "--norandommap=0"] if self.once else [f"--runtime={self.seconds}", "--time_based"]
        argv = ["fio", "--name=guest", "--ioengine=nbd", f"--uri={uri}", f"--rw={self.pattern}", f"--bs={self.block}"]
        argv += [f"--iodepth={DEPTH if self.block == '4k' else 4}", "--output-format=json", "--randrepeat=0", *bound]
        output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        job = json.loads(output[output.index("{") :])["jobs"][0]
        return float(job["read"]["iops"] + job["write"]["iops"])


def alone(disk: Disk, write: bool, count: int = 8000) -> float:
    """Return operations of 4 KiB a second by QEMU's block layer itself."""
    argv = ["qemu-img", "bench", "-f", disk.form, "-t", "none", "-i", AIO, "-d", str(DEPTH), "-s", "4096"]
    argv += ["-S", str(STRIDE), "-c", str(count), *(["-w"] if write else []), str(disk.path)]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return count / float(output.rsplit("Run completed in ", 1)[1].split()[0])


def medians(ours: Callable[[], float], other: Callable[[], float], runs: int = RUNS) -> tuple[float, float]:
    """Return the medians of what both measured, by turns after one turn that does not count."""
    found = [(ours(), other()) for _run in range(runs + 1)][1:]
    return statistics.median(one for one, _two in found), statistics.median(two for _one, two in found)


def guest_io(folder: Path, mib: int) -> Iterator[Row]:
    """Yield the rows, for a disk of ``mib`` MiB."""
    plain = noise(folder / "raw.img", mib * MIB, mib * MIB)
    source = folder / "source.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", plain, source)
    store, image = datastore(folder / "images", source)
    source.unlink()
    tool = DiskFiles(SubprocessRunner(), Folders(images=str(store.root)))
    mine = Disk(folder / "overlay.qcow2", store.image_path(image.digest))
    raw = Disk(plain)

    def lay() -> None:
        mine.path.unlink(missing_ok=True)
        tool.create_overlay(str(mine.path), image.digest, mib * MIB)

    def by_qemu(*options: str) -> None:
        mine.path.unlink(missing_ok=True)
        qemu_img("create", "-f", "qcow2", *options, "-F", "qcow2", "-b", mine.image, mine.path)

    def none_ahead() -> None:
        by_qemu("-o", "cluster_size=128k,extended_l2=on")
        leave_room(mine.path, mib * MIB)

    lays = {OURS: lay, "as ours beyond 4 GiB": none_ahead, QEMU_DEFAULT: by_qemu}
    lay()
    yield from untouched(mine, raw, mib)
    yield from first_writes(mine, raw, lays, mib)
    lay()
    with exported(mine) as uri:
        Load("write", "1M", once=f"{mib}M").operations(uri)
    yield from written(mine, raw, mib)


def rows(name: str, mine: Disk, raw: Disk, loads: dict[str, Load]) -> Iterator[Row]:
    """Yield a row for each load on both exports."""
    with exported(mine) as ours, exported(raw) as other:
        for load, words in ((words, name) for name, words in loads.items()):
            found = medians(lambda load=load: load.operations(ours), lambda load=load: load.operations(other))  # type: ignore[misc]
            yield row(f"(f) {words}, {name}", "export", "1/s", *found, other_name="raw file", goal=NEARLY)


def untouched(mine: Disk, raw: Disk, mib: int) -> Iterator[Row]:
    name = f"{mib} MiB, all in the image"
    yield from rows(name, mine, raw, {"random read 4k": Load("randread", "4k"), "sequential read 1M": Load("read", "1M")})
    found = medians(lambda: alone(mine, False), lambda: alone(raw, False))
    yield row(f"(f) read 4k, {name}", "block layer", "1/s", *found, other_name="raw file", goal=NEARLY)


def first_writes(mine: Disk, raw: Disk, lays: dict[str, Callable[[], None]], mib: int) -> Iterator[Row]:
    """Write where nothing was written before, which allocates, against a raw file that is as new. One row a lay.

    Ours is measured against the raw file that has its blocks, too, although such a disk takes all of its space from the beginning.
    """
    load = Load("randwrite", "4k", once="48M")
    new = Disk(raw.path.with_name("new.img"))

    def sparse() -> None:
        new.path.unlink(missing_ok=True)
        with new.path.open("wb") as file:
            file.truncate(mib * MIB)

    def over_export(disk: Disk) -> float:
        with exported(disk) as uri:
            return load.operations(uri)

    pairs = [(name, lay, new, sparse, "new raw file") for name, lay in lays.items()]
    pairs.append((OURS, lays[OURS], raw, lambda: None, "raw file, written before"))
    for name, lay, other, lay_other, other_name in pairs:
        case = f"(f) random write 4k, {mib} MiB, the first, {name}"
        goal = NEARLY if name == OURS and other is new else NO_GOAL
        for metric, speed in (("export", over_export), ("block layer", lambda disk: alone(disk, True))):
            found = medians(partial(_fresh, lay, speed, mine), partial(_fresh, lay_other, speed, other))
            yield row(case, metric, "1/s", *found, other_name=other_name, goal=goal)


def _fresh(lay: Callable[[], None], speed: Callable[[Disk], float], disk: Disk) -> float:
    lay()
    return speed(disk)


def written(mine: Disk, raw: Disk, mib: int) -> Iterator[Row]:
    loads = {
        "random read 4k": Load("randread", "4k"),
        "random write 4k": Load("randwrite", "4k"),
        "sequential read 1M": Load("read", "1M"),
        "sequential write 1M": Load("write", "1M"),
    }
    name = f"{mib} MiB, written before"
    yield from rows(name, mine, raw, loads)
    for what, write in (("read", False), ("write", True)):
        found = medians(lambda write=write: alone(mine, write), lambda write=write: alone(raw, write))  # type: ignore[misc]
        yield row(f"(f) {what} 4k, {name}", "block layer", "1/s", *found, other_name="raw file", goal=NEARLY)
