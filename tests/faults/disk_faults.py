# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of domain_disk: somebody dies, or the room ends, while a disk is flattened or copied; the next run finishes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from compute_faults import Case, Driven, Stage, on_host
from support.disk_host import EXPORTS, DiskHost
from support.outcomes import Outcome
from support.vm_host import VMS

VM = "worked-on"
MIB = 2**20
TRIES = 3
BULK = 160 * MIB
COPY = f"{EXPORTS}/copy.qcow2"


class Scene(Driven, DiskHost):
    """A host with one VM that streams to a disk over an image, and has a second disk that it leaves alone."""

    vm = VM

    def __init__(self, stage: Stage, release: str) -> None:
        super().__init__(stage, release)
        self.renew()

    def renew(self) -> None:
        """Have the VM anew."""
        self.gone(VM)
        disks = [self.data(), {"name": "bulk", "size": "256MiB"}]
        self.guest(VM, disks=disks, agent="", state="stopped")
        self.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0x5a 0 {BULK}", f"{VMS}/{VM}/bulk.qcow2")
        self.run("virsh", "start", VM)
        self.wait_text(VM, "STREAM 3")

    def change(self, state: str, *, kill: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run a change of a disk, with somebody who dies; ``{}`` where it was the run itself."""
        asked = {"depth": "image", "compress": False, "quiesce": "auto", "disk": "data", **options}
        return self.drive(state, kill, **asked)

    def again(self, state: str, **options: Any) -> dict[str, Any]:
        """Run it without harm; raise where that fails."""
        done = self.change(state, **options)
        assert done and not done.get("failed"), done
        return done

    def whole(self, path: str) -> bool:
        """Tell whether a copy of the second disk is sound and as the disk is."""
        sound = "No errors" in self.run("qemu-img", "check", "-U", path, ok=False)
        return sound and "identical" in self.run("qemu-img", "compare", "-U", path, f"{VMS}/{VM}/bulk.qcow2", ok=False)

    def judge(self, known: int, state: str, **options: Any) -> bool:
        """Look for harm after a fault, run the change again, and look once more; tell whether there is any."""
        try:
            self.run("virsh", "domstate", VM)  # waits for a libvirtd that begins again
            before = self.written(VM)
            self.again(state, **options)
            self.awake()
            lost = min(before, self.written(VM)) < known + 1 or not self.marked(self.active(VM))
        except (AssertionError, RuntimeError) as error:
            print(f"after a fault of {state}: {error}", file=sys.stderr)
            return True
        if lost:
            print(f"lost in {state}: {known=} {before=}", file=sys.stderr)
        return lost


def killed_at_each_step(scene: Scene, who: str) -> Iterator[Outcome]:
    """Let ``who`` die before each step of committing an overlay into the disk."""
    step, steps = 0, 1
    while step < steps:
        scene.awake()
        scene.with_overlay(VM, "stranger")
        steps = len(scene.again("flattened", check=True)["actions"])
        known = scene.acked(VM)
        scene.change("flattened", kill={"who": who, "step": step, "when": "before"})
        lost = scene.judge(known, "flattened")
        yield lost, scene.files(VM) != {"data.qcow2", "bulk.qcow2"}
        step += 1


def killed_while_pulling(scene: Scene, who: str) -> Iterator[Outcome]:
    """Let ``who`` die while the disk gets what it reads from its image."""
    for _try in range(TRIES):
        scene.renew()
        known = scene.acked(VM)
        delay = scene.dice.uniform(0.1, 3)
        scene.change("flattened", depth="all", bandwidth=4 * MIB, kill={"who": who, "step": 0, "when": "during", "delay": delay})
        lost = scene.judge(known, "flattened", depth="all")
        yield lost, scene.chain(scene.active(VM)) != ["data.qcow2"]


def killed_while_copying(scene: Scene, who: str) -> Iterator[Outcome]:
    """Let ``who`` die while the second disk is copied: nothing has the copy's name but a whole copy."""
    for _try in range(TRIES):
        scene.awake()
        scene.run("rm", "-f", COPY)
        known = scene.acked(VM)
        scene.change("exported", disk="bulk", dest=COPY, bandwidth=32 * MIB, kill={"who": who, "delay": scene.dice.uniform(0.1, 4)})
        early = "copy.qcow2" in scene.run("ls", "-A", EXPORTS).split() and not scene.whole(COPY)
        lost = scene.judge(known, "exported", disk="bulk", dest=COPY)
        yield early or lost or not scene.whole(COPY), scene.run("ls", "-A", EXPORTS) != "copy.qcow2"


def killed_while_frozen(scene: Scene) -> Iterator[Outcome]:
    """Kill the run while the guest's file systems are frozen: it writes on without another run."""
    for _try in range(TRIES):
        scene.awake()
        scene.run("rm", "-f", COPY)
        begun = scene.console(VM).count("AGENT-FROZEN")
        scene.change("exported", disk="bulk", dest=COPY, quiesce="required", kill={"who": "self", "when": "frozen"})
        held = scene.console(VM).count("AGENT-FROZEN") == begun + 1
        try:
            scene.wait_more(VM, 3)
        except AssertionError as error:
            print(f"after a kill while frozen: {error}", file=sys.stderr)
            yield True, False
        lost = scene.judge(scene.acked(VM), "exported", disk="bulk", dest=COPY)
        yield lost or not held, scene.run("ls", "-A", EXPORTS) != "copy.qcow2"


def room_ends(scene: Scene) -> Iterator[Outcome]:
    """Somebody fills the file system once the copy was found to fit: it fails, leaves nothing, and the guest does not notice."""
    small, copy = f"{EXPORTS}/small", f"{EXPORTS}/small/copy.qcow2"
    scene.run("rm", "-f", COPY)
    scene.run("mkdir", "-p", small)
    scene.run("mount", "-t", "tmpfs", "-o", "size=300m,mode=0755", "small", small)
    try:
        scene.awake()
        known = scene.acked(VM)
        fault = {"who": "room", "folder": small, "when": "frozen"}
        done = scene.change("exported", disk="bulk", dest=copy, quiesce="required", kill=fault)
        left = scene.run("ls", "-A", small)
        scene.run("rm", "-f", f"{small}/filler")
        lost = scene.judge(known, "exported", disk="bulk", dest=copy)
        if not done.get("failed") or left != "filler":
            print(f"the room ended: {done}, left {left}", file=sys.stderr)
        yield lost or not done.get("failed") or not scene.whole(copy), left != "filler"
    finally:
        scene.run("umount", small)
        scene.run("rmdir", small)


def cases(stage: Stage) -> Iterator[Case]:
    """Yield the cases."""
    case = on_host(stage, Scene)
    people = {"self": "run", "qemu": "QEMU", "libvirtd": "libvirtd"}
    for release in stage.releases:
        for who in ("self", "qemu"):
            yield case(f"{people[who]} killed at each step of a flattening", release, killed_at_each_step, who)
        for who, called in people.items():
            yield case(f"{called} killed while a disk leaves its image", release, killed_while_pulling, who)
        for who, called in people.items():
            yield case(f"{called} killed while a disk is copied", release, killed_while_copying, who)
        yield case("run killed while a guest is frozen", release, killed_while_frozen)
        yield case("room ends while a disk is copied", release, room_ends)
