# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One live migration by libvirt, from host to host: started, watched, reported, and aborted when its time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._errors import EdgeError, InvalidInput, TimedOut, Unsupported
from ..._libvirt import intent, libvirt
from ..._sizes import MIB
from .destination import Address
from .source import job_operation, post_copy_of

LOOK_AGAIN = 0.5
RESUME_AGAIN = 2.0
FIRST_PASS = 2


@dataclass(frozen=True)
class MigrationOptions:
    """How memory and disks travel; ``bandwidth`` in bytes a second, ``timeout`` in seconds."""

    timeout: float = 3600
    bandwidth: int | None = None
    auto_converge: bool = False
    post_copy: bool = False
    compressed: bool = False

    def __post_init__(self) -> None:
        """Refuse what libvirt cannot express."""
        if self.bandwidth is not None and self.bandwidth < MIB:
            raise InvalidInput(
                "bandwidth: libvirt counts in MiB a second; give at least 1MiB.", option="bandwidth", value=self.bandwidth
            )

    def flags(self) -> int:
        """Return libvirt's flags: encrypted, from host to host, with what the disks have beyond their backing files."""
        flags = libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PERSIST_DEST
        flags |= libvirt.VIR_MIGRATE_TLS | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE if self.auto_converge else 0
        flags |= libvirt.VIR_MIGRATE_POSTCOPY if self.post_copy else 0
        flags |= libvirt.VIR_MIGRATE_COMPRESSED if self.compressed else 0
        return int(flags)

    def parameters(self, address: Address, targets: Sequence[str]) -> dict[str, Any]:
        """Return libvirt's typed parameters."""
        found: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_URI: address.migration_uri}
        if targets:
            found[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(targets)
        if self.bandwidth:
            found[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = self.bandwidth // MIB
        if self.bandwidth and self.post_copy:
            found[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = self.bandwidth // MIB
        if self.compressed:
            found[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = "xbzrle"
        return found


@dataclass
class Job:
    """Watches the migration of one domain; ``on_progress`` is called with done and total bytes.

    ``before_switch`` is called before the guest goes on at the destination with its memory here (post-copy).
    """

    domain: Any
    options: MigrationOptions
    on_progress: Callable[[int, int], None]
    before_switch: Callable[[], None] = lambda: None
    seen: dict[str, int] = field(default_factory=dict)
    _error: Any = None
    _post_copy: bool = False

    def run(self, address: Address, targets: Sequence[str]) -> None:
        """Migrate and return when libvirt reports the end; raise TimedOut, with how far it came, when the time is up."""
        flags = self.options.flags() | (libvirt.VIR_MIGRATE_NON_SHARED_INC if targets else 0)
        late = self._start(address, self.options.parameters(address, targets), flags)
        if late:
            raise self._timed_out(address.host)
        if self._error is not None:
            self._check_post_copy(address.host)
            with intent(f"migrate domain {self.domain.name()} to {address.host}"):
                raise self._error

    def _start(self, address: Address, parameters: Mapping[str, Any], flags: int) -> bool:
        """Migrate and watch; the error is left in ``_error``. Return whether it was aborted because its time was up."""
        self._error = None
        thread = threading.Thread(target=self._migrate, args=(address.uri, parameters, flags), name="migration", daemon=True)
        thread.start()
        return self._watch(thread)

    def resume(self, address: Address) -> None:
        """Send the memory that a post-copy which broke off did not send; raise what libvirt says when the time is up.

        It is tried again until then: the other end may notice late that the connection broke, and cannot go on before.
        """
        deadline = time.monotonic() + self.options.timeout
        flags = self.options.flags() | libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_POSTCOPY_RESUME
        self._post_copy = True
        while True:
            self._start(address, self.options.parameters(address, ()), flags)
            at = self._state()
            if self._error is None or at[0] == libvirt.VIR_DOMAIN_SHUTOFF:  # QEMU went on by itself, and ended
                return
            if post_copy_of(*at) is None or time.monotonic() > deadline:
                with intent(f"resume the post-copy migration of domain {self.domain.name()} to {address.host}"):
                    raise self._error
            time.sleep(RESUME_AGAIN)

    def _state(self) -> tuple[int, int]:
        with intent(f"read the state of domain {self.domain.name()}"):
            state, reason = self.domain.state()
        return state, reason

    def _check_post_copy(self, host: str) -> None:
        """Raise Unsupported where the kernel of the destination does not let QEMU have what post-copy needs."""
        reason = str(self._error.get_error_message())
        if self.options.post_copy and not self._post_copy and "ostcopy" in reason:
            raise Unsupported(
                f"post_copy: {host} refuses it: {reason}. Let QEMU's user have userfaultfd there (sysctl "
                "vm.unprivileged_userfaultfd=1), or leave post_copy out.",
                option="post_copy",
                value=True,
            )

    def _migrate(self, uri: str, parameters: Mapping[str, Any], flags: int) -> None:
        try:
            self.domain.migrateToURI3(uri, parameters, flags)
        except libvirt.libvirtError as error:
            self._error = error

    def _watch(self, thread: threading.Thread) -> bool:
        """Look at the job until it ends; abort it when the time is up; return whether it was aborted."""
        deadline = time.monotonic() + self.options.timeout
        late = False
        while thread.is_alive():
            thread.join(LOOK_AGAIN)
            self._look()
            if time.monotonic() > deadline and not late and not self._post_copy:
                late = self._abort()
        return late and self._error is not None

    def wait(self) -> None:
        """Wait for a migration that an earlier run began; its end is seen in the domains, not here."""
        deadline = time.monotonic() + self.options.timeout
        while self._look() and post_copy_of(*self._state()) != "failed":
            if time.monotonic() > deadline:
                if self._abort():
                    raise self._timed_out("the destination")
                raise TimedOut(
                    f"timeout: the migration of domain {self.domain.name()} has not ended within {self.options.timeout:g} s and "
                    "cannot be aborted any more, since the guest runs on the destination; run this again.",
                    option="timeout",
                    progress=dict(self.seen),
                    seconds=self.options.timeout,
                )
            time.sleep(LOOK_AGAIN)

    def _look(self) -> bool:
        """Note how far the job is; return whether it still runs."""
        try:
            stats = self.domain.jobStats()
            if job_operation(self.domain) is None:
                return False
        except libvirt.libvirtError:  # it has just ended
            return False
        for key in ("memory_total", "memory_processed", "disk_total", "disk_processed", "memory_iteration"):
            self.seen[key] = max(self.seen.get(key, 0), int(stats.get(key, 0)))
        done = int(stats.get("data_total", 0)) - int(stats.get("data_remaining", 0))
        self.on_progress(max(0, done), max(1, int(stats.get("data_total", 0))))
        if self.options.post_copy and not self._post_copy and stats.get("memory_iteration", 0) >= FIRST_PASS:
            self._switch()
        return True

    def _switch(self) -> None:
        """Let the guest run on the destination at once and fetch what is left of its memory; there is no way back from here."""
        try:
            self.before_switch()
            self.domain.migrateStartPostCopy(0)
        except OSError:  # without a note that is durable the guest stays here until all of its memory is there
            return
        except libvirt.libvirtError:  # the last pass is done already
            return
        self._post_copy = True

    def _abort(self) -> bool:
        try:
            self.domain.abortJob()
        except libvirt.libvirtError:  # too late: it is switching over
            return False
        return True

    def _timed_out(self, host: str) -> EdgeError:
        return TimedOut(
            f"timeout: the migration of domain {self.domain.name()} to {host} was aborted after {self.options.timeout:g} s; the "
            "domain runs on here. Give it more time or bandwidth, or auto_converge.",
            option="timeout",
            progress=dict(self.seen),
            seconds=self.options.timeout,
        )

    def statistics(self) -> dict[str, Any]:
        """Return what libvirt counted: bytes of memory, bytes of disks, downtime in seconds, passes over the memory."""
        try:
            done = self.domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        except libvirt.libvirtError:
            done = {}
        return {
            "memory_bytes": int(done.get("memory_processed", self.seen.get("memory_processed", 0))),
            "disk_bytes": max(int(done.get("disk_processed", 0)), self.seen.get("disk_processed", 0)),
            "downtime": done["downtime"] / 1000 if "downtime" in done else None,
            "post_copy": self._post_copy,
            "iterations": int(done.get("memory_iteration", self.seen.get("memory_iteration", 0))),
        }
