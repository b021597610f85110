# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a running guest by libvirt itself: each sets a checkpoint and writes what changed since the last one's.

They stand for recovery points, which no module of ours takes yet, and show whether dirty bitmaps live through what we do.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from support import stream_guest
from support.stream_host import StreamHost
from support.vm_host import VMS

TAKE = """
set -e
cat > /root/backup.xml <<EOF
<domainbackup>{since}<disks>
<disk name="vda" type="file" backupmode="{mode}"><driver type="qcow2"/><target file="{path}"/></disk>
</disks></domainbackup>
EOF
cat > /root/checkpoint.xml <<EOF
<domaincheckpoint><name>{point}</name><disks><disk name="vda" checkpoint="bitmap"/></disks></domaincheckpoint>
EOF
virsh backup-begin {name} /root/backup.xml /root/checkpoint.xml >&2
until virsh domjobinfo {name} | grep -q None; do sleep 0.2; done
virsh domjobinfo {name} --completed | grep -q Completed
"""


class Backups:
    """A full backup of the guest's first disk, and one after the other what changed; kept in ``folder`` of this machine."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.files: list[Path] = []
        self._folder = folder

    def take(self, host: StreamHost) -> int:
        """Take one and return the bytes that it takes; every one but the first has only what changed since the last."""
        number = len(self.files)
        path = f"{VMS}/{self.name}.{number}.backup"
        since, mode = (f"<incremental>point{number - 1}</incremental>", "incremental") if number else ("", "full")
        try:
            host.run("sh", "-c", TAKE.format(name=self.name, since=since, mode=mode, path=path, point=f"point{number}"))
            size = int(host.run("stat", "-c", "%b", path)) * 512
            host.host.get(path, self._folder / f"{number}.qcow2")
        finally:
            host.run("rm", "-f", path)
        self.files.append(self._folder / f"{number}.qcow2")
        return size

    def written(self, number: int = -1) -> int:
        """Return the blocks of the stream in a backup over all those before it; raise on damage."""
        for below, path in zip(self.files, self.files[1:], strict=False):
            subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, path], check=True)
        return stream_guest.written(_run, str(self.files[number]))


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
