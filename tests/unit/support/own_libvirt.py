# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirtd of a test's own, of either Debian release: the programs of a lab base in name spaces, no lab host.

It shares one folder with the test, under the same path. All that it starts ends with it, and with a test that is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection, libvirt
from support.small_disk import small_disk
from support.waiting import until

BASES = Path(os.environ.get("EDGE_LAB_DIR", "/var/cache/edge-lab"), "base")
SMALL = 400  # MiB
WITH_US = ("setpriv", "--pdeathsig", "KILL")
RELEASES = ("bookworm", "trixie")
START = """set -e
base=$1 shared=$2
mkdir -p /mnt
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=$base,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount --rbind /dev dev
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs tmpfs run
mkdir -p .$shared
mount --rbind $shared .$shared
ip link set lo up
printf 'unix_sock_dir = "%s"\nauth_unix_rw = "none"\n' $shared > etc/libvirt/libvirtd.conf
cat > etc/libvirt/qemu.conf <<END
cgroup_controllers = []
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
namespaces = []
remember_owner = 0
END
rm -f etc/libvirt/qemu/networks/autostart/*
while true; do chroot . /usr/sbin/libvirtd || true; done
"""


@dataclass
class OwnLibvirt:
    """A running libvirtd; ``folder`` is what both see, and ``small`` a file system in it that is soon full."""

    connection: Any
    folder: Path
    release: str
    uri: str
    process: int

    def kill_libvirtd(self) -> None:
        """Kill the daemon, which is started again at once, and connect again."""
        shell = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()[0]
        daemon = int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])
        os.kill(daemon, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{daemon}").exists(), "the end of libvirtd")
        until(lambda: _opened(self.uri), "the start of libvirtd", 0.1)
        self.connection = libvirt.open(self.uri)

    @property
    def small(self) -> Path:
        return self.folder / "small"


def qemu_of(name: str) -> int:
    """Return the process of a guest."""
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = one.read_bytes().split(b"\0")
            if b"qemu-system" in words[0] and any(word.startswith(f"guest={name},".encode()) for word in words):
                return int(one.parent.name)
    raise AssertionError(f"no QEMU of {name}")


def _opened(uri: str) -> bool:
    with suppress(libvirt.libvirtError):
        libvirt.open(uri).close()
        return True
    return False


@contextmanager
def own_libvirt(release: str) -> Iterator[OwnLibvirt]:
    """Give a libvirtd of a release; skip where the test is not root's, or the lab has no base of the release."""
    if os.geteuid():
        pytest.skip("a libvirtd of the test's own needs root")
    bases = sorted(BASES.glob(f"{release}-full-*"), key=lambda path: path.stat().st_mtime)
    if not bases:
        pytest.skip(f"the lab has no base of {release} yet")
    folder = Path(tempfile.mkdtemp(prefix="own-", dir="/tmp"))  # the names of sockets must be short
    spaces = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private"]
    with small_disk(folder / "small", SMALL):
        yield from _running(release, spaces, bases[-1], folder)
    shutil.rmtree(folder)


def _running(release: str, spaces: Sequence[str], base: Path, folder: Path) -> Iterator[OwnLibvirt]:
    process = subprocess.Popen([*WITH_US, *spaces, "sh", "-c", START, "sh", str(base), str(folder)], stderr=subprocess.DEVNULL)
    uri = f"qemu+unix:///system?socket={folder}/libvirt-sock"
    try:
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        until(lambda: process.poll() is not None or _opened(uri), "the start of libvirtd", 0.1)
        with EventLoop(), connection(uri) as opened:
            yield OwnLibvirt(opened, folder, release, uri, process.pid)
    finally:
        process.kill()
        process.wait()
