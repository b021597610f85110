# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the uplink of this host to the requested state: observe, plan, put on trial; and confirm what is on trial."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Protocol

from ..._errors import Conflict, NotFound, Refused, Unsupported
from ..._plan import Plan, Step
from ..._runner import Runner
from ..boot.managers import Managers
from ..link.addressing import link_name
from ..link.cloud import DMI, SAID, without_layer_2
from ..link.iproute import IpRoute
from ..link.model import Host
from .gateway import answers
from .ifupdown import Ifupdown
from .live import Carried, carried, check_port, check_removal, refuse_cloud
from .model import Move, Parts, UplinkRequest, UplinkState
from .netplan import Netplan
from .networkd import Networkd
from .trial import Trial


class Manager(Protocol):
    """A network manager whose files can have the bridge."""

    @property
    def name(self) -> str:
        """Its name."""

    def owns(self, link: str) -> bool:
        """Return whether it configures ``link``."""

    def made(self, bridge: str) -> str | None:
        """Return the port of the bridge that we wrote, or None."""

    def boot(self, bridge: str) -> dict[str, str]:
        """Return our boot files of ``bridge``."""

    def present(self, host: Host, held: Carried, /) -> Parts:
        """Return what makes the bridge."""

    def absent(self, host: Host, held: Carried, /) -> Parts:
        """Return what takes it away."""


class Uplink:
    """The uplink ``name`` of this host."""

    def __init__(self, runner: Runner, root: Path = Path("/")) -> None:
        self._runner, self._ip, self._trial = runner, IpRoute(runner), Trial(runner)
        self._root = root
        self._look()

    def _look(self) -> None:
        """Read the files of the network managers."""
        self._asked = Managers(self._runner, self._root / "etc/network/interfaces")
        of_systemd = Netplan(self._asked, self._root), Networkd(self._asked, self._root)
        self._managers: tuple[Manager, ...] = (*of_systemd, Ifupdown(self._root))

    def run(self, wanted: UplinkRequest, *, check: bool, fresh: bool = True) -> tuple[Plan[UplinkState], str | None]:
        """Return the plan and, where it was put on trial, the token that confirms it."""
        with contextlib.nullcontext() if check else self._trial.alone():
            return self._run(wanted, check=check, fresh=fresh)

    def _run(self, wanted: UplinkRequest, *, check: bool, fresh: bool) -> tuple[Plan[UplinkState], str | None]:
        if not check:
            self._trial.refuse_open()
            self._look()  # an earlier run may have written them just now
        host = self._ip.observe()
        manager = next((found for found in self._managers if found.made(wanted.name)), None)
        made, parts, held = self._plan(host, wanted, manager)
        if made.changed and not wanted.allow_disruption:
            raise Refused(
                f"name: {'; '.join(made.actions)}: this moves what the host is reached by. Set allow_disruption to have it tried,"
                f" and undone after {wanted.rollback_after} s unless a fresh connection confirms it.",
                option="name",
                actions=made.actions,
            )
        if check or not made.changed:
            return made, None
        if not fresh:
            raise Unsupported(
                "name: a change of the uplink has to be confirmed over a fresh connection, and connection=local has none; run"
                " this from another host.",
                option="name",
            )
        move = next((step for step in made.steps if isinstance(step, Move)), None)
        if move is None:
            move = Move(wanted.name, held.port if held else "", "", None, (), wanted.present)
        holder = (wanted.name if wanted.name in host.links else held.port) if held else ""
        gateways = tuple(gw for gw in (held.gateways if held else ()) if answers(self._runner, gw, holder))
        return made, self._trial.prepare(move, parts, gateways, wanted.rollback_after)

    def _plan(self, host: Host, wanted: UplinkRequest, manager: Manager | None) -> tuple[Plan[UplinkState], Parts, Carried | None]:
        before = self.observe(host, wanted.name, manager)
        if not wanted.present:
            return self._removal(host, wanted, manager, before)
        port = self._port(host, wanted, before)
        if manager and before.port == port:
            return Plan(before), Parts(()), None
        check_port(host, wanted.name, port, begun=any(found.boot(wanted.name) for found in self._managers))
        refuse_cloud(host, port, without_layer_2(*(self._root / path.relative_to("/") for path in (DMI, SAID))))
        chosen = manager or self._owner(port)
        held = carried(host, wanted.name, port, port)
        parts = chosen.present(host, held)
        steps: list[Step[UplinkState]] = [Move(wanted.name, port, chosen.name, held.mac, held.expected, present=True)]
        return Plan(before, (*steps, *parts.boot)), parts, held

    def _removal(
        self, host: Host, wanted: UplinkRequest, manager: Manager | None, before: UplinkState
    ) -> tuple[Plan[UplinkState], Parts, Carried | None]:
        if manager is None:
            if wanted.name in host.links:
                raise Conflict(
                    f"name: {wanted.name} exists, but edge.cloud.uplink did not make it; remove it by what made it.", option="name"
                )
            return Plan(before), Parts(()), None
        port = before.port or manager.made(wanted.name) or ""
        if port not in host.links:
            raise NotFound(f"state: the port {port} of {wanted.name} is not there; take the bridge out by hand.", option="state")
        check_removal(host, wanted.name, port)
        held = carried(host, wanted.name, port, wanted.name if wanted.name in host.links else port)
        parts = manager.absent(host, held)
        steps: list[Step[UplinkState]] = [Move(wanted.name, port, manager.name, held.mac, held.expected, present=False)]
        return Plan(before, (*steps[: len(parts.forward)], *parts.boot)), parts, held

    def observe(self, host: Host, name: str, manager: Manager | None) -> UplinkState:
        """Return the bridge ``name`` as it is; without a manager of which we wrote the files it does not count as one of ours."""
        boot = tuple(sorted(manager.boot(name).items())) if manager else ()
        link = host.links.get(name)
        ports = [port for port in host.ports(name) if not host.links[port].of_vm]
        if manager is None or link is None or not ports:
            return UplinkState(name, boot=boot)
        named = manager.made(name)
        port = named if named in ports else ports[0]
        held = carried(host, name, port, name)
        return UplinkState(name, port, manager.name, link.mac, held.expected, boot)

    def _port(self, host: Host, wanted: UplinkRequest, before: UplinkState) -> str:
        if wanted.port or before.port:
            return wanted.port or before.port or ""
        over = sorted({(route.version, route.dev) for route in host.routes if route.is_default})
        if not over:
            raise NotFound("port: this host has no default route; name the link that is to become the port.", option="port")
        return link_name(over[0][1], "port")  # it gets into programs of sh

    def _owner(self, port: str) -> Manager:
        """Return the one manager that configures ``port``, or raise an error that says why none is of use."""
        if Path(f"/sys/class/net/{port}/phy80211").exists():
            raise Unsupported(f"port: {port} is wireless; an access point takes frames of its own card only.", option="port")
        if state := self._asked.network_manager().get(port):
            raise Unsupported(
                f"port: NetworkManager configures {port} ({state}), which edge.cloud.uplink does not drive: it would take the card"
                " back. Have the bridge in connections of it (nmcli), or the card in ifupdown, systemd-networkd or netplan.",
                option="port",
                port=port,
            )
        found = [manager for manager in self._managers if manager.owns(port)]
        if found and found[0].name == "netplan":  # its files are networkd's, too
            found = [manager for manager in found if manager.name != "networkd"]
        if not found:
            raise Unsupported(
                f"port: neither ifupdown, systemd-networkd nor netplan configures {port}, so that the bridge would be gone after a"
                " reboot; use edge.cloud.bridge, or have one of them configure the card first.",
                option="port",
            )
        if len(found) > 1:
            names = " and ".join(manager.name for manager in found)
            raise Conflict(f"port: {names} both configure {port}; leave it to one of them first.", option="port")
        return found[0]

    def confirm(self, token: str) -> UplinkState:
        """Confirm the change ``token`` and return the uplink as it is now."""
        with self._trial.alone():
            found = self._trial.confirm(token, self._missing)
        host = self._ip.observe()
        self._look()
        manager = next((one for one in self._managers if one.made(found["name"])), None)
        return self.observe(host, found["name"], manager)

    def _missing(self, found: dict[str, Any]) -> str:
        """Return what a change on trial still lacks, nothing if it is whole."""
        host = Host(self._ip.links())
        port, name = host.links.get(found["port"]), found["name"]
        holder = name if found["present"] else found["port"]
        if port is None or (port.master == name) is not found["present"]:
            return f"{found['port']} is {'not a port of' if found['present'] else 'still a port of'} {name}"
        has = {address.cidr for address in host.links[holder].addresses} if holder in host.links else set()
        lost = sorted(set(found["addresses"]) - has)
        if lost:
            return f"{holder} has no {', '.join(lost)}"
        silent = [gateway for gateway in found["gateways"] if not answers(self._runner, gateway, holder)]
        return f"the gateway {', '.join(silent)} does not answer on {holder}, as it did before" if silent else ""
