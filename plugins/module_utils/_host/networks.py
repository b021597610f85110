# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host networks``: make the virtual networks of this host, once or whenever something of them changes.

The service makes them before libvirt starts, and again when a link, an address of an underlay or a list of hosts changes: another
program did so, or what carries a network was not there yet. It also puts the filters of DHCP services and of public addresses back,
which no event of these tells of.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._errors import EdgeError, from_os_error
from .._network.dhcp.filtering import TABLE
from .._network.dhcp.guard import restore_filter
from .._network.dhcp.host import Services
from .._network.dhcp.names import link_of
from .._network.dhcp.places import Places as DhcpPlaces
from .._network.virtual import record
from .._network.virtual.iproute import Networking, Places
from .._network.virtual.names import PREFIXES, VXLAN
from .._network.virtual.reconcile import Made, make_recorded
from .._network.virtual.state import Tap
from .._network.virtual.steps import ZERO
from .._runner import SubprocessRunner
from .._shown import few
from .journal import log
from .monitors import Monitors
from .public import PublicAddresses

PLACES = Places()
DHCP_PLACES = DhcpPlaces()
MONITORS = (("ip", "-o", "monitor", "link", "address"), ("bridge", "monitor", "fdb"))
LINK_LINE = re.compile(r"(?:Deleted )?\d+: ([^:@\s]+)")
IN_USE = re.compile(r"\d+: \S+: <(?:\S+,)?UP[,>].* master ")
MASTER = re.compile(r" master (\S+)")
CURRENT = Path("/usr/lib/edge/current")
SETTLE = 1.0  # a change rarely comes alone
DHCP = ("systemctl", "--no-block", "start", "edge-dhcp.service")
TRY_AGAIN = 60.0  # after a failure that no event of the kernel may end
MISSED = 10.0  # between two runs that only dropped events call for: a guest can have the kernel drop some at any time
FILTER = 5.0  # between two looks at the filters of DHCP services and of public addresses
Options = Mapping[str, Any]


def networks(_cluster: Cluster, options: Options) -> dict[str, Any]:
    """Make the networks; with ``check`` only say what would be done, with ``watch`` do so at every change, for ever."""
    net = Networking(SubprocessRunner(), PLACES)
    if options.get("watch"):
        return _watch(net)
    check = bool(options.get("check"))
    made = _and_addresses(make_recorded(net, check=check), PublicAddresses(net.runner), check=check)
    if made.failed:
        raise EdgeError(_reasons(made), failed=_messages(made), actions=made.actions)
    return {"changed": bool(made.actions), "actions": made.actions}


def _and_addresses(made: Made, public: PublicAddresses, *, check: bool) -> Made:
    """Make the public addresses of VMs, which lead to the networks; return both as one."""
    actions, failed = public.make(check=check)
    return Made([*made.actions, *actions], {**made.failed, **failed}, made.taps)


def _messages(made: Made) -> dict[str, str]:
    return {name: error.message for name, error in made.failed.items()}


def _reasons(made: Made) -> str:
    return "Not all networks and public addresses can be made now. " + " ".join(_messages(made).values())


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
    public: PublicAddresses = field(init=False)
    monitors: Monitors = field(default_factory=lambda: Monitors(MONITORS))
    _filter_at: float | None = None
    _missed_at: float = 0.0  # from when on dropped events call for a run at once
    _told: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.public = PublicAddresses(self.net.runner)

    def __enter__(self) -> Watch:
        self.monitors.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.monitors.__exit__(*error)

    def turn(self) -> list[str]:
        """Wait until something calls for a run, do it and return what was done."""
        while self.deadline is None or time.monotonic() < self.deadline:
            if self._look_at_filters():
                break
            if self._called():
                time.sleep(SETTLE)
                list(self.monitors.lines(0))
                break
        try:
            made = _and_addresses(make_recorded(self.net, self.taps, check=False), self.public, check=False)
        except (EdgeError, OSError) as caught:
            error = from_os_error(caught) if isinstance(caught, OSError) else caught
            made = Made([], {"": error}, {})
        gone = {tap for tap in self.taps if tap not in made.taps} if not made.failed else set()
        self.taps = {**{tap: name for tap, name in self.taps.items() if tap not in gone}, **made.taps}
        self._tell("networks", made.actions, _messages(made).values())
        # No event tells that another program took a route, a neighbour or a proxy of public addresses away.
        self.deadline = time.monotonic() + TRY_AGAIN if made.failed or self.public.links else None
        if made.actions:
            self._attach_dhcp()
        return made.actions

    def _called(self) -> bool:
        """Wait for changes until the next look at anything else, and return whether one calls for a run."""
        until = min(moment for moment in (self._filter_at, self.deadline) if moment is not None)
        lines = list(self.monitors.lines(max(0.0, until - time.monotonic())))
        missed = [line.text for line in lines if line.complaint]
        if missed and (now := time.monotonic()) < self._missed_at:
            missed, self.deadline = [], min(self._missed_at, self.deadline or self._missed_at)
        elif missed:
            self._missed_at = now + MISSED
            self._tell("monitors", [f"{missed[-1]}. Changes may have been missed: all networks are looked at."])
        if self._lost_ports(line.text for line in lines):
            time.sleep(SETTLE)
            self._attach_dhcp()
        names = self._names() if lines else frozenset()
        return bool(missed) or any(relevant(line.text, names) for line in lines)

    def _lost_ports(self, lines: Iterable[str]) -> bool:
        """Return whether the port of a DHCP service was removed, set down or taken off its bridge."""
        lost = {found[1] for line in lines if (found := LINK_LINE.match(line)) and not IN_USE.match(line)}
        return bool(lost & {link_of(name) for name in self._services.names()}) if lost else False

    @property
    def _services(self) -> Services:
        return Services(self.net.runner, DHCP_PLACES)

    def _look_at_filters(self) -> bool:
        """Put the filter of DHCP services back if it is time to look for it and another program took it away.

        Return whether public addresses have another filter or record than before, which calls for a run.
        """
        first = self._filter_at is None
        if self._filter_at is not None and time.monotonic() < self._filter_at:
            return False
        try:
            names = restore_filter(self._services)
        except (EdgeError, OSError) as caught:
            error = from_os_error(caught) if isinstance(caught, OSError) else caught
            self._tell("filter", [], [f"The filter of the DHCP services cannot be seen to. {error.message}"])
        else:
            said = f"Put the nftables table {TABLE} in force for {few(names)}."
            self._tell("filter", [said if first else f"Another program removed or changed it. {said}"] if names else [])
        self._filter_at = time.monotonic() + FILTER
        try:
            return self.public.changed()
        except (EdgeError, OSError):  # a run says why
            return True

    def _attach_dhcp(self) -> None:
        """Let the DHCP services come back to a bridge that was made again; at boot, and without any, this does nothing."""
        with contextlib.suppress(EdgeError, OSError):  # a host without systemd has none
            self.net.runner.run(DHCP, check=False, timeout=TRY_AGAIN)

    def _names(self) -> frozenset[str]:
        """Return the links without our prefix that matter: what carries networks, links alone, and ports of VMs."""
        known = frozenset(self.taps) | self.public.links
        with contextlib.suppress(EdgeError, OSError):
            return known | {
                str(one[key])
                for one in record.read(self.net.places.record).values()
                for key in ("underlay", "bridge", *(("name",) if one.get("bare") else ()))
                if key in one
            }
        return known

    def _tell(self, about: str, done: Iterable[str], failures: Iterable[str] = ()) -> None:
        """Write to the journal what was done, and each failure ``about`` something once until it is over."""
        failed = frozenset(failures)
        for line in (*done, *sorted(failed - self._told.get(about, frozenset()))):
            log(line)
        self._told[about] = failed
