# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of streaming VMs with an image whose third quarter is marked, and a folder for copies of disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_lab.api import LabHost
from support.stream_host import StreamHost
from support.vm_host import MIB, VMS

EXPORTS = "/srv/exports"
MARK = ("0xa5", "32M", "16M")


class DiskHost(StreamHost):
    """Puts the image into the host cache when it is made; ``digest`` names it."""

    def __init__(self, host: LabHost, inventory: Path, folder: Path) -> None:
        super().__init__(host, inventory, folder)
        self.digest = self.have_image(folder, bytes(32 * MIB) + b"\xa5" * (16 * MIB))
        self.run("mkdir", "-p", EXPORTS)

    def data(self) -> dict[str, Any]:
        """Return the options of a disk over the image; the guest streams to its first quarter."""
        return {"name": "data", "image": self.digest, "size": "64MiB"}

    def marked(self, path: str) -> bool:
        """Tell whether a copy of the disk still has what the image has."""
        pattern, start, length = MARK
        answer = self.run("qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {pattern} {start} {length}", path)
        return "verification failed" not in answer

    def with_overlay(self, name: str, overlay: str) -> None:
        """Put an overlay of someone else over the disk, as ``virsh snapshot-create-as`` does, and have the guest use it."""
        targets = [row.split()[0] for row in self.run("virsh", "domblklist", name).splitlines()[2:]]
        specs = [f"{target},snapshot=no" for target in targets if target != "vda"]
        words = [word for spec in (f"vda,file={VMS}/{name}/data.{overlay}.qcow2", *specs) for word in ("--diskspec", spec)]
        self.run("virsh", "snapshot-create-as", name, overlay, "--disk-only", "--no-metadata", *words)
        self.wait_more(name, 2)

    def gone(self, name: str) -> None:
        """Remove a VM with its disks."""
        self.module("domain", name=name, state="absent", force_stop=True, delete_disks=True, timeout=1)
