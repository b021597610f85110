# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what a hypervisor does, at a random step of ``edge-host point run`` under a VM that is written to all along.

The program waits before that step while the fault is done, so that each fault hits a point that is being made. After each: the
writer saw no error and lost no block, the next point is made and pulled, restores with all that was flushed before it, and older
ones stay.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from recovery.hypervisor import KEEP, Host, host_of, written
from recovery.running import MOST_STEPS, Running, said
from support.outcomes import MISSED, Outcome, Row, repeated, table_row

RUN, PULL = ("point", "run"), ("point", "pull")
Fault = Callable[[Host, Running], object]


def program_killed(host: Host, running: Running) -> None:
    running.kill(alone=host.dice.random() < 0.5)
    assert running.result() == {"rc": -signal.SIGKILL}


def libvirtd_killed(host: Host, running: Running) -> None:
    host.kill_libvirtd()
    running.go_on()
    running.result()


def qemu_killed(host: Host, running: Running) -> None:
    host.kill_qemu()
    running.go_on()
    running.result()


def all_killed(host: Host, running: Running) -> None:
    """Kill the program with all that it has started, QEMU and libvirtd, as a power cut does."""
    running.kill(alone=False)
    host.kill_qemu()
    host.kill_libvirtd()
    running.result()


def guest_stopped(host: Host, running: Running) -> None:
    host.domain().destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
    running.go_on()
    running.result()


def snapshot_taken(host: Host, running: Running) -> None:
    """Take a snapshot by our module meanwhile, and remove it; the point may give way."""
    options = {"name": host.name, "snapshot": f"s{host.runs}", "quiesce": "never"}
    taking = host.start("a", module="domain_snapshot", options=options)
    running.go_on()
    running.result()
    taken = taking.result()
    removed = host.run("a", module="domain_snapshot", options={**options, "state": "absent"})
    assert taken.get("changed") and removed.get("changed"), f"the snapshot failed: {taken} {removed}"


def disk_full(host: Host, running: Running) -> None:
    """Fill the file system of the points, and make room again afterwards."""
    filler = host.own.small / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], check=False, capture_output=True)
    running.go_on()
    running.result()
    filler.unlink()


@contextmanager
def server_held(folder: Path) -> Iterator[None]:
    """Hold the server of a host's points still."""
    master = int((folder / "run/nginx.pid").read_text())
    pids = [master, *map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def replica_stalled(host: Host, running: Running) -> None:
    """Have the replica answer nothing: no point is removed from the VM's host meanwhile."""
    before = points(host)
    with server_held(host.replica):
        running.go_on()
        done = running.result()
    assert done.get("error", done).get("silent") or before <= points(host), f"points were removed: {done}"


def replica_lies(host: Host, running: Running) -> None:
    """Have the replica list another point of the newest name: the host's own one stays."""
    running.kill(alone=False)
    running.result()
    host.run("b", *PULL)
    document = host.depot.document(host.uuid, host.names[-1])
    data = document.read_bytes()
    about = json.loads(data)
    about["instant"] = "2026-01-01T00:00:00Z"
    document.write_bytes(json.dumps(about).encode())
    before = points(host) & {document.stem}
    host.run("a", *RUN)
    document.write_bytes(data)
    assert before and before <= points(host), f"{document.stem} was removed, of which the replica has another one"


def journal_of_other_schema(host: Host, running: Running) -> None:
    """Have a journal of a newer version: the run says so, or had read it before, and removes nothing."""
    journal = host.outgoing / "journal.json"
    data, before = journal.read_bytes(), points(host)
    journal.write_bytes(data.replace(b'"schema": 1', b'"schema": 99').replace(b'"schema":1', b'"schema":99'))
    running.kill(alone=False)
    running.result()
    done = host.run("a", *RUN)
    kept = points(host)
    journal.write_bytes(data)
    assert host.name in done.get("error", done).get("failed", {}), f"the run did not say that the journal is too new: {done}"
    assert before <= kept, "points were removed by a journal that could not be read"


def points(host: Host) -> set[str]:
    """Return the points that the VM's host gives."""
    return {path.name for path in host.outgoing.glob("[0-9]*")}


FAULTS: dict[str, Fault] = {
    "point run killed": program_killed,
    "libvirtd killed under point run": libvirtd_killed,
    "QEMU killed under point run": qemu_killed,
    "all of the hypervisor killed at once under point run": all_killed,
    "guest stopped under point run": guest_stopped,
    "snapshot taken and removed under point run": snapshot_taken,
    "hypervisor's disk full under point run": disk_full,
    "replica stalled under point run": replica_stalled,
    "replica lists another point under point run": replica_lies,
    "journal of a newer schema": journal_of_other_schema,
}
ENDS_THE_GUEST = (qemu_killed, all_killed, guest_stopped)


class Trials:
    """Tries on one host; ``longest`` is the highest step that a run was seen to have, of which the random ones are."""

    def __init__(self, host: Host) -> None:
        self.host, self.longest = host, 150
        assert self.next_point() == []

    def tried(self, fault: Fault, name: str) -> Outcome:
        """Do a fault at a random step."""
        host = self.host
        step = host.dice.randrange(1, self.longest)
        before, guest = host.names, host.domain().ID()
        running = host.start("a", *RUN, stop=step).until_hit()
        if not running.hit:
            self.longest = min(self.longest, step)
            running.result()
            host.run("b", *PULL)  # so that no try begins with points that the replica has not seen
            return MISSED
        wrong: list[str] = []
        try:
            fault(host, running)
        except AssertionError as error:
            wrong.append(str(error))
            running.kill(alone=False)
        early = before if fault is not replica_lies else host.names  # which pulls before it lies
        wrong += [] if host.names == early else [f"the replica lists {host.names}, and listed {before}"]
        host.reconnect()
        wrong += [] if fault in ENDS_THE_GUEST or host.domain().ID() == guest else ["the guest ended"]
        host.boot()
        wrong += self.next_point()
        wrong += [f"{one} is gone" for one in before[2 - KEEP :] if one not in host.names]  # at most two more were made
        left = [path.name for path in host.outgoing.glob(".*")]
        return said(f"{name} at step {step}, {running.hit}", (wrong != [], left != []), wrong, left)

    def next_point(self) -> list[str]:
        """Make the next point, pull it, restore it, and return what is wrong."""
        host = self.host
        try:
            host.writer.more()
            known = host.writer.acked
            done = host.run("a", *RUN)
            assert host.name in done.get("error", done).get("made", {}), f"the next run made no point: {done}"
            pulled = host.run("b", *PULL)
            made = done.get("error", done)["made"][host.name]["generation"]
            assert host.names[-1:] == [made], f"{made} was not pulled: {pulled}"
            blocks = host.restored()
            assert blocks >= known, f"the newest point has {blocks} blocks, {known} were flushed before it"
            with host.writer.held() as acked:
                live = written(host.raw(unbacked(host.home / "vms" / host.name / "root.qcow2")))
            assert live - acked in (0, 1), f"the disk has {live} blocks, {acked} were flushed"
            assert not host.writer.errors, f"the guest saw {host.writer.errors}"
            host.run("b", "point", "tidy")
        except AssertionError as error:
            host.writer.errors.clear()
            return [str(error)]
        return []

    def restoring_killed(self, every: int) -> Iterator[Outcome]:
        """Kill recovery_point before each step of making another VM, until it comes through."""
        host = self.host
        about = {"name": "again", "vm": host.uuid, "root": str(host.depot.root)}
        for step in range(host.dice.randrange(every) + 1, MOST_STEPS, every):
            running = host.start("a", stop=step, module="recovery_point", options=about).until_hit()
            if running.hit:
                program_killed(host, running)
                before = host.names
                done = host.run("a", module="recovery_point", options=about)
                wrong = [f"the next run failed: {done}"] if done.get("failed") or done["rc"] else self.same_as_newest()
                wrong += [] if host.names == before else ["the replica lists other points"]
                left = [path.name for path in (host.home / "vms").iterdir() if path.name not in (host.name, "again")]
                yield said(f"recovery_point killed at step {step}, {running.hit}", (wrong != [], left != []), wrong, left)
            else:
                done = running.result()
                assert done["rc"] == 0 and not done.get("failed"), f"recovery_point failed by itself: {done}"
            host.reconnect()
            host.own.connection.lookupByName("again").undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
            shutil.rmtree(host.home / "vms/again")
            if not running.hit:
                return
        raise AssertionError("the steps have no end")

    def same_as_newest(self) -> list[str]:
        """Return what is wrong with the disk of the VM that was made of the newest point."""
        made = written(self.host.raw(unbacked(self.host.home / "vms/again/root.qcow2")))
        wanted = self.host.restored()
        return [] if made == wanted else [f"the restored VM has {made} blocks, the point {wanted}"]


def unbacked(path: Path) -> str:
    """Return how qemu-img opens a disk without its image, which is all zeros."""
    node: dict[str, Any] = {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}, "backing": None}
    return f"json:{json.dumps(node)}"


def rows(folder: Path, dice: random.Random, release: str, *, tries: int, every: int, only: str) -> Iterator[Row]:
    """Yield a row for each kind of fault whose name has ``only`` in it."""
    wanted = {name: fault for name, fault in FAULTS.items() if only in f"{release}: {name}"}
    last = f"{release}: recovery_point killed at each step"
    if not wanted and only not in last:
        return
    with host_of(release, folder, dice) as host:
        trials = Trials(host)
        for name, fault in wanted.items():
            yield table_row(f"{release}: {name}", repeated(partial(trials.tried, fault, name), tries))
        if only in last:
            yield table_row(last, trials.restoring_killed(every))
