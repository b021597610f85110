# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host with libvirtd, the kernel of the small guest and an image, on which the module ``domain`` is run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from support.images import small
from support.playbook import play
from support.small_guest import CMDLINE, small_guest

LAB = Path(__file__).parents[2] / "lab" / "lab.py"
MIB = 2**20
GUEST = {
    "virt_type": "qemu",
    "memory": "128MiB",
    "vcpus": 1,
    "kernel": "/var/lib/edge/boot/vmlinuz",
    "initrd": "/var/lib/edge/boot/initrd.gz",
    "cmdline": CMDLINE,
    "nics": [{"network": "default"}],
    "cloud_init": {"user_data": {"packages": []}, "hostname": "small"},
    "timeout": 90,
}


def lab(*words: str, ok: bool = True) -> str:
    done = subprocess.run([sys.executable, str(LAB), *words], capture_output=True, text=True, check=False)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout.strip()


class Host:
    """A lab host with libvirtd; ``domain`` runs the module there and returns its result."""

    def __init__(self, name: str, inventory: str, digest: str) -> None:
        self.name = name
        self.digest = digest
        self.play = partial(play, inventory=inventory, hosts=name)

    def run(self, *argv: str, ok: bool = True) -> str:
        return lab("exec", self.name, "--", *argv, ok=ok)

    def domain(self, name: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        return self.play([{"edge.cloud.domain": {"name": name, **options}}], check=check, ok=ok)[-1]

    def guest(self, name: str, **options: Any) -> dict[str, Any]:
        return self.domain(name, **{**GUEST, "disks": [{"name": "root", "image": self.digest, "size": "1GiB"}], **options})

    def console(self, name: str, text: str, seconds: float = 90) -> str:
        """Return the console once it has ``text`` after the last start."""
        return self.console_until(name, lambda said: text in said, text, seconds)

    def console_until(self, name: str, done: Callable[[str], bool], what: str, seconds: float = 90) -> str:
        """Return the console once ``done`` of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self.run("cat", f"/var/lib/edge/vms/{name}/console.log", ok=False)
            if done(said):
                return said
            time.sleep(1)  # between looks at a file of another host
        raise AssertionError(f"{what!r} is not on the console of {name}:\n{said}")

    def forget_console(self, name: str) -> None:
        self.run("truncate", "-s", "0", f"/var/lib/edge/vms/{name}/console.log")


@contextmanager
def vm_host(name: str, release: str, folder: Path) -> Iterator[Host]:
    """Make the lab host, and take it down at the end."""
    lab("down", name, ok=False)
    lab("up", "--name", name, "--variant", "full", "--release", release)
    inventory = folder / "hosts.yml"
    inventory.write_text(lab("inventory"))
    made, about, digest = small(folder)
    lab("exec", name, "--", "mkdir", "-p", "/var/lib/edge/boot", "/var/lib/edge/images")
    for path, target in zip(small_guest(), ("vmlinuz", "initrd.gz"), strict=True):
        lab("push", name, str(path), f"/var/lib/edge/boot/{target}")
    for path in (made, about):
        lab("push", name, str(path), f"/var/lib/edge/images/{digest.removeprefix('sha256:')}{path.suffix}")
    lab("exec", name, "--", "virsh", "net-start", "default")
    try:
        yield Host(name, str(inventory), digest)
    finally:
        lab("down", name)
