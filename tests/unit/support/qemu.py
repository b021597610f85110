# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real QEMUs without a guest system: they open an image as libvirt lets them, and hold its locks until they are ended."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.waiting import LIMIT


def start(disk: Path, guest: str = "web", image_format: str = "qcow2") -> subprocess.Popen[str]:
    """Start a QEMU on a disk; it ends at once with an error where it cannot have the file."""
    file = {"driver": "file", "filename": str(disk), "node-name": "file", "auto-read-only": True, "discard": "unmap"}
    node = {"driver": image_format, "node-name": "disk", "file": "file", "read-only": False}
    argv = ["qemu-system-x86_64", "-name", f"guest={guest},debug-threads=on", "-machine", "q35,accel=tcg", "-m", "16"]
    argv += ["-nodefaults", "-display", "none", "-S", "-qmp", "stdio"]
    argv += ["-blockdev", json.dumps(file), "-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=disk"]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _runs(process: subprocess.Popen[str]) -> bool:
    """Return whether a QEMU has all that it was started with, once that is known: it answers then, and not before."""
    assert process.stdin and process.stdout
    with suppress(BrokenPipeError):
        process.stdin.write('{"execute": "qmp_capabilities"}\n')
        process.stdin.flush()
    return any('"return"' in line for line in iter(process.stdout.readline, ""))


def refused(process: subprocess.Popen[str]) -> str:
    """Wait until a QEMU has ended by itself, and return what it printed; one that runs is ended and returns nothing."""
    if _runs(process):
        process.kill()
        process.communicate()
        return ""
    return process.communicate(timeout=LIMIT)[1]


@contextmanager
def running(disk: Path, guest: str = "web") -> Iterator[subprocess.Popen[str]]:
    """Have a QEMU on a disk."""
    process = start(disk, guest)
    try:
        assert _runs(process), process.communicate()[1]
        yield process
    finally:
        process.kill()
        process.communicate()
