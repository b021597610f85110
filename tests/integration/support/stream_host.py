# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host whose VMs stream to a disk: proves after each change of them that nothing was lost."""

from __future__ import annotations

from typing import Any

from support import stream_guest
from support.vm_host import MACHINE, VmHost


class StreamHost(VmHost):
    """One lab host with guests that stream."""

    def guest(
        self, name: str, *, disks: int | list[dict[str, Any]] = 1, agent: str | None = None, ok: bool = True, **options: Any
    ) -> dict[str, Any]:
        """Have a VM that streams to its first disk ``data`` (vda); further disks are ``more1`` and so on, or say them."""
        if isinstance(disks, int):
            disks = [{"name": name, "size": "64MiB"} for name in ("data", *(f"more{number}" for number in range(1, disks)))]
        return self.module(
            "domain",
            ok=ok,
            **{
                "name": name,
                **MACHINE,
                "cmdline": stream_guest.cmdline("vda", agent),
                "disks": disks,
                "guest_agent": agent is not None,
                "timeout": 300,
                **options,
            },
        )

    def snapshot(self, name: str, snapshot: str, *, ok: bool = True, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run domain_snapshot."""
        return self.module("domain_snapshot", ok=ok, check=check, name=name, snapshot=snapshot, **options)

    def acked(self, name: str) -> int:
        """Return the last block that the guest knows to be on its disk."""
        return stream_guest.acked(self.console(name))

    def wait_more(self, name: str, more: int = 5) -> int:
        """Wait until the guest has written more blocks; return the last."""
        begun = self.acked(name)
        return stream_guest.acked(
            stream_guest.wait_for(
                lambda: self.console(name), lambda answer: stream_guest.acked(answer) >= begun + more, f"{more} more blocks"
            )
        )

    def written(self, name: str, path: str | None = None) -> int:
        """Return the blocks of the stream in a file (the active one), the guest held still meanwhile; raise on damage."""
        running = self.state(name) == "running"
        if running:
            self.run("virsh", "suspend", name)
        try:
            return stream_guest.written(self.run, path or self.active(name))
        finally:
            if running:
                self.run("virsh", "resume", name)

    def verify(self, name: str) -> int:
        """Prove that every block that the guest has written is there; return their number."""
        known = self.acked(name)
        found = self.written(name)
        assert found > known, f"{name}: the guest wrote {known} blocks, the disk has {found}"
        return found
