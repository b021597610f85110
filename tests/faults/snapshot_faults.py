# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of snapshots: somebody dies at each step of taking, removing and going back to one, and the next run repairs it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from compute_faults import Case, Driven, Stage, on_host
from support import stream_guest
from support.outcomes import Outcome
from support.vm_host import VMS

VM = Driven.vm
PATIENCE = 40  # seconds; libvirt waits 5 for a greeting and we 5 for an answer, the rest is a busy machine
STEPS = {"present": 4, "absent": 5, "reverted": 6}


class Scene(Driven):
    """A host with one VM that streams."""

    def __init__(self, stage: Stage, release: str) -> None:
        super().__init__(stage, release)
        self.guest(VM, agent="")
        self.wait_text(VM, "STREAM 3")

    def change(self, state: str, name: str = "s", *, kill: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run a change of snapshots, with somebody who dies; ``{}`` where it was the run itself."""
        return self.drive(state, kill, **{"snapshot": name, "allow_restart": True, **options})

    def ready(self, state: str) -> int:
        """Bring the VM to where a change makes sense: one snapshot if it is to be removed or gone back to; return its blocks."""
        self.repair("absent")
        self.awake()
        if state == "present":
            return 0
        done = self.change("present")
        assert not done.get("failed"), done
        self.wait_more(VM, 3)
        return self.written(VM, done["snapshots"][0]["disks"]["data"])

    def repair(self, state: str) -> dict[str, Any]:
        """Run again without harm; raise where that fails."""
        done = self.change(state)
        assert done and not done.get("failed"), done
        return done

    def judge(self, state: str, snapshot: int, known: int) -> Outcome:
        """Look for harm after a fault, run the change again, and look once more; ``known`` was acknowledged before it."""
        try:
            self.run("virsh", "domstate", VM)  # waits for a libvirtd that begins again
            before = self.written(VM)
            done = self.repair(state)
            self.awake()
            found = self.written(VM)
        except (AssertionError, RuntimeError) as error:
            print(f"after a fault of {state}: {error}", file=sys.stderr)
            return True, False
        floor = known + 1 if state != "reverted" else snapshot
        shown = {"present": ["s"], "absent": [], "reverted": ["s"]}[state]
        lost = found < floor or (state != "reverted" and before < known + 1) or [one["name"] for one in done["snapshots"]] != shown
        if state == "reverted":  # what was written before the revert is left behind, whole
            lost = lost or stream_guest.written(self.run, done["orphans"][0]["disks"]["data"]) < known + 1
        if lost:
            print(f"lost in {state}: {known=} {snapshot=} {before=} {found=} {done}", file=sys.stderr)
        return lost, done["interrupted"] is not None or len(self.files(VM)) != {"present": 2, "absent": 1, "reverted": 3}[state]


def killed_at_each_step(scene: Scene, state: str, who: str) -> Iterator[Outcome]:
    """Let ``who`` die before each step of a change, and after the last (a second revert would be one more, not a repair)."""
    for step in range(STEPS[state] + (state != "reverted")):
        snapshot = scene.ready(state)
        known = scene.acked(VM)
        last = step == STEPS[state]
        scene.change(state, kill={"who": who, "step": step - last, "when": "after" if last else "before"})
        yield scene.judge(state, snapshot, known)


def killed_during(scene: Scene, who: str, tries: int = 4) -> Iterator[Outcome]:
    """Let ``who`` die while the disks are switched or committed."""
    for number in range(tries):
        state, step = (("present", 2), ("absent", 2))[number % 2]
        snapshot = scene.ready(state)
        known = scene.acked(VM)
        scene.change(state, kill={"who": who, "step": step, "when": "during", "delay": scene.dice.uniform(0.0, 0.15)})
        yield scene.judge(state, snapshot, known)


def memory_reverted(scene: Scene) -> Iterator[Outcome]:
    """Kill the run before the guest goes on from its memory; it goes on from there at the next run, block by block."""
    scene.ready("present")
    done = scene.change("present", memory=True)
    assert not done.get("failed"), done
    known = scene.wait_more(VM, 3)
    snapshot = scene.written(VM, done["snapshots"][0]["disks"]["data"])
    scene.change("reverted", kill={"who": "self", "step": 4, "when": "before"})
    outcome = scene.judge("reverted", snapshot, known)
    yield outcome[0], len(scene.files(VM)) != 4


def disk_full(scene: Scene) -> Iterator[Outcome]:
    """There is no room for the overlay or the commit: the guest runs on or waits, and with room again the next run completes."""
    home = f"{VMS}/{VM}"
    scene.repair("absent")
    scene.module("domain", name=VM, state="absent", delete_disks=True, force_stop=True, timeout=1)
    scene.run("mkdir", "-p", home)
    scene.run("mount", "-t", "tmpfs", "-o", "size=12m,mode=0711", "small", home)
    scene.run("touch", f"{home}/not-ours")  # the folder stays, being a mount
    try:
        scene.guest(VM, agent="", console_log=True)
        scene.wait_more(VM, 3)
        for state in ("present", "absent"):
            snapshot = scene.ready(state)
            known = scene.acked(VM)
            scene.run("sh", "-c", f"head -c 12M /dev/zero > {home}/filler 2> /dev/null", ok=False)
            scene.change(state)
            scene.run("rm", f"{home}/filler")
            yield scene.judge(state, snapshot, known)
    finally:
        scene.module("domain", name=VM, state="absent", delete_disks=True, force_stop=True, timeout=1)
        scene.run("umount", home)
    scene.guest(VM, agent="")
    scene.wait_more(VM, 3)


def silent_agent(scene: Scene) -> Iterator[Outcome]:
    """The agent is there and silent, or ends after its greeting: all goes on without it, or is refused where it is required.

    Nobody waits for it longer than ``PATIENCE``, whether a snapshot is asked for, what the domain is, or that it stops.
    """
    for agent in ("deaf", "mute"):
        scene.repair("absent")
        scene.guest(VM, agent=agent, allow_restart=True, force_stop=True, timeout=1)
        scene.wait_more(VM, 3)
        for quiesce in ("required", "auto"):
            known, begun = scene.acked(VM), time.monotonic()
            done = scene.change("present", quiesce=quiesce)
            took = time.monotonic() - begun
            refused = done.get("error", {}).get("code") == "not_found"
            wrong = refused is not (quiesce == "required") or (not refused and done["snapshots"][0]["quiesced"])
            if wrong or took > PATIENCE:
                print(f"a {agent} agent, quiesce {quiesce}: {took:.0f} s, {done}", file=sys.stderr, flush=True)
            lost, doubled = scene.judge("present" if quiesce == "auto" else "absent", 0, known)
            yield lost or wrong or took > PATIENCE, doubled
        yield slow_without_agent(scene), False
    scene.repair("absent")
    scene.guest(VM, agent="", allow_restart=True, force_stop=True, timeout=1)
    scene.wait_more(VM, 3)


def slow_without_agent(scene: Scene) -> bool:
    """Tell whether reading the VM or stopping it waits for its silent agent, or gives no result."""
    known, begun = scene.acked(VM), time.monotonic()
    found = scene.module("domain_info", name=VM)["domains"][0]
    read = time.monotonic() - begun
    stopped = scene.module("domain", name=VM, state="stopped", timeout=90)["domain"]
    ended = time.monotonic() - begun - read
    lost = found["state"] != "running" or stopped["state"] != "stopped" or scene.written(VM) <= known
    if lost or read > PATIENCE or ended > 90 + PATIENCE:
        print(f"a silent agent: {found['state']} read in {read:.0f} s, {stopped['state']} after {ended:.0f} s", file=sys.stderr)
        return True
    scene.awake()
    return False


def cases(stage: Stage) -> Iterator[Case]:
    """Yield the cases."""
    case = on_host(stage, Scene)
    words = {"present": "take", "absent": "removal", "reverted": "revert"}
    for release in stage.releases:
        for state, word in words.items():
            yield case(f"run killed at each step of a {word}", release, killed_at_each_step, state, "self")
            yield case(f"QEMU killed at each step of a {word}", release, killed_at_each_step, state, "qemu")
        yield case("run killed during a switch or commit", release, killed_during, "self")
        yield case("QEMU killed during a switch or commit", release, killed_during, "qemu")
        yield case("libvirtd killed during a switch or commit", release, killed_during, "libvirtd")
        yield case("libvirtd restarted during a switch or commit", release, killed_during, "restart")
        yield case("run killed before memory is restored", release, memory_reverted)
        yield case("disk full", release, disk_full)
        yield case("silent agent", release, silent_agent)
