# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a lab has: their descriptions on disk, their names, places in the subnet and paths."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .cgroup import Group
from .command import LabError, run
from .files import read_json, write_json
from .settings import Settings

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Spec:
    """What a host was asked to be, as kept in its host.json."""

    name: str
    index: int
    release: str
    variant: str
    base: str
    machine_id: str
    kvm: bool = False
    binds: tuple[str, ...] = ()
    seeded: bool = False


@dataclass(frozen=True)
class Host:
    """One host and where its things are."""

    settings: Settings
    spec: Spec

    @property
    def name(self) -> str:
        """The host's name, its own hostname too."""
        return self.spec.name

    @property
    def address(self) -> ipaddress.IPv4Address:
        """Static address on the lab's bridge."""
        return self.settings.subnet[self.spec.index]

    @property
    def directory(self) -> Path:
        """All of this host on the machine's disk."""
        return self.settings.hosts / self.name

    @property
    def root(self) -> Path:
        """Its mounted root file system."""
        return self.directory / "root"

    @property
    def console(self) -> Path:
        """Log of its console."""
        return self.directory / "console.log"

    @property
    def machine(self) -> str:
        """Its name as systemd-nspawn knows it; short, since interfaces are named after it."""
        return f"{self.settings.name}-{self.spec.index:03d}"

    def link(self, kind: str) -> str:
        """Return the name of one of its interfaces on the machine: vb (its cable), vs and vr (slow link), vm (their bridge)."""
        return f"{kind}-{self.machine}"

    @property
    def group(self) -> Group:
        """Control group of all its processes."""
        return Group(self.settings.name, f"host-{self.name}")

    @property
    def relay(self) -> Group:
        """Control group of the relay that delays its frames."""
        return Group(self.settings.name, f"relay-{self.name}")

    def save(self, **changes: object) -> Host:
        """Write its description, with some fields changed, and return the host so changed."""
        spec = replace(self.spec, **changes)  # type: ignore[arg-type]
        write_json(self.directory / "host.json", asdict(spec))
        return Host(self.settings, spec)


def check_name(name: str) -> str:
    """Return a host's name, or raise LabError if it is none."""
    if not _NAME.fullmatch(name) or name == "localhost":
        raise LabError(f"host name {name!r}: give lower-case letters, digits and hyphens, a letter first, 63 at most.")
    return name


def every(settings: Settings) -> list[Host]:
    """Return all hosts of the lab, in the order of their addresses."""
    specs = []
    for path in settings.hosts.glob("*/host.json"):
        data = read_json(path, None)
        if data is not None:
            specs.append(Spec(**{**data, "binds": tuple(data["binds"])}))
    return [Host(settings, spec) for spec in sorted(specs, key=lambda spec: spec.index)]


def find(settings: Settings, name: str) -> Host:
    """Return a host by its name; raise LabError with the names there are if it is none of them."""
    known = every(settings)
    for host in known:
        if host.name == name:
            return host
    names = ", ".join(host.name for host in known) or "none"
    raise LabError(f"host {name!r}: not in this lab. Hosts are: {names}. Make it: lab up --name {name}")


def describe(settings: Settings, wanted: Spec, taken: Iterable[int]) -> Host:
    """Return the host of wanted's name: the one that is there if it is as wanted, else a new one with a free address.

    The caller holds the lab's lock. Raises LabError if a host of that name is there and is something else.
    """
    if host := refuse_difference(settings, wanted):
        return host
    used = set(taken)
    last = min(settings.subnet.num_addresses - 2, 999)
    free = next((index for index in range(settings.first_index, last + 1) if index not in used), None)
    if free is None:
        raise LabError(f"{settings.subnet}: no free address for {wanted.name}. Take hosts down or set EDGE_LAB_SUBNET.")
    return Host(settings, wanted).save(index=free, machine_id=uuid.uuid4().hex)


def refuse_difference(settings: Settings, wanted: Spec) -> Host | None:
    """Return the host of that name if there is one; raise LabError if it is something else than wanted."""
    host = next((host for host in every(settings) if host.name == wanted.name), None)
    if host is not None:
        _require_same(host.spec, wanted)
    return host


def _require_same(found: Spec, wanted: Spec) -> None:
    for field in ("release", "variant", "kvm", "binds"):
        have, want = getattr(found, field), getattr(wanted, field)
        if have != want:
            raise LabError(
                f"host {found.name}: asked for {field} {want!r}, it is there with {have!r}. "
                f"Take it down first (lab down {found.name}) or give the new host another name."
            )


def mounted(path: Path) -> bool:
    """Return whether a file system is mounted at just this path."""
    return str(path) in mounts_under(path)


def mounts_under(path: Path) -> list[str]:
    """Return every mount point at or below a path, deepest first."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == str(path) or point.startswith(f"{path}/"):
            points.append(point)
    return sorted(points, reverse=True)


def links(settings: Settings) -> set[str]:
    """Return the names of the machine's interfaces that belong to this lab's hosts."""
    marks = tuple(f"{kind}-{settings.name}-" for kind in ("vb", "vs", "vr", "vm"))
    lines = run(["ip", "-oneline", "link", "show"]).stdout.splitlines()
    names = {line.split(": ")[1].split("@")[0] for line in lines}
    return {name for name in names if name.startswith(marks)}
