# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host of the variant ``full`` on which our modules make VMs, with a kernel and an image for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from edge_lab.api import Lab, LabHost
from support import stream_guest
from support.images import small
from support.playbook import play

VMS = "/var/lib/edge/vms"
BOOT = "/var/lib/edge/boot"
IMAGES = "/var/lib/edge/images"
MIB = 2**20
MACHINE = {"virt_type": "qemu", "memory": "128MiB", "kernel": f"{BOOT}/vmlinuz", "initrd": f"{BOOT}/initrd.gz"}


class VmHost:
    """Runs modules and commands there; ``folder`` is for files of this machine."""

    def __init__(self, host: LabHost, inventory: Path, folder: Path) -> None:
        self.host, self.inventory = host, str(inventory)
        self.play = partial(play, inventory=self.inventory, hosts=host.name)
        self.run("mkdir", "-p", BOOT)
        for path, name in zip(stream_guest.stream_guest(folder), ("vmlinuz", "initrd.gz"), strict=True):
            host.put(path, f"{BOOT}/{name}")

    @classmethod
    @contextmanager
    def up(cls, name: str, release: str, folder: Path) -> Iterator[Self]:
        """Make the lab host, and take it down at the end."""
        lab = Lab()
        lab.down(name)
        try:
            (made,) = lab.up(names=[name], release=release, variant="full")
            yield cls(made, lab.inventory, folder)
        finally:
            lab.down(name)

    def run(self, *argv: str, ok: bool = True) -> str:
        """Run a command on the host and return its output."""
        return self.host.run(argv, check=ok).stdout.strip()

    def module(self, module: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        """Return the result of one of our modules."""
        return self.play([{f"edge.cloud.{module}": options}], check=check, ok=ok)[-1]

    def have_image(self, folder: Path, data: bytes = b"") -> str:
        """Put an image of 64 MiB that begins with ``data`` into the host cache, and return its digest."""
        file, about, digest = small(folder, data=data)
        self.run("mkdir", "-p", IMAGES)
        for path in (file, about.with_suffix(".pieces"), about):
            self.host.put(path, f"{IMAGES}/{digest.removeprefix('sha256:')}{path.suffix}")
        return digest

    def console(self, name: str) -> str:
        """Return what the guest printed since its first start."""
        return self.run("cat", f"{VMS}/{name}/console.log", ok=False)

    def wait_text(self, name: str, text: str) -> str:
        """Return the console once it has a text; the error says what libvirt and QEMU know of a guest that stays silent."""

        def look() -> str:
            shown = self.console(name)
            if text not in shown and "crashed" in self.run("virsh", "domstate", name, "--reason", ok=False):
                raise AssertionError(f"QEMU died before {text!r} was seen:\n{shown[-1000:]}")
            return shown

        try:
            return stream_guest.wait_for(look, lambda shown: text in shown, repr(text))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._what_it_does(name)}") from None

    def _what_it_does(self, name: str) -> str:
        monitor = ("virsh", "qemu-monitor-command", name, "--hmp")
        looks = (
            ("virsh", "domstate", name, "--reason"),
            ("tail", "-n", "5", f"/var/log/libvirt/qemu/{name}.log"),
            ("journalctl", "--no-pager", "--lines=5", "--unit=virtlogd"),
            (*monitor, "info chardev"),
            *((*monitor, "info registers -a"),) * 2,  # twice: a processor that works is elsewhere
        )
        return "\n".join(f"$ {' '.join(one)}\n{_short(self.run(*one, ok=False))}" for one in looks)

    def active(self, name: str, target: str = "vda") -> str:
        """Return the file that libvirt's XML names for a disk, the running guest's if it runs."""
        rows = self.run("virsh", "domblklist", name).splitlines()
        return next(row.split(maxsplit=1)[1].strip() for row in rows if row.split()[:1] == [target])

    def state(self, name: str) -> str:
        """Return libvirt's word for the domain's state."""
        return self.run("virsh", "domstate", name)

    def chain(self, path: str) -> list[str]:
        """Return the names of the files of a disk from the top, as their headers say."""
        shown = json.loads(self.run("qemu-img", "info", "-U", "--backing-chain", "--output=json", path))
        return [Path(one["filename"]).name for one in shown]

    def files(self, name: str) -> set[str]:
        """Return the names of the disk files in the VM's folder."""
        return {one for one in self.run("ls", "-A", f"{VMS}/{name}").split() if one.endswith(".qcow2") or ".memory" in one}


def _short(shown: str) -> str:
    """Return what a command printed, of registers only where the processors are."""
    registers = [line for line in shown.splitlines() if line.startswith(("CPU#", "RIP="))]
    return "\n".join(registers) or shown[-1000:]
