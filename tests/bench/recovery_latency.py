# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(b) How long a guest waits for its writes while recovery points of it are being made, against the time between them.

The guest writes blocks of 4 KiB to one disk, one after another, and flushes it after each 64. Of its other disk 1 % changed, all
over it, since the last point, so that each point has much to copy. QEMU counts what each request of the guest takes. Both sides
run by turns. What a user sees of it is a whole interval, with one point: it is computed from both, by their seconds.
"""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import libvirt_qemu
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from recovery_points import GIB, RELEASE, Vm, vm_of
from report import Goal, Row, row
from support import small_guest
from support.own_libvirt import own_libvirt

BOUNDS = [int(10_000 * 1.05**step) for step in range(280)]  # ns, from 10 µs to 8 s
WAITS = Goal(bound=1.2)
INTERVAL = RecoveryPolicy().interval
WRITER = "while :; do dd if=/dev/zero of=/dev/vdb bs=4096 count=64 oflag=direct conv=fsync,notrunc 2>/dev/null; done"
INIT = small_guest.INIT.replace("echo GUEST-READY", f"{WRITER} &\necho GUEST-READY")
KINDS = {"write": "wr", "flush": "flush"}


def latency(size: int, rounds: int) -> Iterator[Row]:
    """Give the rows of (b), of a disk of ``size`` GiB; a round has one point, and as many writes without one."""
    with own_libvirt(RELEASE) as host:
        kernel, initrd = small_guest.small_guest()
        own = initrd.read_bytes() + gzip.compress(small_guest.cpio({"init": INIT.encode()}, ()), mtime=0)
        (host.folder / "initrd.gz").write_bytes(own)
        shutil.copy(kernel, host.folder / "vmlinuz")
        guest = {"kernel": str(host.folder / "vmlinuz"), "initrd": str(host.folder / "initrd.gz"), "cmdline": small_guest.CMDLINE}
        with vm_of(host, size * GIB, **guest) as vm:
            yield from _rows(vm, size, rounds)


def _rows(vm: Vm, size: int, rounds: int) -> Iterator[Row]:
    during, between = Seen(), Seen()
    _wait(vm, 1)
    for _round in range(rounds):
        vm.change(scattered=True)
        _reset(vm)
        during.add(vm, lambda: shutil.rmtree(vm.point()))
        _reset(vm)
        between.add(vm, lambda: _wait(vm, during.total("write") - between.total("write")))
    whole = during.beside(between, INTERVAL * rounds)
    for kind in KINDS:
        for what, seen in ((f"during points of {size} GiB", during), (f"in {INTERVAL} s with a point of {size} GiB", whole)):
            case = f"(b) {kind} of a guest {what}, 1 % changed in 4 KiB pieces"
            ours, other = (_p99(one.bins, kind) for one in (seen, between))
            yield row(case, "p99", "s", ours, other, other_name="between points", goal=WAITS, runs=during.total(kind))


@dataclass
class Seen:
    """How many requests of each kind were in each bin, within so many seconds."""

    bins: dict[tuple[str, int], float] = field(default_factory=dict)
    seconds: float = 0

    def add(self, vm: Vm, work: Callable[[], object]) -> None:
        """Add what the guest asks while ``work`` goes on, since the last reset."""
        begun = time.monotonic()
        work()
        for key, number in _seen(vm).items():
            self.bins[key] = self.bins.get(key, 0) + number
        self.seconds += time.monotonic() - begun

    def total(self, kind: str) -> int:
        return int(sum(number for (one, _bin), number in self.bins.items() if one == kind))

    def beside(self, rest: Seen, seconds: float) -> Seen:
        """Return what it would be in so many seconds that are like ``rest`` but for these."""
        share = (seconds - self.seconds) / rest.seconds
        keys = {*self.bins, *rest.bins}
        return Seen({key: self.bins.get(key, 0) + share * rest.bins.get(key, 0) for key in keys}, seconds)


def _p99(seen: Mapping[tuple[str, int], float], kind: str) -> float:
    """Return the seconds within which 99 of 100 requests were served."""
    rows = sorted((place, number) for (one, place), number in seen.items() if one == kind)
    rest = sum(number for _place, number in rows) / 100
    for place, number in reversed(rows):
        rest -= number
        if rest < 0:
            return BOUNDS[min(place, len(BOUNDS) - 1)] / 1e9
    raise AssertionError(f"the guest made no {kind} requests")


def _wait(vm: Vm, writes: int) -> Counter[tuple[str, int]]:
    """Return what QEMU counted once the guest has written so often."""
    deadline = time.monotonic() + 600
    if writes == 1:
        _reset(vm)
    while True:
        seen = _seen(vm)
        if sum(number for (kind, _bin), number in seen.items() if kind == "write") >= writes:
            return seen
        assert time.monotonic() < deadline, f"the guest did not write {writes} blocks in 10 minutes"
        time.sleep(0.2)


def _reset(vm: Vm) -> None:
    _ask(vm, "block-latency-histogram-set", id=vm.device("vdb"), boundaries=BOUNDS)


def _seen(vm: Vm) -> Counter[tuple[str, int]]:
    """Return how many requests of each kind were in each bin since the last reset."""
    device = next(one for one in _ask(vm, "query-blockstats") if one.get("qdev") == vm.device("vdb"))
    found = Counter[tuple[str, int]]()
    for kind, name in KINDS.items():
        for place, number in enumerate(device["stats"].get(f"{name}_latency_histogram", {}).get("bins", [])):
            found[kind, place] += number
    return found


def _ask(vm: Vm, command: str, **arguments: Any) -> Any:
    text = json.dumps({"execute": command, "arguments": arguments})
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(vm.domain, text, 0))
    assert "return" in answer, answer
    return answer["return"]
