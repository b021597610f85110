# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An uplink as data: what is asked, what is there, and a change with the way back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..._errors import InvalidInput
from ..._secrets import without_settings
from ..link.addressing import link_name

SOONEST, LATEST = 10, 600


@dataclass(frozen=True)
class UplinkRequest:
    """What a user asked: the bridge ``name`` over ``port``, by default over the link of the default route."""

    name: str
    present: bool = True
    port: str | None = None
    rollback_after: int = 60
    allow_disruption: bool = False

    @classmethod
    def checked(cls, options: Mapping[str, Any]) -> UplinkRequest:
        """Return the canonical form of a user's options, or raise InvalidInput that names the bad one."""
        name, port, seconds = link_name(options["name"]), options.get("port"), options.get("rollback_after") or 60
        if port == name:
            raise InvalidInput(f"port: the bridge {name} cannot be its own port.", option="port")
        if not SOONEST <= seconds <= LATEST:
            raise InvalidInput(
                f"rollback_after: {seconds} is out of range; use {SOONEST} to {LATEST} seconds.", option="rollback_after"
            )
        return cls(
            name=name,
            present=options.get("state", "present") == "present",
            port=None if port is None else link_name(port, "port"),
            rollback_after=seconds,
            allow_disruption=bool(options.get("allow_disruption")),
        )


@dataclass(frozen=True)
class UplinkState:
    """The bridge and its port now, and the texts of the boot files that a change touches, or that we wrote."""

    name: str
    port: str | None = None
    manager: str | None = None
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    boot: tuple[tuple[str, str], ...] = ()

    def view(self) -> dict[str, Any]:
        """Return it as JSON; what may be a password or key in a boot file, as of a wireless card or tunnel, is hidden."""
        files = {path: without_settings(text) for path, text in self.boot}
        if self.port is None:
            return {"state": "absent", "boot_files": files}
        shown = {"name": self.name, "port": self.port, "manager": self.manager, "mac": self.mac}
        return {"state": "present", **shown, "addresses": list(self.addresses), "boot_files": files}


@dataclass(frozen=True)
class BootFile:
    """A file of a network manager before and after a change; None is a file that is not there."""

    path: str
    before: str | None
    after: str | None

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"{'Remove' if self.after is None else 'Write'} {self.path}, once a fresh connection has confirmed"

    def predict(self, state: UplinkState) -> UplinkState:
        """See Step."""
        found = {**dict(state.boot), self.path: self.after}
        return replace(state, boot=tuple(sorted((path, text) for path, text in found.items() if text is not None)))


@dataclass(frozen=True)
class Move:
    """The live part of a change, on trial: addresses and routes go to the bridge, or back to its port."""

    name: str
    port: str
    manager: str
    mac: str | None
    addresses: tuple[str, ...]
    present: bool

    @property
    def sentence(self) -> str:
        """See Step."""
        held = ", ".join(self.addresses) or "what it has"
        if self.present:
            return f"Move {held} from {self.port} to the bridge {self.name}, on trial"
        return f"Move {held} from the bridge {self.name} to {self.port} and remove the bridge, on trial"

    def predict(self, state: UplinkState) -> UplinkState:
        """See Step."""
        if not self.present:
            return UplinkState(self.name, boot=state.boot)
        return replace(state, port=self.port, manager=self.manager, mac=self.mac, addresses=self.addresses)


@dataclass(frozen=True)
class Parts:
    """What one network manager needs for a change.

    ``boot`` is in the order in which files are written, ``trial`` are files below /run that are gone after a reboot, and the rest
    are lines of shell: ``forward`` tries the change, ``back`` undoes that, ``finish`` cleans up once it is confirmed.
    With ``keep`` the files of the trial stay, because those that were written for boot hide them.
    """

    boot: tuple[BootFile, ...]
    trial: tuple[tuple[str, str], ...] = ()
    forward: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    finish: tuple[str, ...] = ()
    keep: bool = False
