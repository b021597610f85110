# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host networks``: make the virtual networks of this host, once or whenever something of them changes.

The service makes them before libvirt starts, and again when a link, an address of an underlay or a list of hosts changes: another
program did so, or what carries a network was not there yet.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._errors import EdgeError, from_os_error
from .._network.virtual import record
from .._network.virtual.iproute import Networking, Places
from .._network.virtual.names import PREFIXES, VXLAN
from .._network.virtual.reconcile import Made, make_recorded
from .._network.virtual.state import Tap
from .._network.virtual.steps import ZERO
from .._runner import SubprocessRunner

PLACES = Places()
MONITORS = (("ip", "-o", "monitor", "link", "address"), ("bridge", "monitor", "fdb"))
LINK_LINE = re.compile(r"(?:Deleted )?\d+: ([^:@\s]+)")
MASTER = re.compile(r" master (\S+)")
CURRENT = Path("/usr/lib/edge/current")
SETTLE = 1.0  # a change rarely comes alone
DHCP = ("systemctl", "--no-block", "start", "edge-dhcp.service")
TRY_AGAIN = 60.0  # after a failure that no event of the kernel may end
Options = Mapping[str, Any]


def networks(_cluster: Cluster, options: Options) -> dict[str, Any]:
    """Make the networks; with ``check`` only say what would be done, with ``watch`` do so at every change, for ever."""
    net = Networking(SubprocessRunner(), PLACES)
    if options.get("watch"):
        return _watch(net)
    made = make_recorded(net, check=bool(options.get("check")))
    if made.failed:
        raise EdgeError(_reasons(made), failed=_messages(made), actions=made.actions)
    return {"changed": bool(made.actions), "actions": made.actions}


def _messages(made: Made) -> dict[str, str]:
    return {name: error.message for name, error in made.failed.items()}


def _reasons(made: Made) -> str:
    return "These networks cannot be made now. " + " ".join(_messages(made).values())


def _watch(net: Networking) -> dict[str, Any]:
    """Watch until another library was installed; the service is then started again, with that."""
    library = CURRENT.resolve()
    with Watch(net) as watch:
        watch.turn()
        ready()
        while CURRENT.resolve() == library:
            watch.turn()
    return {"changed": False, "actions": []}


def relevant(line: str, names: frozenset[str]) -> bool:
    """Return whether a line of ip's or bridge's monitor may be about a network; ``names`` are links that have no prefix of ours."""
    found = LINK_LINE.match(line)
    if found:
        master = MASTER.search(line)
        return any(name.startswith(PREFIXES) or name in names for name in (found[1], *(master.groups() if master else ())))
    return ZERO in line and (VXLAN in line or any(f"dev {name} " in line for name in names))


def ready() -> None:
    """Tell systemd that the networks are made; what waits for that may start."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(b"READY=1")


@dataclass
class Watch:
    """Makes the networks at once and after each change that may be about them."""

    net: Networking
    taps: dict[str, Tap] = field(default_factory=dict)
    deadline: float | None = 0.0  # of the next run that nothing calls for
    _told: frozenset[str] = frozenset()
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)

    def __enter__(self) -> Watch:
        for argv in MONITORS:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self._stack.callback(child.wait)
            self._stack.callback(child.kill)
            if child.stdout is not None:  # it is a pipe
                os.set_blocking(child.stdout.fileno(), False)
                self._selector.register(child.stdout, selectors.EVENT_READ, [argv[0], b""])
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()
        self._selector.close()

    def turn(self) -> list[str]:
        """Wait until something calls for a run, do it and return what was done."""
        while self.deadline is None or time.monotonic() < self.deadline:
            left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
            lines = list(self._lines(left))
            names = self._names() if lines else frozenset()
            if any(relevant(line, names) for line in lines):
                time.sleep(SETTLE)
                list(self._lines(0))
                break
        try:
            made = make_recorded(self.net, self.taps, check=False)
        except (EdgeError, OSError) as caught:
            error = from_os_error(caught) if isinstance(caught, OSError) else caught
            made = Made([], {"": error}, {})
        gone = {tap for tap in self.taps if tap not in made.taps} if not made.failed else set()
        self.taps = {**{tap: name for tap, name in self.taps.items() if tap not in gone}, **made.taps}
        self._tell([*made.actions, *_messages(made).values()], frozenset(_messages(made).values()))
        self.deadline = time.monotonic() + TRY_AGAIN if made.failed else None
        if made.actions:
            self._attach_dhcp()
        return made.actions

    def _attach_dhcp(self) -> None:
        """Let the DHCP services come back to a bridge that was made again; at boot, and without any, this does nothing."""
        with contextlib.suppress(EdgeError, OSError):  # a host without systemd has none
            self.net.runner.run(DHCP, check=False, timeout=TRY_AGAIN)

    def _names(self) -> frozenset[str]:
        """Return the links without our prefix that matter: what carries networks, links alone, and ports of VMs."""
        with contextlib.suppress(EdgeError, OSError):
            return frozenset(self.taps) | {
                str(one[key])
                for one in record.read(self.net.places.record).values()
                for key in ("underlay", "bridge", *(("name",) if one.get("bare") else ()))
                if key in one
            }
        return frozenset(self.taps)

    def _lines(self, seconds: float | None) -> Iterator[str]:
        """Yield the lines that the monitors printed, waiting for the first one as long as ``seconds``."""
        for key, _events in self._selector.select(seconds):
            name, rest = key.data
            data = os.read(key.fd, 1 << 16)
            if not data:
                raise EdgeError(f"{name} monitor ended; the service is started again.")
            *whole, key.data[1] = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)

    def _tell(self, lines: Sequence[str], failures: frozenset[str]) -> None:
        """Write to the journal what was done, and each failure once."""
        for line in lines:
            if line not in self._told:
                sys.stderr.write(f"{line}\n")
        self._told = failures
