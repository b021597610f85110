# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor of one release with a VM that is written to all along, and a replica of its recovery points, each with its server.

libvirtd and QEMU are those of the release, in name spaces; our programs run beside them, with the same folders under the paths
of every host. The writer stands for the guest's system: it writes block 0, 1, 2, … of 4 KiB through the VM's own device, flushes
each, and notes what QEMU says. A block's bytes follow from its number.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt_qemu
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Disk, DomainSpec, Record, Volume
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, to_text
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from recovery.running import Running
from support.certificates import Authority
from support.images import MIB, cached, qemu_img
from support.own_libvirt import OwnLibvirt, own_libvirt, qemu_of
from support.points_server import points_server
from support.processes import TREE
from support.waiting import until

BLOCK, SIZE, KEEP = 4096, 64 * MIB, 5
FOLDERS = Folders()
MINUTES = 900  # of the points' interval, by which the clock of each run is further ahead
ENTER = """set -e
mount -t tmpfs tmpfs /run
mkdir /run/libvirt /run/edge
mount --bind "$1" /run/libvirt
mount --bind "$2/run" /run/edge
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/edge
mount --bind "$2" /var/lib/edge
mount --bind "$3" /var/lib/edge/recovery
shift 3
exec "$@"
"""
SHOW = 'mkdir -p /var/lib/edge; mount --bind "$1" /var/lib/edge; mount --bind "$2" /var/lib/edge/recovery'


def pattern(number: int) -> int:
    """Return the byte that a block of the stream is full of."""
    return number % 251 + 1


def written(raw: Path) -> int:
    """Return how many blocks a disk has, without a gap; raise AssertionError where one is wrong or one is after a gap."""
    blocks, ended = 0, -1
    with raw.open("rb") as file:
        for number in range(SIZE // BLOCK):
            data = file.read(BLOCK)
            if data == bytes([pattern(number)]) * BLOCK:
                assert ended < 0, f"block {number} is there and block {ended} is not"
                blocks += 1
            else:
                assert data.strip(b"\0") == b"", f"block {number} is damaged"
                ended = number if ended < 0 else ended
    return blocks


class Writer:
    """Writes the stream; ``acked`` is the number of blocks that are flushed, ``errors`` what the guest would have seen."""

    def __init__(self, host: Host) -> None:
        self.host, self.acked, self.errors = host, 0, list[str]()
        self.paused, self.ended, self.idle = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while not self.ended.is_set():
            if self.paused.is_set():
                self.idle.set()
                time.sleep(0.02)
                continue
            self.idle.clear()
            try:
                said = self.host.write(self.acked)
            except (libvirt.libvirtError, AssertionError):  # the guest does not run, or libvirtd does not
                time.sleep(0.1)
                continue
            if "rror" in said:
                self.errors.append(f"block {self.acked}: {said.strip()}")
            else:
                self.acked += 1
            time.sleep(0.02)  # the guest's pace

    @contextmanager
    def held(self) -> Iterator[int]:
        """Hold it between two blocks, and give how many are flushed."""
        self.paused.set()
        until(self.idle.is_set, "the writer's pause")
        yield self.acked
        self.idle.clear()
        self.paused.clear()

    def more(self, blocks: int = 3) -> None:
        """Wait until it has written more."""
        enough = self.acked + blocks
        until(lambda: self.acked >= enough, "more blocks of the guest")


@dataclass
class Host:
    """The hypervisor and its replica."""

    own: OwnLibvirt
    folder: Path
    replica: Path
    dice: random.Random
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    config: dict[str, Path] = field(default_factory=dict)
    runs: int = 0
    writer: Writer = field(init=False)

    @property
    def name(self) -> str:
        """The name of the VM, which no other VM of this machine has: its QEMU is found by that."""
        return f"web-{self.uuid[:8]}"

    @property
    def home(self) -> Path:
        """What is /var/lib/edge there."""
        return self.own.folder / "edge"

    @property
    def recovery(self) -> Path:
        """What is /var/lib/edge/recovery there, on a file system that is soon full."""
        return self.own.small / "recovery"

    @property
    def outgoing(self) -> Path:
        return self.recovery / "outgoing" / self.uuid

    @property
    def depot(self) -> Depot:
        return Depot(self.replica / "recovery/points")

    @property
    def names(self) -> list[str]:
        """The points that the replica lists as whole."""
        return [one.name for one in self.depot.listed(self.uuid).whole]

    def domain(self) -> Any:
        return self.own.connection.lookupByName(self.name)

    def write(self, number: int) -> str:
        """Write a block as the guest would, flush it, and return what QEMU says."""
        domain, start = self.domain(), number * BLOCK
        disk = next(part for part in domain.XMLDesc().split("<disk ")[1:] if "<target dev='vda'" in part)
        alias = disk.split("<alias name='")[1].split("'")[0]
        place = f"/machine/peripheral/{alias}/virtio-backend"
        words = (f"write -P {pattern(number)} {start} {BLOCK}", "flush")
        return "".join(libvirt_qemu.qemuMonitorCommand(domain, f'qemu-io -d {place} "{one}"', 1) for one in words)

    def start(self, host: str, *argv: str, stop: int = 0, **order: Any) -> Running:
        """Start a program on the hypervisor ``a`` or the replica ``b``; edge-host with ``argv``, or a module."""
        if argv:
            order["argv"] = ["--config", str(self.config[host]), *argv]
        self.runs += 1
        below = ["/var/lib/edge", "/run/edge", str(self.replica)]
        text = json.dumps({"stop": stop, "below": below, "ahead": self.runs * MINUTES if argv[1:2] == ("run",) else 0, **order})
        command = [sys.executable, str(Path(__file__).with_name("program.py")), text]
        if host == "a":
            enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
            command = [*enter, str(self.own.folder), str(self.home), str(self.recovery), *command]
        out, print_to = os.pipe()
        read_from, into = os.pipe()
        site = next(path for path in sys.path if Path(path, "ansible").is_dir())
        environment = {**os.environ, "PYTHONPATH": f"{TREE}/collections:{site}", "PYTHONDONTWRITEBYTECODE": "1"}
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=read_from, stdout=print_to, stderr=quiet, env=environment, start_new_session=True)
        process.returncode = 0  # Running waits for it
        os.close(print_to)
        os.close(read_from)
        return Running(process.pid, out, into)

    def run(self, host: str, *argv: str, **order: Any) -> dict[str, Any]:
        """Run a program to its end, and return what it printed."""
        return self.start(host, *argv, **order).result()

    def boot(self) -> None:
        """Have the VM run."""
        self.reconnect()
        if not self.domain().isActive():
            self.domain().create()

    def reconnect(self) -> None:
        """Have a connection that works, as after the end of libvirtd."""

        def works() -> bool:
            with suppress(libvirt.libvirtError):
                self.own.connection.getLibVersion()
                self.own.connection.lookupByName(self.name)
                return True
            with suppress(libvirt.libvirtError):
                self.own.connection = libvirt.open(self.own.uri)
            return False

        until(works, "a connection to libvirtd", 0.1)

    def kill_libvirtd(self) -> None:
        self.own.kill_libvirtd()

    def kill_qemu(self) -> None:
        os.kill(qemu_of(self.name), 9)

    def raw(self, disk: str | Path) -> Path:
        """Return a disk as a raw file."""
        made = self.folder / "raw"
        made.unlink(missing_ok=True)
        qemu_img("convert", "-U", "-O", "raw", disk, made)
        return made

    def restored(self) -> int:
        """Restore the newest listed point on the replica, whole, and return how many blocks it has; raise on damage."""
        path = self.folder / "restored.qcow2"
        path.unlink(missing_ok=True)
        done = self.run("b", "point", "restore", "--vm", self.uuid, "--path", str(path), "--whole")
        assert done["rc"] == 0, f"the newest point is not restored: {done}"
        return written(self.raw(path))


def _define(host: Host) -> None:
    """Define the VM, with an overlay of an image."""
    images, vms = host.home / "images", host.home / "vms" / host.name
    for path in (images, vms, host.home / "run", host.home / "recovery", host.recovery, host.replica / "recovery/points"):
        path.mkdir(parents=True)
    (host.replica / "recovery/points").chmod(0o700)
    digest = cached(images, bytes(MIB))
    disk = f"{FOLDERS.vm(host.name)}/root.qcow2"
    image = FOLDERS.image(digest)
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", image, "-F", "qcow2", vms / "root.qcow2", str(SIZE))
    machine = {"virt_type": "qemu", "arch": "x86_64", "machine": "pc-q35-7.2", "memory": 32 * MIB, "vcpus": 1}
    disks = (Disk("root", disk, "qcow2", "vda", "virtio"),)
    spec = DomainSpec(host.name, host.uuid, disks=disks, cpu=Cpu("custom", "qemu64"), agent=False, rng=False, **machine)  # type: ignore[arg-type]
    record = Record(spec, (Volume("root", disk, SIZE, digest, image),), recovery=RecoveryPolicy(MINUTES, KEEP))
    shell = Path(f"/proc/{host.own.process}/task/{host.own.process}/children").read_text().split()[0]
    show = ["nsenter", "--target", shell, "--mount", "--", "chroot", "/mnt/root", "sh", "-ec", SHOW, "sh"]
    subprocess.run([*show, str(host.home), str(host.recovery)], check=True)
    host.own.connection.defineXML(to_text(emit(spec, record)))


@contextmanager
def host_of(release: str, folder: Path, dice: random.Random) -> Iterator[Host]:
    """Have the two hosts, with a VM that runs and has three points that the replica keeps."""
    with ExitStack() as stack:
        own = stack.enter_context(own_libvirt(release))
        host = Host(own, folder, folder / "b", dice)
        host.replica.mkdir(parents=True)
        _define(host)
        authority = Authority(folder / "ca")
        urls = {}
        for name, place in (("a", own.small), ("b", host.replica)):
            server = stack.enter_context(points_server(place, authority, ["a", "b"], ["b"], ["a", "b"]))
            urls[name] = f"https://127.0.0.1:{server.port}/"
        for name in urls:
            pair = authority.issue(name)
            about = {
                "schema": 1, "name": "site", "host": name,
                "replicas": [{"name": "b", "url": urls["b"]}],
                "points": [{"name": one, "url": url} for one, url in urls.items()],
                "recovery": {"root": str(host.depot.root), "keep": KEEP} if name == "b" else {},
                "images": {"root": str(host.home / "images"), "wanted": str(folder / "wanted")} if name == "b" else {},
                "tls": {"ca_file": str(authority.ca_file), "cert_file": str(pair.cert), "key_file": str(pair.key)},
            }  # fmt: skip
            host.config[name] = folder / f"{name}.json"
            host.config[name].write_text(json.dumps(about))
        host.boot()
        host.writer = Writer(host)
        try:
            yield host
        finally:
            host.writer.ended.set()
            host.writer.thread.join()
