# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of domain_disk: a process is killed, or the room ends, while a disk is flattened or copied; the next run finishes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from compute_faults import Case, Driven, Stage, on_host
from edge_lab.command import LabError
from support.disk_host import EXPORTS, DiskHost
from support.outcomes import MISSED, Outcome, first_hit, repeated
from support.vm_host import VMS

VM = "worked-on"
MIB = 2**20
TRIES = 3
BULK = 160 * MIB
PULLED = (0.01, 0.6)  # of the disk; what the image has ends at three quarters of it, and takes seconds
COPIED = (0.01, 0.4)  # of the second disk, which is full up to BULK
COPY = f"{EXPORTS}/copy.qcow2"
OPTIONS = {"depth": "image", "compress": False, "quiesce": "auto", "disk": "data"}


class Scene(Driven, DiskHost):
    """A host with one VM that streams to a disk over an image, and has a second disk that it leaves alone."""

    vm = VM

    def __init__(self, stage: Stage, release: str) -> None:
        super().__init__(stage, release)
        self.renew()

    def renew(self) -> None:
        """Have the VM again."""
        self.gone(VM)
        disks = [self.data(), {"name": "bulk", "size": "256MiB"}]
        self.guest(VM, disks=disks, agent="", state="stopped")
        self.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0x5a 0 {BULK}", f"{VMS}/{VM}/bulk.qcow2")
        self.run("virsh", "start", VM)
        self.wait_text(VM, "STREAM 3")

    def overlaid(self) -> None:
        """Have the guest write to an overlay of someone else over the disk."""
        self.awake()
        if "data.foreign.qcow2" not in self.files(VM):
            self.with_overlay(VM, "foreign")

    def change(self, state: str, *, kill: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run a change of a disk, with a kill; ``{}`` where the run itself was killed."""
        return self.drive(state, kill, **{**OPTIONS, **options})

    def again(self, state: str, **options: Any) -> dict[str, Any]:
        """Run it without harm; raise where that fails. Where libvirt has lost its job, the VM is restarted first."""
        done = self.change(state, **options)
        if "restart the VM" in str(done.get("msg")):
            self.run("virsh", "destroy", VM)
            self.run("virsh", "start", VM)
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
            before = self.written_by_now(known)
            self.again(state, **options)
            self.awake()
            lost = min(before, self.written(VM)) < known + 1 or not self.marked(self.active(VM))
        except (AssertionError, LabError) as error:
            print(f"after a fault of {state}: {error}", file=sys.stderr)
            return True
        if lost:
            print(f"lost in {state}: {known=} {before=}", file=sys.stderr)
        return lost


def killed_at_each_step(scene: Scene, who: str) -> Iterator[Outcome]:
    """Kill ``who`` before each step of committing an overlay into the disk, as many as the plan has."""
    scene.overlaid()
    for step in range(len(scene.steps("flattened", **OPTIONS))):
        yield first_hit(partial(_killed_at_step, scene, who, step))


def _killed_at_step(scene: Scene, who: str, step: int) -> Outcome:
    scene.overlaid()
    known = scene.acked(VM)
    scene.change("flattened", kill={"who": who, "step": step, "when": "before"})
    lost = scene.judge(known, "flattened")
    return (lost, scene.files(VM) != {"data.qcow2", "bulk.qcow2"}) if scene.hit else MISSED


def killed_while_pulling(scene: Scene, who: str) -> Outcome:
    """Kill ``who`` while the disk gets what it reads from its image."""
    scene.renew()
    known = scene.acked(VM)
    kill = {"who": who, "step": 0, "when": "during", "target": "vda", "share": scene.dice.uniform(*PULLED)}
    scene.change("flattened", depth="all", bandwidth=2 * MIB, kill=kill)
    lost = scene.judge(known, "flattened", depth="all")
    return (lost, scene.chain(scene.active(VM)) != ["data.qcow2"]) if scene.hit else MISSED


def killed_while_copying(scene: Scene, who: str) -> Outcome:
    """Kill ``who`` while the second disk is copied: nothing has the copy's name but a whole copy."""
    scene.awake()
    scene.run("rm", "-f", COPY)
    known = scene.acked(VM)
    kill = {"who": who, "share": scene.dice.uniform(*COPIED)}
    scene.change("exported", disk="bulk", dest=COPY, bandwidth=32 * MIB, kill=kill)
    early = "copy.qcow2" in scene.run("ls", "-A", EXPORTS).split() and not scene.whole(COPY)
    lost = scene.judge(known, "exported", disk="bulk", dest=COPY)
    harm = early or lost or not scene.whole(COPY)
    return (harm, scene.run("ls", "-A", EXPORTS) != "copy.qcow2") if scene.hit else MISSED


def killed_while_frozen(scene: Scene) -> Outcome:
    """Kill the run while the guest's file systems are frozen: it writes on without another run."""
    scene.awake()
    scene.run("rm", "-f", COPY)
    begun = scene.console(VM).count("AGENT-FROZEN")
    scene.change("exported", disk="bulk", dest=COPY, quiesce="required", kill={"who": "self", "when": "frozen"})
    if scene.console(VM).count("AGENT-FROZEN") != begun + 1:
        return MISSED
    try:
        scene.wait_more(VM, 3)
    except AssertionError as error:
        print(f"after a kill while frozen: {error}", file=sys.stderr)
        return True, False
    lost = scene.judge(scene.acked(VM), "exported", disk="bulk", dest=COPY)
    return (lost, scene.run("ls", "-A", EXPORTS) != "copy.qcow2") if scene.hit else MISSED


def room_ends(scene: Scene) -> Outcome:
    """Fill the file system once the copy was found to fit: the copy fails and leaves nothing, and the guest does not notice."""
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
        harm = lost or not done.get("failed") or not scene.whole(copy)
        return (harm, left != "filler") if scene.hit else MISSED
    finally:
        scene.run("umount", small)
        scene.run("rmdir", small)


def tried(scene: Scene, fault: Callable[..., Outcome], *arguments: str) -> Iterator[Outcome]:
    """Yield the outcomes of TRIES faults."""
    return repeated(partial(fault, scene, *arguments), TRIES)


def once(scene: Scene, fault: Callable[..., Outcome]) -> Iterator[Outcome]:
    """Yield the outcome of one fault."""
    return repeated(partial(fault, scene), 1)


def cases(stage: Stage) -> Iterator[Case]:
    """Yield the cases."""
    case = on_host(stage, Scene)
    victims = {"self": "run", "qemu": "QEMU", "libvirtd": "libvirtd"}
    for release in stage.releases:
        for who in ("self", "qemu"):
            yield case(f"{victims[who]} killed at each step of a flattening", release, killed_at_each_step, who)
        for who, called in victims.items():
            yield case(f"{called} killed while a disk leaves its image", release, tried, killed_while_pulling, who)
        for who, called in victims.items():
            yield case(f"{called} killed while a disk is copied", release, tried, killed_while_copying, who)
        yield case("run killed while a guest is frozen", release, tried, killed_while_frozen)
        yield case("room ends while a disk is copied", release, once, room_ends)
