# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An appliance built by the role's program, and a VM of it with user-mode networking, which is entered by SSH."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

FILES = Path(__file__).parents[3] / "roles/appliance/files"
PROGRAM = FILES / "build-appliance"
BOOT_SECONDS = 600


def command(output: Path, *options: str) -> list[str]:
    argv = [sys.executable, str(PROGRAM), "--name", "debian-web", "--version", "test", "--recipe", "test"]
    return [*argv, "--output", str(output), "--page", str(FILES / "page.html"), *options]


def build(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(output, *options), capture_output=True, text=True, timeout=1800, check=False)


@dataclass
class Image:
    folder: Path
    output: str

    @property
    def path(self) -> Path:
        return self.folder / "debian-web-test.qcow2"

    @property
    def facts(self) -> dict[str, object]:
        facts: dict[str, object] = json.loads((self.folder / "debian-web-test.json").read_text())
        return facts


class Guest:
    """One VM with user-mode networking; its page and its SSH are forwarded to loopback ports."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self.serial = folder / "serial.log"
        self.http, self.ssh_port = free_ports(2)
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.write_seed()
        disk = folder / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(disk), "5G"], check=True)
        self.serial.touch()
        self.process = self.boot()

    def boot(self) -> subprocess.Popen[bytes]:
        forward = f"hostfwd=tcp:127.0.0.1:{self.http}-:80,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"
        # one processor: on a busy machine QEMU's emulation of several can hang while the guest's kernel starts
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "640", "-nodefaults"]
        argv += ["-display", "none", "-serial", f"file:{self.serial}", "-device", "virtio-rng-pci"]
        argv += ["-drive", f"file={self.folder / 'disk.qcow2'},if=virtio,cache=unsafe", "-nic", f"user,model=virtio,{forward}"]
        argv += ["-drive", f"file={self.folder / 'seed.iso'},if=virtio,format=raw,readonly=on"]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def pull_the_plug(self) -> None:
        """What the guest has not made its disk write is gone, as the process that had it in memory."""
        self.process.kill()
        self.process.wait()
        self.process = self.boot()

    def write_seed(self) -> None:
        seed = self.folder / "seed"
        seed.mkdir()
        (seed / "meta-data").write_text("instance-id: test-1\nlocal-hostname: web-under-test\n")
        user = {
            "name": "edge",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/bash",
            "ssh_authorized_keys": [self.key.with_suffix(".pub").read_text().strip()],
        }
        data = {"users": [user], "runcmd": [["touch", "/run/runcmd-ran"]]}
        (seed / "user-data").write_text("#cloud-config\n" + json.dumps(data) + "\n")
        argv = ["xorriso", "-as", "mkisofs", "-quiet", "-J", "-r", "-V", "cidata", "-o", str(self.folder / "seed.iso"), str(seed)]
        subprocess.run(argv, check=True, capture_output=True)

    def page(self) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/", timeout=30) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def ssh(self, *argv: str) -> str | None:
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=60",
        ]
        flags = [flag for option in options for flag in ("-o", option)]
        line = ["ssh", *flags, "-i", str(self.key), "-p", str(self.ssh_port), "edge@127.0.0.1", "--", *argv]
        try:
            done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    def until(self, what: str, probe: Callable[[], str | None]) -> str:
        began = time.monotonic()
        while time.monotonic() - began < BOOT_SECONDS:
            assert self.process.poll() is None, "QEMU ended"
            found = probe()
            if found is not None:
                print(f"{what}: {time.monotonic() - began:.0f} s")
                return found
            time.sleep(0.5)
        serial = self.serial.read_text(errors="replace")
        pytest.fail(f"no {what} within {BOOT_SECONDS} s; the console ends with:\n{serial[-3000:]}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _any in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def booted(image: Image, folder: Path) -> Iterator[Guest]:
    one = Guest(folder, image.path)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
