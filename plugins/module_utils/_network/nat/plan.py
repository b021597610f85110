# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt NAT network as data, and the smallest steps to the request. Pure.

Hosts, their DNS names and the DHCP range change while the network runs; bridge, subnet, domain and MTU need a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Any, TypeAlias

from ..._errors import Conflict, InvalidInput, NotFound, Refused
from ..._plan import Plan, Step
from ..._shown import few
from ..link.addressing import (
    default_dhcp_range,
    domain_name,
    ipv4_subnet,
    link_name,
    mtu_bytes,
    network_name,
)
from .config import Config, Lease, Range, checked_hosts, checked_span, kept_hosts

RESTART_FIELDS = ("bridge", "subnet", "domain", "mtu")


@dataclass(frozen=True)
class Network:
    """A network as libvirt has it; ``live`` is None while it is inactive, ``vms`` are those attached to it now."""

    name: str
    config: Config
    live: Config | None = None
    autostart: bool = False
    persistent: bool = True
    ours: bool = True
    forward: str = "nat"
    vms: tuple[str, ...] = ()

    @property
    def pending(self) -> tuple[str, ...]:
        """Return the fields whose live and persistent values differ: a restart is needed."""
        if self.live is None:
            return ()
        return tuple(name for name in RESTART_FIELDS if getattr(self.live, name) != getattr(self.config, name))

    def view(self) -> dict[str, Any]:
        """Return the network as JSON."""
        config = self.config
        return {
            "state": "active" if self.live else "present",
            "name": self.name,
            "bridge": config.bridge,
            "subnet": config.subnet,
            "address": config.address,
            "dhcp_range": list(config.dhcp_range) if config.dhcp_range else None,
            "domain": config.domain,
            "mtu": config.mtu,
            "hosts": [
                {"name": host.name or None, "mac": host.mac or None, "address": host.address or None} for host in config.hosts
            ],
            "autostart": self.autostart,
            "managed": self.ours,
            "pending_restart": list(self.pending),
        }


NetworkState: TypeAlias = "Network | None"


def view(state: NetworkState) -> dict[str, Any]:
    """Return a state as JSON."""
    return state.view() if state else {"state": "absent"}


@dataclass(frozen=True)
class NatRequest:
    """What a user asked of a NAT network; None leaves a field of an existing network as it is."""

    name: str
    state: str = "active"
    bridge: str | None = None
    subnet: str | None = None
    dhcp_range: Range | None = None
    domain: str | None = None
    mtu: int | None = None
    hosts: tuple[Lease, ...] | None = None
    autostart: bool | None = None
    adopt: bool = False
    allow_restart: bool = False

    @classmethod
    def checked(cls, options: Mapping[str, Any]) -> NatRequest:
        """Return the canonical form of a user's options, or raise InvalidInput that names the bad one.

        ``dhcp_range`` and ``hosts`` are checked against the subnet by ``plan``, which knows it where it was not given.
        """
        bridge, subnet, domain, mtu = (options.get(key) for key in ("bridge", "subnet", "domain", "mtu"))
        span, hosts = options.get("dhcp_range"), options.get("hosts")
        return cls(
            name=network_name(options["name"]),
            state=options.get("state", "active"),
            bridge=None if bridge is None else link_name(bridge, "bridge"),
            subnet=None if subnet is None else str(ipv4_subnet(subnet)),
            dhcp_range=None if span is None else (span["start"], span["end"]),
            domain=None if domain is None else domain_name(domain),
            mtu=None if mtu is None else mtu_bytes(mtu),
            hosts=None if hosts is None else tuple(Lease(host["address"], host["mac"], host["name"]) for host in hosts),
            autostart=options.get("autostart"),
            adopt=bool(options.get("adopt")),
            allow_restart=bool(options.get("allow_restart")),
        )

    def config(self, old: Config | None) -> Config:
        """Return the whole configuration asked for, on top of ``old``."""
        bridge, subnet = self.bridge or (old and old.bridge), self.subnet or (old and old.subnet)
        if not bridge or not subnet:
            missing = "subnet" if bridge else "bridge"
            raise InvalidInput(f"{missing}: it is missing, and a new network ({self.name}) needs it.", option=missing)
        network = IPv4Network(subnet)
        if old and old.subnet == subnet:
            base = old
        else:
            hosts = old.hosts if old and self.hosts is None else ()
            base = Config(bridge, subnet, str(network[1]), default_dhcp_range(network), hosts=kept_hosts(hosts, network))
        return replace(
            base,
            bridge=bridge,
            dhcp_range=base.dhcp_range if self.dhcp_range is None else checked_span(self.dhcp_range, network, base.other_ranges),
            domain=self.domain or (old.domain if old else None),
            mtu=self.mtu or (old.mtu if old else None),
            hosts=base.hosts if self.hosts is None else checked_hosts(self.hosts, network),
        )


@dataclass(frozen=True)
class Define:
    """Write the persistent configuration; all else in the XML is kept."""

    name: str
    config: Config
    fields: tuple[str, ...]
    new: bool = False

    @property
    def sentence(self) -> str:
        """See Step."""
        what = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"Define the network {self.name}" if self.new else f"Change the definition of the network {self.name}{what}"

    def predict(self, state: NetworkState) -> NetworkState:
        """See Step."""
        if state is None:
            return Network(self.name, self.config)
        return replace(state, config=self.config, persistent=True, ours=True)


@dataclass(frozen=True)
class ChangeLive:
    """Change hosts and DHCP range of the running network, without a restart."""

    name: str
    before: Config
    after: Config

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Change {' and '.join(live_fields(self.before, self.after))} of the running network {self.name}"

    def predict(self, state: NetworkState) -> NetworkState:
        """See Step."""
        if state is None or state.live is None:
            return state
        return replace(state, live=replace(state.live, hosts=self.after.hosts, dhcp_range=self.after.dhcp_range))


@dataclass(frozen=True)
class Start:
    """Start the network."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Start the network {self.name}"

    def predict(self, state: NetworkState) -> NetworkState:
        """See Step."""
        return replace(state, live=state.config) if state else None


@dataclass(frozen=True)
class Stop:
    """Stop the network; its definition stays."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Stop the network {self.name}"

    def predict(self, state: NetworkState) -> NetworkState:
        """See Step."""
        return replace(state, live=None) if state else None


@dataclass(frozen=True)
class SetAutostart:
    """Choose whether the network starts with the host."""

    name: str
    autostart: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Let the network {self.name} {'start' if self.autostart else 'not start'} with the host"

    def predict(self, state: NetworkState) -> NetworkState:
        """See Step."""
        return replace(state, autostart=self.autostart) if state else None


@dataclass(frozen=True)
class Undefine:
    """Remove the definition."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove the network {self.name}"

    def predict(self, _state: NetworkState) -> NetworkState:
        """See Step."""
        return None


def live_fields(before: Config, after: Config) -> tuple[str, ...]:
    """Return the names of the fields that differ and can change while the network runs."""
    return tuple(name for name in ("hosts", "dhcp_range") if getattr(before, name) != getattr(after, name))


def plan(before: NetworkState, wanted: NatRequest) -> Plan[NetworkState]:
    """Return the steps from ``before`` to ``wanted``.

    Raises Conflict for a network that edge.cloud did not create, Refused where a restart is needed and allow_restart is not set, or
    VMs are attached.
    """
    _check_ours(before, wanted)
    steps = tuple(_removal(before) if wanted.state == "absent" else _presence(before, wanted))
    return Plan(before, steps)


def _check_ours(before: NetworkState, wanted: NatRequest) -> None:
    if before is None:
        return
    if before.forward != "nat":
        raise Conflict(
            f"name: the libvirt network {wanted.name} is not a NAT network (forward mode {before.forward}); choose another name.",
            option="name",
        )
    if not before.ours and not wanted.adopt:
        raise Conflict(
            f"name: the libvirt network {wanted.name} exists and edge.cloud did not create it; choose another name, or set adopt"
            " to let edge.cloud change that one.",
            option="name",
        )


def _removal(before: NetworkState) -> Iterator[Step[NetworkState]]:
    if before is None:
        return
    _require_no_vms(before, "state", "removing")
    if before.live:
        yield Stop(before.name)
    if before.persistent:
        yield Undefine(before.name)


def _require_no_vms(before: Network, option: str, doing: str) -> None:
    if before.vms:
        raise Refused(
            f"{option}: {doing} the network {before.name} would cut off its VMs ({few(before.vms)}); stop or detach them first.",
            option=option,
            vms=list(before.vms),
        )


def _presence(before: NetworkState, wanted: NatRequest) -> Iterator[Step[NetworkState]]:
    config = wanted.config(before.config if before else None)
    name = wanted.name
    if before is None:
        yield Define(name, config, (), new=True)
    elif before.config != config or not before.ours or not before.persistent:
        fields = tuple(key for key in vars(config) if getattr(config, key) != getattr(before.config, key))
        yield Define(name, config, fields)
    if before and before.live:
        yield from _running(before, config, wanted)
    elif wanted.state == "active":
        yield Start(name)
    autostart = before.autostart if before else False
    if (before is None or wanted.autostart is not None) and autostart != (wanted.autostart is not False):
        yield SetAutostart(name, not autostart)


def _running(before: Network, config: Config, wanted: NatRequest) -> Iterator[Step[NetworkState]]:
    live = before.live
    if live is None:
        raise NotFound(f"The network {before.name} does not run.")
    due = tuple(key for key in RESTART_FIELDS if getattr(live, key) != getattr(config, key))
    if due:
        if not wanted.allow_restart:
            raise Refused(
                f"{due[0]}: changing {', '.join(due)} needs a restart of the network {before.name}; set allow_restart.",
                option=due[0],
                fields=list(due),
            )
        _require_no_vms(before, due[0], "restarting")
        yield Stop(before.name)
        yield Start(before.name)
        return
    # What was not asked for stays, also where another program changed the running network alone.
    hosts = live.hosts if wanted.hosts is None else config.hosts
    asked = replace(config, hosts=hosts, dhcp_range=live.dhcp_range if wanted.dhcp_range is None else config.dhcp_range)
    if live_fields(live, asked):
        yield ChangeLive(before.name, live, asked)
