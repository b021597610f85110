# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points pulled from all hosts side by side: a host that is dead, slow or lying costs only itself."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from threading import Thread

from ..._cluster import Member
from ..._errors import TimedOut, message_of, print_defect
from .host_pull import Here, HostPull, Outcome

HOST_SECONDS = 300.0  # of a pull from a host, which goes on with the next one
GRACE_SECONDS = 30.0  # for what cannot be ended in the middle
AGAIN_SECONDS = 20.0


@dataclass
class _Running:
    """A pull that runs in a thread, which even the end of the program does not wait for."""

    member: Member
    until: float
    future: Future[Outcome] = field(default_factory=Future)


@dataclass(frozen=True)
class Pull:
    """A pull of all that is due; ``limit`` gets the bytes that come, of all hosts together, and waits. ``clock`` counts seconds."""

    here: Here
    limit: Callable[[int], None]
    clock: Callable[[], float]
    seconds: float = HOST_SECONDS

    def run(self, hosts: Sequence[Member]) -> Outcome:
        """Pull from all; while one is busy with its first turn, the others are asked again, so that none waits for another's."""
        self._drop_others(hosts)
        outcome, lock = Outcome(), threading.Lock()
        running = {member.name: self._start(member, lock) for member in hosts}
        first, lost = set(running), set[str]()
        while running:
            wait([one.future for one in running.values()], timeout=AGAIN_SECONDS)
            for name, one in list(running.items()):
                if one.future.done():
                    outcome.add(one.future.result())
                elif self.clock() >= one.until + GRACE_SECONDS:
                    outcome.failed[name] = f"it was not done after {self.seconds:g} s, and was left alone; the next pull goes on."
                    lost.add(name)
                else:
                    continue
                del running[name]
                first.discard(name)
            if first:
                idle = [member for member in hosts if member.name not in running and member.name not in lost]
                running |= {member.name: self._start(member, lock) for member in idle}
        return outcome

    def _start(self, member: Member, lock: threading.Lock) -> _Running:
        started = _Running(member, self.clock() + self.seconds)

        def received(count: int) -> None:
            if self.clock() >= started.until:
                raise TimedOut(f"{member.name}: {self.seconds:g} s are over; the next pull goes on.")
            if count:
                with lock:
                    self.limit(count)

        def work() -> None:
            try:
                started.future.set_result(HostPull(self.here, member, received).run())
            except Exception as error:  # noqa: BLE001 - a defect of ours must not stop the other hosts
                print_defect(error)
                started.future.set_result(Outcome(failed={member.name: message_of(error)}))

        Thread(target=work, daemon=True).start()
        return started

    def _drop_others(self, hosts: Sequence[Member]) -> None:
        """Remove what hosts that are no longer in the cluster left on its way."""
        known = {member.name for member in hosts} | {member.name for member in self.here.replicas}
        folder = self.here.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.is_dir() and not set(path.name.split("@")) <= known:
                shutil.rmtree(path, ignore_errors=True)
