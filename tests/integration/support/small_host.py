# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host for tests of the module ``domain``: its guests have an address, a seed and a disk over an image, and write nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_lab.api import LabHost
from support.small_guest import CMDLINE
from support.vm_host import MACHINE, VMS, VmHost

GUEST = {
    **MACHINE,
    "vcpus": 1,
    "cmdline": CMDLINE,
    "nics": [{"network": "default"}],
    "cloud_init": {"user_data": {"packages": []}, "hostname": "small"},
    "timeout": 300,
}


class SmallHost(VmHost):
    """One lab host with an image, ``digest``, and libvirt's default network."""

    def __init__(self, host: LabHost, inventory: Path, folder: Path) -> None:
        super().__init__(host, inventory, folder)
        self.digest = self.have_image(folder)
        self.run("virsh", "net-start", "default")

    def domain(self, name: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        """Run the module."""
        return self.module("domain", check=check, ok=ok, name=name, **options)

    def guest(self, name: str, **options: Any) -> dict[str, Any]:
        """Have a VM."""
        return self.domain(name, **{**GUEST, "disks": [{"name": "root", "image": self.digest, "size": "1GiB"}], **options})

    def forget_console(self, name: str) -> None:
        """Empty the console's log, so that what is there next is new."""
        self.run("truncate", "-s", "0", f"{VMS}/{name}/console.log")
