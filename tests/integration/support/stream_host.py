# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host whose VMs stream to a disk: runs our modules there, and proves after each of them that nothing was lost."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from edge_lab.api import LabHost
from support import stream_guest
from support.playbook import play

VMS = "/var/lib/edge/vms"
BOOT = "/var/lib/edge/boot"


class StreamHost:
    """One lab host of the variant ``full``; ``folder`` is for files of this machine."""

    def __init__(self, host: LabHost, inventory: Path, folder: Path) -> None:
        self.host = host
        self.play = partial(play, inventory=str(inventory), hosts=host.name)
        self.run("mkdir", "-p", BOOT)
        for path, name in zip(stream_guest.stream_guest(folder), ("vmlinuz", "initrd.gz"), strict=True):
            host.put(path, f"{BOOT}/{name}")

    def run(self, *argv: str, ok: bool = True) -> str:
        """Run a command on the host and return its output."""
        return self.host.run(argv, check=ok).stdout.strip()

    def module(self, module: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        """Return the result of one of our modules."""
        return self.play([{f"edge.cloud.{module}": options}], check=check, ok=ok)[-1]

    def guest(
        self, name: str, *, disks: int | list[dict[str, Any]] = 1, agent: str | None = None, ok: bool = True, **options: Any
    ) -> dict[str, Any]:
        """Have a VM that streams to its first disk ``data`` (vda); further disks are ``more1`` and so on, or say them."""
        if isinstance(disks, int):
            disks = [{"name": name, "size": "64MiB"} for name in ("data", *(f"more{number}" for number in range(1, disks)))]
        return self.module(
            "domain",
            ok=ok,
            **{
                "name": name,
                "virt_type": "qemu",
                "memory": "128MiB",
                "kernel": f"{BOOT}/vmlinuz",
                "initrd": f"{BOOT}/initrd.gz",
                "cmdline": stream_guest.cmdline("vda", agent),
                "disks": disks,
                "guest_agent": agent is not None,
                "timeout": 30,
                **options,
            },
        )

    def snapshot(self, name: str, snapshot: str, *, ok: bool = True, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run domain_snapshot."""
        return self.module("domain_snapshot", ok=ok, check=check, domain=name, name=snapshot, **options)

    def console(self, name: str) -> str:
        """Return what the guest said since its first start."""
        return self.run("cat", f"{VMS}/{name}/console.log", ok=False)

    def acked(self, name: str) -> int:
        """Return the last block that the guest knows to be on its disk."""
        return stream_guest.acked(self.console(name))

    def wait_text(self, name: str, text: str) -> None:
        """Wait until the console has a text."""
        stream_guest.wait_for(lambda: self.console(name), lambda said: text in said, repr(text))

    def wait_more(self, name: str, more: int = 5) -> int:
        """Wait until the guest has written more blocks; return the last."""
        begun = self.acked(name)
        return stream_guest.acked(
            stream_guest.wait_for(
                lambda: self.console(name), lambda said: stream_guest.acked(said) >= begun + more, f"{more} more blocks"
            )
        )

    def active(self, name: str, target: str = "vda") -> str:
        """Return the file that libvirt's XML names for a disk, the running guest's if it runs."""
        rows = self.run("virsh", "domblklist", name).splitlines()
        return next(row.split(maxsplit=1)[1].strip() for row in rows if row.split()[:1] == [target])

    def state(self, name: str) -> str:
        """Return libvirt's word for the domain's state."""
        return self.run("virsh", "domstate", name)

    def chain(self, path: str) -> list[str]:
        """Return the names of the files of a disk from the top, as their headers say."""
        told = json.loads(self.run("qemu-img", "info", "-U", "--backing-chain", "--output=json", path))
        return [Path(one["filename"]).name for one in told]

    def files(self, name: str) -> set[str]:
        """Return the names of the disk files in the VM's folder."""
        return {one for one in self.run("ls", "-A", f"{VMS}/{name}").split() if one.endswith(".qcow2") or ".memory" in one}

    def written(self, name: str, path: str | None = None) -> int:
        """Return the blocks of the stream in a file (the active one), the guest held still meanwhile; raise on damage."""
        running = self.state(name) == "running"
        if running:
            self.run("virsh", "suspend", name)
        try:
            return stream_guest.written(self.run, path or self.active(name))
        finally:
            if running:
                self.run("virsh", "resume", name)

    def verify(self, name: str) -> int:
        """Prove that every block that the guest has written is there; return their number."""
        known = self.acked(name)
        found = self.written(name)
        assert found > known, f"{name}: the guest wrote {known} blocks, the disk has {found}"
        return found
