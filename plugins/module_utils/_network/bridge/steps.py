# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge as data, and the steps that change one. Pure: a step only names its commands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..link.model import Host
from ..link.routes import Address, Route, Words, drop, put


@dataclass(frozen=True)
class Bridge:
    """A bridge as a person sees it; lists are sorted, ``forward_delay`` is in seconds, unknown values are None."""

    name: str
    up: bool = False
    mtu: int | None = None
    mac: str | None = None
    stp: bool = False
    forward_delay: float = 15.0
    vlan_filtering: bool = False
    ports: tuple[str, ...] = ()
    vm_ports: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


BootFiles = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class BridgeState:
    """The bridge of the running kernel, and the files (name, text) that create it at boot."""

    bridge: Bridge | None = None
    boot: BootFiles = ()

    def view(self) -> dict[str, Any]:
        """Return the whole state as JSON."""
        boot = dict(self.boot)
        if self.bridge is None:
            return {"state": "absent", "boot_files": boot}
        shown = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self.bridge).items()}
        return {"state": "present", **shown, "boot_files": boot}


def bridge_of(host: Host, name: str) -> Bridge | None:
    """Return the bridge ``name`` of ``host`` or None; leased addresses are left out, because we do not manage them."""
    link = host.links.get(name)
    if link is None:
        return None
    vm_ports = host.vm_ports(name)
    return Bridge(
        name=name,
        up=link.up,
        mtu=link.mtu,
        mac=link.mac,
        stp=link.stp,
        forward_delay=link.forward_delay,
        vlan_filtering=link.vlan_filtering,
        ports=tuple(port for port in host.ports(name) if port not in vm_ports),
        vm_ports=vm_ports,
        addresses=tuple(sorted(address.cidr for address in link.addresses if not address.dynamic)),
    )


class LinkStep:
    """A step that the kernel carries out: ``commands`` are arguments of ``ip``, run in one batch."""

    @property
    def commands(self) -> tuple[Words, ...]:
        """Return the argument lists of ``ip``, in order."""
        raise NotImplementedError

    @property
    def undo(self) -> tuple[Words, ...]:
        """Return what puts back a step that failed in the middle; commands among these may fail."""
        return ()

    def changed(self, bridge: Bridge | None, /) -> Bridge | None:
        """Return the bridge after this step."""
        raise NotImplementedError

    def predict(self, state: BridgeState) -> BridgeState:
        """Return the state after this step."""
        return replace(state, bridge=self.changed(state.bridge))


@dataclass(frozen=True)
class AddBridge(LinkStep):
    """Add a bridge, with the fields that are set at once; the MTU is not one of them, since the first port would change it."""

    bridge: Bridge

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Add the bridge {self.bridge.name}"

    @property
    def commands(self) -> tuple[Words, ...]:
        """See LinkStep."""
        made = self.bridge
        head = ("link", "add", "name", made.name) + (("address", made.mac) if made.mac else ())
        return ((*head, "type", "bridge", "stp_state", str(int(made.stp)), "forward_delay", _centiseconds(made.forward_delay)),)

    def changed(self, _bridge: Bridge | None) -> Bridge | None:
        """See LinkStep."""
        return self.bridge


@dataclass(frozen=True)
class RemoveBridge(LinkStep):
    """Delete a bridge; its ports stay as links without a master, and ``port`` takes over what the bridge carried.

    It stays a port until it has all of that: by what is left of the bridge an interrupted removal could not be told from one that
    gives nothing back.
    """

    name: str
    port: str = ""
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove the bridge {self.name}{_and_move(self.addresses, self.routes, self.port)}"

    @property
    def commands(self) -> tuple[Words, ...]:
        """See LinkStep."""
        return (
            *((("link", "set", "dev", self.port, "up"),) if self.port else ()),
            *(address.on(self.port) for address in self.addresses),
            *put(self.routes, self.port),
            *((("link", "set", "dev", self.port, "nomaster"),) if self.port else ()),
            ("link", "del", "dev", self.name, "type", "bridge"),
        )

    @property
    def undo(self) -> tuple[Words, ...]:
        """See LinkStep."""
        return _move_back(self.port, self.name, self.addresses, self.routes, "master", self.name) if self.port else ()

    def changed(self, _bridge: Bridge | None) -> Bridge | None:
        """See LinkStep."""
        return None


@dataclass(frozen=True)
class SetField(LinkStep):
    """Change one field of a bridge in place."""

    name: str
    field: str
    value: Any

    @property
    def sentence(self) -> str:
        """See Step."""
        if self.field == "up":
            return f"Set the bridge {self.name} up"
        return f"Set {self.field} of the bridge {self.name} to {self.value}"

    @property
    def commands(self) -> tuple[Words, ...]:
        """See LinkStep."""
        words: Words = {"up": ("up",), "mtu": ("mtu", str(self.value)), "mac": ("address", str(self.value))}.get(self.field, ())
        if self.field == "stp":
            words = ("type", "bridge", "stp_state", str(int(self.value)))
        elif self.field == "forward_delay":
            words = ("type", "bridge", "forward_delay", _centiseconds(self.value))
        return (("link", "set", "dev", self.name, *words),)

    def changed(self, bridge: Bridge | None) -> Bridge | None:
        """See LinkStep."""
        return replace(bridge, **{self.field: self.value}) if bridge else None


@dataclass(frozen=True)
class AttachPort(LinkStep):
    """Make a link a port of the bridge, and move what it carried: the host has its addresses and routes at every moment.

    ``drop`` is what the port loses, last first: with the first address of a subnet the kernel removes the others too.
    """

    name: str
    port: str
    addresses: tuple[Address, ...] = ()
    drop: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Attach {self.port} to the bridge {self.name}{_and_move(self.addresses, self.routes, 'it')}"

    @property
    def commands(self) -> tuple[Words, ...]:
        """See LinkStep."""
        return (
            *((("link", "set", "dev", self.name, "up"),) if self.addresses or self.routes else ()),
            *(address.on(self.name, lasting=address.leased) for address in self.addresses),
            ("link", "set", "dev", self.port, "master", self.name, "up"),
            *put(self.routes, self.name),
            *drop(self.drop, self.port),
        )

    @property
    def undo(self) -> tuple[Words, ...]:
        """See LinkStep."""
        return _move_back(self.name, self.port, self.addresses, self.routes, "nomaster")

    def changed(self, bridge: Bridge | None) -> Bridge | None:
        """See LinkStep."""
        if bridge is None:
            return None
        ports = tuple(sorted({*bridge.ports, self.port}))
        lasting = {address.cidr for address in self.addresses if address.leased or not address.dynamic}
        addresses = tuple(sorted({*bridge.addresses, *lasting}))
        return replace(bridge, ports=ports, addresses=addresses, up=bridge.up or bool(self.addresses or self.routes))


@dataclass(frozen=True)
class DetachPort(LinkStep):
    """Detach a port from the bridge; the link itself stays."""

    name: str
    port: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Detach {self.port} from the bridge {self.name}"

    @property
    def commands(self) -> tuple[Words, ...]:
        """See LinkStep."""
        return (("link", "set", "dev", self.port, "nomaster"),)

    def changed(self, bridge: Bridge | None) -> Bridge | None:
        """See LinkStep."""
        return replace(bridge, ports=tuple(port for port in bridge.ports if port != self.port)) if bridge else None


@dataclass(frozen=True)
class SetAddresses(LinkStep):
    """Add and remove addresses in one batch; those that stay, and their routes, are added again where the kernel removed them too.

    ``remove`` is in the reverse of the kernel's order, for the same reason as AttachPort's ``drop``.
    """

    name: str
    add: tuple[Address, ...]
    remove: tuple[Address, ...]
    keep: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def sentence(self) -> str:
        """See Step."""
        parts = [(word, ", ".join(address.cidr for address in held)) for word, held in (("add", self.add), ("remove", self.remove))]
        return f"Change the addresses of the bridge {self.name}: {'; '.join(f'{word} {held}' for word, held in parts if held)}"

    @property
    def commands(self) -> tuple[Words, ...]:
        """See LinkStep."""
        again = (*self.keep, *self.add) if self.remove else ()
        return (
            *(address.on(self.name) for address in self.add),
            *drop(self.remove, self.name),
            *(address.on(self.name) for address in again),
            *(put(self.routes, self.name) if self.remove else ()),
        )

    def changed(self, bridge: Bridge | None) -> Bridge | None:
        """See LinkStep."""
        if bridge is None:
            return None
        added, removed = ({address.cidr for address in held} for held in (self.add, self.remove))
        return replace(bridge, addresses=tuple(sorted({*bridge.addresses, *added} - removed)))


@dataclass(frozen=True)
class WriteBootFile:
    """Write one file of the network manager, whole or not at all."""

    file: str
    text: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Write {self.file}"

    def predict(self, state: BridgeState) -> BridgeState:
        """See Step."""
        return replace(state, boot=tuple(sorted({**dict(state.boot), self.file: self.text}.items())))


@dataclass(frozen=True)
class RemoveBootFile:
    """Delete one file of the network manager."""

    file: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Remove {self.file}"

    def predict(self, state: BridgeState) -> BridgeState:
        """See Step."""
        return replace(state, boot=tuple(item for item in state.boot if item[0] != self.file))


def _centiseconds(seconds: float) -> str:
    return str(round(seconds * 100))


def _and_move(addresses: tuple[Address, ...], routes: tuple[Route, ...], to: str) -> str:
    moved = [*(address.cidr for address in addresses), *(f"route {route.dst}" for route in routes)]
    return f" and move {', '.join(moved)} to {to}" if moved else ""


def _move_back(dev: str, home: str, addresses: tuple[Address, ...], routes: tuple[Route, ...], *port: str) -> tuple[Words, ...]:
    """Return the commands that put all of ``dev`` on ``home`` again, and its port as it was."""
    return (
        ("link", "set", "dev", home if port[0] == "nomaster" else dev, *port),
        *(address.on(home) for address in addresses),
        *put(routes, home),
        *drop(addresses[::-1], dev),
    )
