# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of an arrival: a VM runs on a remote image, and a program or host that brings or serves the image is killed meanwhile.

The guest streams to its disk all along. ``lost`` counts tries after which a block that the guest knew to be on its disk was missing
or damaged, or the VM did not come to stand on its local image by itself; ``doubled`` those that left something behind. A try counts
only if the victim died while the VM still had its remote image, or, in the copy, while the block job ran.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_lab.api import LabHost, unusable
from edge_lab.command import LabError
from support import hand_check
from support.images import qcow2
from support.lab_cluster import ended, site
from support.outcomes import MISSED, Outcome, Row, not_run, repeated, table_row
from support.report import publish
from support.stream_guest import wait_for
from support.stream_host import StreamHost
from support.vm_host import IMAGES, VMS
from support.waiting import LIMIT

MIB = 2**20
IMAGE_MIB = 48
NAME = "coming"
OWN_SERVER = "nbds://localhost"  # it reads from the replicas, in their order
FOLDER = f"{VMS}/{NAME}"
LINE = "6mbit"  # the image takes a minute
OWN_MIB = 192  # of the disk's own blocks; slow_copy takes 24 seconds for them
LATEST = 0.5  # of the copy, so that the fault has the time of the other half to land
PROGRAM = "/root/slow_copy.py"
SLOW_FILE = "/run/systemd/system/edge-arrive.service.d/slow.conf"
SLOW = f"""[Service]
ExecStart=
ExecStart=/usr/bin/python3 {PROGRAM} arrive --wait
"""
KILL = "systemctl show --value -p InvocationID edge-arrive.service; systemctl kill --signal=KILL edge-arrive.service || true"


@dataclass
class Place:
    """A Front-end, two replicas that have the image, and a hypervisor whose VM starts without it."""

    replicas: list[LabHost]
    host: StreamHost
    digest: str
    dice: random.Random

    @property
    def hex(self) -> str:
        return self.digest.removeprefix("sha256:")

    def begin(self, own_mib: int = 0) -> None:
        """Have a VM stream over the remote image, which comes slowly; its overlay may have some blocks already."""
        for one in self.replicas:
            one.mend()
            one.start()
        self._forget()
        for one in self.replicas:
            one.slow(rate=LINE)
        self._have_slow(SLOW if own_mib else "")
        disks = [{"name": "data", "image": self.digest, "size": "512MiB"}]
        self.host.guest(NAME, disks=disks, image_servers=[OWN_SERVER], state="stopped" if own_mib else "running")
        if own_mib:
            alone = {"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": f"{FOLDER}/data.arriving.qcow2"}}
            self.host.run("qemu-io", f"json:{json.dumps(alone)}", "-c", f"write -q -P 7 256M {own_mib}M")
            self.host.module("domain", name=NAME, state="running", timeout=30)
        self.host.wait_text(NAME, "STREAM 0")
        self.host.run("systemctl", "start", "edge-arrive.path")  # not earlier: the image would come in a boot that takes long

    def _forget(self) -> None:
        self.host.run("systemctl", "stop", "edge-arrive.path", "edge-arrive.service")
        for verb in ("destroy", "undefine"):
            self.host.run("virsh", verb, NAME, ok=False)
        self.host.run("sh", "-c", f"rm -rf {FOLDER} /var/lib/edge/arriving/* {IMAGES}/*.* {IMAGES}/partial/*")
        self.host.run("systemctl", "restart", "edge-nbd.service")
        self.host.run("systemctl", "reset-failed", "edge-arrive.service", ok=False)

    def _have_slow(self, text: str) -> None:
        """Have a file of the service edge-arrive until the host's next boot."""
        write = 'mkdir -p "${1%/*}"; printf %s "$2" > "$1"; systemctl daemon-reload'
        self.host.run("sh", "-ec", write, "sh", SLOW_FILE, text)

    def mend(self) -> None:
        """Let the image come at full speed."""
        for one in self.replicas:
            if one.running:
                one.mend()

    def partial(self) -> int:
        """Return the bytes of the image that came so far."""
        blocks = self.host.run("stat", "-c", "%b", f"{IMAGES}/partial/{self.hex}.qcow2", ok=False)
        return int(blocks or 0) * 512

    def wait_partial(self) -> None:
        """Wait until a random share of the image came."""
        wanted = self.dice.uniform(0.05, 0.8) * IMAGE_MIB * MIB
        wait_for(lambda: str(self.partial()), lambda text: int(text) >= wanted, f"{wanted:.0f} bytes of the image", LIMIT)

    def in_the_copy(self, *command: str) -> tuple[bool, str]:
        """Run a command on the hypervisor in the middle of the block copy; return whether the copy ran then, and what it printed.

        The copy is slow until then, and no later.
        """
        share = f"{self.dice.uniform(0, LATEST):.3f}"
        order = ("fault", NAME, share, f"{LIMIT:g}", SLOW_FILE, *command)
        lines = self.host.run("python3", PROGRAM, *order).splitlines()
        return lines[-1:] == ["in the copy"], lines[0] if lines else ""

    def died(self, invocation: str) -> bool:
        """Wait for the end of a run of edge-arrive, and tell whether it was a kill."""
        if not invocation:
            return False
        about = ("UNIT=edge-arrive.service", f"INVOCATION_ID={invocation}")
        ends = re.compile("Deactivated|Failed with result").search
        logged = wait_for(lambda: self.host.run("journalctl", "-o", "cat", *about), lambda text: bool(ends(text)), "its end", LIMIT)
        return "Failed with result 'signal'" in logged

    def remote(self) -> bool:
        """Tell whether the VM still reads from a replica."""
        return self._disk() == f"{FOLDER}/data.arriving.qcow2"

    def judge(self) -> Outcome:
        """Nothing else is done: the VM comes to stand on its local image, all that it wrote is there, and nothing is left over."""
        self.mend()
        try:
            wait_for(self._disk, lambda path: path == f"{FOLDER}/data.qcow2", "the disk on its own file", LIMIT)
            wait_for(lambda: self.host.run("ls", "-A", FOLDER), lambda names: "arriving" not in names, "the end of the move", LIMIT)
            self.host.wait_more(NAME, 3)
            self.host.verify(NAME)
            assert self.host.chain(f"{FOLDER}/data.qcow2") == ["data.qcow2", f"{self.hex}.qcow2"]
            found = self.host.run("python3", "-c", hand_check.program(), f"{IMAGES}/{self.hex}.qcow2").strip()
            assert found == self.digest, f"the image has the digest {found}"
        except (AssertionError, LabError, StopIteration) as error:
            print(f"harm: {error}\n{self._logged()}", file=sys.stderr, flush=True)
            return True, False
        return False, self._left() != []

    def _disk(self) -> str:
        try:
            return self.host.active(NAME)
        except (LabError, StopIteration):  # libvirt is just restarting
            return ""

    def _left(self) -> list[str]:
        below = self.host.run("sh", "-c", f"ls -A {IMAGES}/partial /var/lib/edge/arriving; ls -A {FOLDER}")
        odd = [
            line
            for line in below.split()
            if line.startswith((self.hex, NAME)) or "arriv" in line.rpartition("/")[2].rstrip(":")[:5]
        ]
        return [line for line in odd if not line.endswith(":")]

    def _logged(self) -> str:
        lines = self.host.run("journalctl", "-u", "edge-arrive", "-n", "15", "--no-pager", "-o", "cat", ok=False)
        return f"{lines}\n{self.host.run('virsh', 'domstate', '--reason', NAME, ok=False)}"


def killed_in_the_pull(place: Place) -> Outcome:
    """Kill edge-arrive when a random share of the image is here."""
    place.begin()
    place.wait_partial()
    under_way = place.partial() > 0
    invocation = place.host.run("sh", "-c", KILL)
    return place.judge() if under_way and place.died(invocation) else MISSED


def killed_in_the_copy(place: Place) -> Outcome:
    """Kill edge-arrive when a random share of the disk's own blocks is copied."""
    place.begin(own_mib=OWN_MIB)
    place.mend()
    copied, invocation = place.in_the_copy("sh", "-c", KILL)
    return place.judge() if copied and place.died(invocation) else MISSED


def libvirt_killed_in_the_copy(place: Place) -> Outcome:
    """Restart or kill libvirtd, and it alone, when a random share of the disk's own blocks is copied."""
    place.begin(own_mib=OWN_MIB)
    place.mend()
    how = place.dice.choice((("restart",), ("kill", "--signal=KILL", "--kill-whom=main")))
    copied, _printed = place.in_the_copy("systemctl", *how, "libvirtd.service")
    return place.judge() if copied else MISSED


def server_killed(place: Place) -> Outcome:
    """Kill the NBD server that the VM reads from, while the image comes."""
    place.begin()
    place.wait_partial()
    place.host.run("systemctl", "kill", "--signal=KILL", "edge-nbd.service")
    return place.judge() if place.remote() else MISSED


def replica_unplugged(place: Place) -> Outcome:
    """Pull the plug of the replica that the VM reads from; the other one has the image too."""
    place.begin()
    place.wait_partial()
    place.replicas[0].kill()
    return place.judge() if place.remote() else MISSED


def every_replica_unplugged(place: Place) -> Outcome:
    """Pull the plugs of all replicas; after a while the one that the VM reads from comes back."""
    place.begin()
    place.wait_partial()
    for one in place.replicas:
        one.kill()
    hit = place.remote()
    time.sleep(place.dice.uniform(1, 20))  # the fault: no replica is there for so long
    place.replicas[0].start()
    return place.judge() if hit else MISSED


CASES: tuple[tuple[str, Callable[[Place], Outcome]], ...] = (
    ("arrival killed in the pull", killed_in_the_pull),
    ("arrival killed in the block copy", killed_in_the_copy),
    ("libvirtd killed in the block copy", libvirt_killed_in_the_copy),
    ("NBD server killed under a VM", server_killed),
    ("replica unplugged under a VM, one left", replica_unplugged),
    ("replicas unplugged under a VM, one back", every_replica_unplugged),
)


@contextlib.contextmanager
def made_place(folder: Path, seed: int, prefix: str, release: str = "trixie") -> Iterator[Place]:
    """Have the hosts, made by the real roles, and remove them at the end."""
    with site(prefix, folder, replicas=2, hypervisors=[release], nbd=True) as made:
        made.offer(qcow2(folder / "small.qcow2", IMAGE_MIB, seed=3), "1")
        made.play()
        for name in made.named("r"):
            ended(made.pull(name, "1"))
        host = StreamHost(made.hosts[made.named("h")[0]], made.lab.inventory, folder)
        host.host.put(Path(__file__).with_name("slow_copy.py"), PROGRAM)
        yield Place([made.hosts[name] for name in made.named("r")], host, made.digest("1"), random.Random(seed))


def rows(found: Place, tries: int, only: str = "") -> list[Row]:
    """Return a row for each kind of fault whose name has ``only`` in it."""
    return [table_row(name, repeated(partial(case, found), tries)) for name, case in CASES if only in name]


def main() -> int:
    """Run all of this file or some, print the table, write build/faults/arrival.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=4)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--release", choices=["trixie", "bookworm"], default="trixie")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    if reason := unusable():
        return publish("faults/arrival.json", {"seed": options.seed}, [not_run(name, reason) for name, _case in CASES])
    with TemporaryDirectory() as folder, made_place(Path(folder), options.seed, "afault", options.release) as found:
        table = rows(found, options.tries, options.only)
    return publish("faults/arrival.json", {"seed": options.seed}, table)


if __name__ == "__main__":
    sys.exit(main())
