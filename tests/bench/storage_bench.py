# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage, as ratios against what a user would do otherwise: disks over an image, new versions, pulls. Needs no lab.

Images have at most 1 GiB of data, the rest of a larger disk is a hole. Both sides find the page cache warm and run by turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._compute.facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.https_source import HttpsSource
from ansible_collections.edge.cloud.plugins.module_utils._storage.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.puller import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import Store
from report import Goal, Row, by_turns, machine, row
from support.certificates import Authority, Pair
from support.image_server import Served, nginx
from support.images import MIB, changed, datastore, qemu_img
from support.report import publish

GIB = 1024 * MIB


def filled(path: Path, size: int, data: int) -> Path:
    """Make a qcow2 disk of ``size`` bytes of which ``data`` are random."""
    plain = path.with_suffix(".raw")
    with plain.open("wb") as file:
        for _block in range(data // MIB):
            file.write(os.urandom(MIB))
        file.truncate(size)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", plain, path)
    plain.unlink()
    return path


FAST = Goal("ours < 0.1 s", lambda ours, _ratio: ours < 0.1)
SMALL = Goal("ours < 1 MiB", lambda ours, _ratio: ours < MIB)
TENTH = Goal("ratio <= 0.10", lambda _ours, ratio: ratio <= 0.10)
PACE = Goal("ratio >= 0.9", lambda _ours, ratio: ratio >= 0.9)
TOLD = Goal("none", lambda _ours, _ratio: True)


def disks(folder: Path, gibs: list[int]) -> list[Row]:
    """(a) A VM's disk from a warm host cache."""
    rows = []
    for gib in gibs:
        root = folder / f"images{gib}"
        source = filled(folder / "source.qcow2", gib * GIB, min(gib, 1) * GIB - 8 * MIB)
        store, image = datastore(root, source)
        source.unlink()
        tool = DiskFiles(SubprocessRunner(), Folders(images=str(root)))
        mine, copy = folder / "overlay", folder / "copy"
        path = store.image_path(image.digest)

        def overlay(tool: DiskFiles = tool, image: Manifest = image, size: int = gib * GIB, mine: Path = mine) -> None:
            mine.unlink(missing_ok=True)
            tool.create_overlay(str(mine), image.digest, size)

        def sparse(path: Path = path, copy: Path = copy) -> None:
            subprocess.run(["cp", "--sparse=always", path, copy], check=True)
            subprocess.run(["sync", copy], check=True)

        def convert(path: Path = path, copy: Path = copy) -> None:
            qemu_img("convert", "-O", "qcow2", path, copy)
            subprocess.run(["sync", copy], check=True)

        for name, other in (("cp --sparse=always", sparse), ("qemu-img convert", convert)):
            copy.unlink(missing_ok=True)
            ours, theirs = by_turns(overlay, other)
            rows.append(row(f"(a) disk, {gib} GiB", "time", "s", ours, theirs, other_name=name, goal=FAST))
            used = [float(file.stat().st_blocks * 512) for file in (mine, copy)]
            rows.append(row(f"(a) disk, {gib} GiB", "bytes", "B", used[0], used[1], other_name=name, goal=SMALL, runs=1))
        copy.unlink()
        shutil.rmtree(root)
    return rows


@dataclass(frozen=True)
class Cluster:
    """A served datastore and a client of its CA."""

    server: Served
    authority: Authority
    client: Pair

    def source(self) -> HttpsSource:
        return HttpsSource(self.server.url, Trust(self.authority.ca_file, self.client.cert, self.client.key))

    def curl(self, below: str) -> str:
        pair = f"--cacert {self.authority.ca_file} --cert {self.client.cert} --key {self.client.key}"
        return f"curl -sf {pair} {self.server.url}{below}"

    def bytes_sent(self) -> int:
        """Return the body bytes of all answers, manifests too."""
        return sum(int(line.split('"')[2].split()[1]) for line in self.server.requests())


def served(folder: Path, root: Path, work: Callable[[Cluster], list[Row]]) -> list[Row]:
    folder.mkdir(exist_ok=True)
    authority = Authority(folder / "ca")
    client = authority.issue("host.example")
    with nginx(folder / "nginx", root, authority, authority.issue("127.0.0.1")) as server:
        return work(Cluster(server, authority, client))


def rsync_bytes(old: Path, new: Path, target: Path) -> int:
    """Return what rsync sends and receives to turn a copy of ``old`` into ``new`` (delta transfer, real rsync over a pipe)."""
    shutil.copy(old, target)
    argv = ["rsync", "--no-whole-file", "--inplace", "--stats", "-e", "sh -c 'shift; exec \"$@\"' sh", str(new), f"here:{target}"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = [line for line in said.splitlines() if line.startswith("Total bytes")]
    return sum(int(line.split(":")[1].replace(",", "").replace(".", "")) for line in found)


def versions(folder: Path, mib: int) -> list[Row]:
    """(d) A new version of which 5 % are changed: in clusters here and there (the worst), and in extents of 1 MiB."""
    first = filled(folder / "1.qcow2", mib * MIB, mib * MIB)
    rows: list[Row] = []
    for name, extent in (("64 KiB here and there", 65536), ("extents of 1 MiB", MIB)):
        root = folder / f"store{extent}"
        case = f"(d) 5 % changed, {name}, {mib} MiB"
        second = changed(first, folder / "2.qcow2", share=0.05, extent=extent)
        store, old = datastore(root, first)
        _store, new = datastore(root, second, version="2")

        def measure(cluster: Cluster, old: Manifest = old, new: Manifest = new, case: str = case) -> list[Row]:
            here, full = Store(folder / case / "here"), Store(folder / case / "full")
            sent = [cluster.bytes_sent()]
            for target, image in ((full, new), (here, old), (here, new)):
                pull_image(target, image.digest, [cluster.source()], now=0)
                time.sleep(0.2)  # nginx logs a request after it has answered it
                sent.append(cluster.bytes_sent())
            return [row(case, "bytes sent", "B", sent[3] - sent[2], sent[1] - sent[0], other_name="full pull", goal=TENTH, runs=1)]

        found = served(folder / f"served{extent}", root, measure)
        moved = rsync_bytes(first, store.image_path(new.digest), folder / "rsync.qcow2")
        rows += [*found, row(case, "bytes sent", "B", found[0]["ours"], moved, other_name="rsync", goal=TOLD, runs=1)]
        second.unlink()
    return rows


def pace(folder: Path, where: str, mib: int) -> list[Row]:
    """(e) A pull over TLS on loopback against curl | sha256sum into a file of the same file system."""
    store, image = datastore(folder / "store", filled(folder / "1.qcow2", mib * MIB, mib * MIB))

    def measure(cluster: Cluster) -> list[Row]:
        here, copy = Store(folder / "here"), folder / "copy"

        def ours() -> None:
            shutil.rmtree(here.root, ignore_errors=True)
            pull_image(here, image.digest, [cluster.source()], now=0)

        command = f"{cluster.curl(image.hex + '.qcow2')} | tee {copy} | sha256sum >/dev/null; sync {copy}"

        def tee() -> None:
            copy.unlink(missing_ok=True)
            subprocess.run(["bash", "-o", "pipefail", "-ec", command], check=True)

        def no_file() -> None:
            subprocess.run(
                ["bash", "-o", "pipefail", "-ec", command.replace(f"tee {copy} | ", "").split(";", maxsplit=1)[0]], check=True
            )

        rows = []
        for name, other in (("curl | tee FILE | sha256sum", tee), ("curl | sha256sum, nothing written", no_file)):
            mine, theirs = (mib / found for found in by_turns(ours, other))
            rows.append(
                row(f"(e) pull over TLS, {where}, {mib} MiB", "throughput", "MiB/s", mine, theirs, other_name=name, goal=PACE)
            )
        return rows

    assert store.root.exists()
    return served(folder, folder / "store", measure)


def main() -> int:
    """Run all, print the table, write build/bench/storage.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, nargs="*", default=[1, 4, 16], help="sizes of the disks of (a)")
    parser.add_argument("--mib", type=int, default=512, help="size of the images of (d) and (e)")
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as disk, tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        for part, place in (("e-disk", disk), ("e-tmpfs", memory), ("d", disk), ("a", disk)):
            folder = Path(place, part)
            folder.mkdir()
            if part.startswith("e"):
                rows += pace(folder, part.removeprefix("e-"), options.mib)
            else:
                rows += versions(folder, options.mib) if part == "d" else disks(folder, options.gib)
            shutil.rmtree(folder)
    return publish("bench/storage.json", {"machine": machine()}, rows)


if __name__ == "__main__":
    sys.exit(main())
