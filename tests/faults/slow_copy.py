# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a hypervisor: has the block copies of edge-arrive be slow, so that a fault hits them on any machine.

With ``arrive …`` it is edge-host, and limits each copy that it begins. With ``fault DOMAIN SHARE SECONDS SLOW COMMAND…`` it waits
for such a copy, removes the file SLOW of the unit, so that the next start of edge-arrive is as ever, raises the limit, waits until
that share of the copy is done, runs the command, and ends the limit. In the end it prints ``in the copy`` if the copy ran until the
command.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import libvirt

WAITING = 2**18  # bytes a second, until this program sees the copy
MIB_A_SECOND = 8  # from then until the fault
plain = libvirt.virDomain.blockCopy


def begin_slowly(domain: Any, target: str, xml: str, params: dict[str, Any], flags: int) -> Any:
    """Stand for virDomain.blockCopy."""
    return plain(domain, target, xml, {**params, libvirt.VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: WAITING}, flags)


def done_share(name: str, change: Callable[[Any], object] = bool) -> float | None:
    """Return which share of a domain's copy is done, None without a copy; ``change`` is called with the domain that has one."""
    with closing(libvirt.open("qemu:///system")) as connection:
        domain = connection.lookupByName(name)
        found = domain.blockJobInfo("vda")
        if not found or found["type"] != libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY:
            return None
        change(domain)
        return float(found["cur"] / found["end"]) if found["end"] else 0.0


def go_on(name: str) -> bool:
    """End the limit of the copy, if it still runs; return False to be called again."""
    with suppress(libvirt.libvirtError):  # libvirtd begins again, or the copy has just ended
        done_share(name, lambda domain: domain.blockJobSetSpeed("vda", 0))
        return True
    return False


def until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait; end this program when the time is up."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            sys.exit(what)
        time.sleep(0.05)


def fault(name: str, share: float, seconds: float, slow: Path, command: list[str]) -> None:
    """Run a command in the middle of the copy."""
    until(lambda: done_share(name) is not None, seconds, "the copy did not begin")
    slow.unlink()
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    done_share(name, lambda domain: domain.blockJobSetSpeed("vda", MIB_A_SECOND))
    until(lambda: (now := done_share(name)) is None or now >= share, seconds, "the copy does not go on")
    now = done_share(name)
    subprocess.run(command, check=True)
    until(lambda: go_on(name), seconds, "the copy stays slow")
    if now is not None and now < 1:
        print("in the copy")


def main() -> None:
    if sys.argv[1] == "arrive":
        libvirt.virDomain.blockCopy = begin_slowly
        runpy.run_path("/usr/sbin/edge-host", run_name="__main__")
    else:
        libvirt.registerErrorHandler(lambda *_about: None, None)
        name, share, seconds, slow, *command = sys.argv[2:]
        fault(name, float(share), float(seconds), Path(slow), command)


if __name__ == "__main__":
    main()
