# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of snapshots: a process is killed at each step of taking, removing and reverting to one, and the next run repairs it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from compute_faults import Case, Driven, Stage, on_host
from edge_lab.command import LabError
from support import stream_guest
from support.outcomes import MISSED, Outcome, RandomMoment, first_hit
from support.vm_host import VMS

VM = Driven.vm
PATIENCE = 40  # seconds; libvirt waits 5 for a greeting and we 5 for an answer, the rest is a busy machine
MARK = ("0x5a", "0", "1M")
FILES = {"present": 4, "absent": 2, "reverted": 6}  # of two disks
SHOWN = {"present": ["s"], "absent": [], "reverted": ["s"]}


class Scene(Driven):
    """A host with one VM that streams to one disk and has a marked second one."""

    def __init__(self, stage: Stage, release: str) -> None:
        super().__init__(stage, release)
        self.renew()

    def renew(self, **options: Any) -> None:
        """Make the VM again, with new disks."""
        self.module("domain", name=VM, state="absent", delete_disks=True, force_stop=True, timeout=1)
        self.guest(VM, disks=2, agent="", state="stopped", **options)
        self.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {' '.join(MARK)}", f"{VMS}/{VM}/more1.qcow2")
        self.run("virsh", "start", VM)
        self.wait_text(VM, "STREAM 3")

    def marked(self) -> bool:
        """Tell whether the second disk still has its mark."""
        path = self.active(VM, "vdb")
        output = self.run("qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {' '.join(MARK)}", path)
        return "verification failed" not in output

    def change(self, state: str, name: str = "s", *, kill: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run a change of snapshots, with a kill; ``{}`` where the run itself was killed."""
        return self.drive(state, kill, **{"snapshot": name, "allow_restart": True, **options})

    def planned(self, state: str) -> list[str]:
        """Return the sentences of the steps that a change would take now."""
        return self.steps(state, snapshot="s", allow_restart=True)

    def ready(self, state: str) -> int:
        """Bring the VM to where a change makes sense: one snapshot if it is to be removed or reverted to; return its blocks."""
        self.repair("absent")
        self.awake()
        if state == "present":
            return 0
        done = self.change("present")
        assert not done.get("failed"), done
        self.wait_more(VM, 3)
        return self.written(VM, done["snapshots"][0]["disks"]["data"])

    def repair(self, state: str) -> dict[str, Any]:
        """Run again without harm; raise where that fails. Where libvirt has forgotten a switch, the VM is restarted first."""
        done = self.change(state)
        if "restart it first" in str(done.get("msg")):
            self.run("virsh", "destroy", VM)
            self.run("virsh", "start", VM)
            done = self.change(state)
        assert done and not done.get("failed"), done
        return done

    def judge(self, state: str, snapshot: int, known: int, result: dict[str, Any] | None = None) -> Outcome:
        """Look for harm after a fault, run the change again, and look once more; ``known`` was acknowledged before it.

        A revert whose ``result`` says that it ended well in spite of the fault is not run again: that would be a second one.
        """
        ended = result if state == "reverted" and result and not result.get("failed") else None
        try:
            before = self.written_by_now(known)
            done = ended or self.repair(state)
            self.awake()
            found = self.written(VM)
            marked = self.marked()
        except (AssertionError, LabError) as error:
            print(f"after a fault of {state}: {error}", file=sys.stderr)
            return True, False
        floor = known + 1 if state != "reverted" else snapshot
        shown = [one["name"] for one in done["snapshots"]] == SHOWN[state]
        lost = found < floor or (state != "reverted" and before < known + 1) or not shown or not marked
        if state == "reverted":  # what was written before the revert is left behind, whole
            lost = lost or stream_guest.written(self.run, done["orphans"][0]["disks"]["data"]) < known + 1
        if lost:
            print(f"lost in {state}: {known=} {snapshot=} {before=} {found=} {marked=} {done}", file=sys.stderr)
        disks = [name for name in self.files(VM) if ".memory" not in name]
        left = done["interrupted"] is not None or len(disks) != FILES[state]
        if left:
            print(f"left after {state}: {sorted(disks)}, {done}", file=sys.stderr)
        return lost, left


def killed_at_each_step(scene: Scene, state: str, who: str) -> Iterator[Outcome]:
    """Kill ``who`` before each step of the plan, and after the last (a second revert would be one more, not a repair)."""
    scene.ready(state)
    plan = scene.planned(state)
    moments = [{"step": step, "when": "before"} for step in with_victim(plan, who)]
    if state != "reverted":
        moments.append({"step": len(plan) - 1, "when": "after"})
    for moment in moments:
        yield first_hit(partial(_killed, scene, state, {"who": who, **moment}))


def with_victim(plan: list[str], who: str) -> list[int]:
    """Return the steps before which the victim is there: QEMU is not between a power-off and the next start."""
    found, running = [], True
    for step, sentence in enumerate(plan):
        if running or who != "qemu":
            found.append(step)
        if sentence.startswith(("Power off", "Start domain")):
            running = sentence.startswith("Start domain")
    return found


def _killed(scene: Scene, state: str, kill: dict[str, Any]) -> Outcome:
    snapshot = scene.ready(state)
    known = scene.acked(VM)
    result = scene.change(state, kill=kill)
    outcome = scene.judge(state, snapshot, known, result)
    return outcome if scene.hit else MISSED


def killed_during(scene: Scene, who: str, tries: int = 4) -> Iterator[Outcome]:
    """Kill ``who`` while the disks are switched or one of them is committed."""
    works = [(*work, RandomMoment(scene.dice, 0.15)) for work in (("present", "Let domain"), ("absent", "Commit"))]
    for number in range(tries):
        yield first_hit(partial(_killed_in, scene, who, *works[number % len(works)]))


def _killed_in(scene: Scene, who: str, state: str, sentence: str, moment: RandomMoment) -> Outcome:
    scene.ready(state)
    steps = [step for step, one in enumerate(scene.planned(state)) if one.startswith(sentence)]
    delay = moment.draw()
    outcome = _killed(scene, state, {"who": who, "step": scene.dice.choice(steps), "when": "during", "delay": delay})
    if outcome is MISSED:
        moment.too_late(delay)
    return outcome


def memory_reverted(scene: Scene) -> Iterator[Outcome]:
    """Kill the run before the guest goes on from its memory; it goes on from there at the next run, block by block."""
    yield first_hit(partial(_memory_reverted, scene))


def _memory_reverted(scene: Scene) -> Outcome:
    scene.ready("present")
    done = scene.change("present", memory=True)
    assert not done.get("failed"), done
    known = scene.wait_more(VM, 3)
    snapshot = scene.written(VM, done["snapshots"][0]["disks"]["data"])
    step = next(step for step, sentence in enumerate(scene.planned("reverted")) if sentence.startswith("Start domain"))
    scene.change("reverted", kill={"who": "self", "step": step, "when": "before"})
    outcome = scene.judge("reverted", snapshot, known)
    return outcome if scene.hit else MISSED


def disk_full(scene: Scene) -> Iterator[Outcome]:
    """There is no room for the overlay or the commit: the guest runs on or waits, and with room again the next run completes."""
    home = f"{VMS}/{VM}"
    scene.repair("absent")
    scene.module("domain", name=VM, state="absent", delete_disks=True, force_stop=True, timeout=1)
    scene.run("mkdir", "-p", home)
    scene.run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0711", "small", home)
    scene.run("touch", f"{home}/not-ours")  # the folder stays, being a mount
    try:
        scene.renew(console_log=True)
        for state in ("present", "absent"):
            snapshot = scene.ready(state)
            known = scene.acked(VM)
            scene.run("sh", "-c", f"head -c 16M /dev/zero > {home}/filler 2> /dev/null", ok=False)
            full = scene.run("df", "--output=avail", home).split()[-1] == "0"
            scene.change(state)
            scene.run("rm", f"{home}/filler")
            outcome = scene.judge(state, snapshot, known)
            yield outcome if full else MISSED
    finally:
        scene.module("domain", name=VM, state="absent", delete_disks=True, force_stop=True, timeout=1)
        scene.run("umount", home)
    scene.renew()


def silent_agent(scene: Scene) -> Iterator[Outcome]:
    """The agent is there and silent, or ends after its greeting: all goes on without it, or is refused where it is required.

    A snapshot, a look at the domain and its stop wait for it no longer than ``PATIENCE``.
    """
    for agent in ("deaf", "mute"):
        scene.repair("absent")
        scene.guest(VM, disks=2, agent=agent, allow_restart=True, force_stop=True, timeout=1)
        scene.wait_more(VM, 3)
        for quiesce in ("required", "auto"):
            known, begun = scene.acked(VM), time.monotonic()
            done = scene.change("present", quiesce=quiesce)
            took = time.monotonic() - begun
            refused = done.get("error", {}).get("code") == "not_found"
            wrong = refused is not (quiesce == "required") or (not refused and done["snapshots"][0]["quiesced"])
            if wrong or took > PATIENCE:
                print(f"a {agent} agent, quiesce {quiesce}: {took:.0f} s, {done}", file=sys.stderr, flush=True)
            lost, doubled = scene.judge("present" if quiesce == "auto" else "absent", 0, known) or (True, False)
            yield lost or wrong or took > PATIENCE, doubled
        yield slow_without_agent(scene), False
    scene.renew()


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
