# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with Corosync, as far as membership goes: files, the key, what was loaded, who sees whom, and a power cut of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._availability import membership, removal
from ansible_collections.edge.cloud.plugins.module_utils._availability.model import Conf, Running, Seen, digest, parse, view_seen


@dataclass
class Machine:
    """A host; ``loaded`` is what its Corosync has, None if that does not run.

    The inventory has ``links`` for it, or ``address``. The host has ``address`` and ``extra``.
    """

    address: str
    key: str = ""
    text: str = ""
    loaded: Conf | None = None
    started_key: str = ""
    enabled: bool = False
    has_run: bool = False
    managed: bool = False
    resources: int | None = 0
    cib: bool = False
    cut_off: bool = False
    release: str = "trixie"
    links: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def start(self) -> None:
        """Start Corosync, which needs both files."""
        assert self.key and self.text
        self.loaded, self.started_key, self.has_run, self.enabled = parse(self.text), self.key, True, True
        self.cib = True  # Pacemaker starts, too
        assert self.loaded is not None

    def boot(self) -> None:
        """Boot after a power cut."""
        self.loaded = None
        if self.enabled and self.key:
            self.start()


@dataclass
class World:
    """Hosts by their names, which are those of the inventory and of the cluster."""

    machines: dict[str, Machine] = field(default_factory=dict)

    @classmethod
    def of(cls, count: int) -> World:
        """Return bare hosts a, b, c and so on."""
        return cls({chr(ord("a") + number): Machine(f"192.0.2.{number + 1}") for number in range(count)})

    def joined(self, name: str) -> list[str]:
        """Return the names of the hosts in the partition of one that runs."""
        one = self.machines[name]
        assert one.loaded is not None

        def sees(other: Machine) -> bool:
            if one.cut_off or other.cut_off:
                return other is one
            if other.loaded is None or other.started_key != one.started_key or one.loaded is None:
                return False
            here, there = ({node.links[0] for node in machine.loaded.nodes} for machine in (one, other) if machine.loaded)
            return other.address in here and one.address in there

        return [other for other in self.machines if sees(self.machines[other])]

    def seen(self, name: str) -> dict[str, Any]:
        """Return what the module says of a host."""
        machine, running = self.machines[name], None
        if machine.loaded is not None:
            joined = self.joined(name)
            most = max(len(self.machines[other].loaded.nodes) for other in joined)  # type: ignore[union-attr]
            numbers = {node.name: node.id for node in machine.loaded.nodes}
            running = Running(machine.loaded, len(joined) * 2 > most, frozenset(numbers[other] for other in joined))
        return view_seen(
            Seen(
                machine.release,
                installed=True,
                managed=machine.managed,
                addresses=("127.0.0.1", machine.address, *machine.extra),
                running=running,
                conf=parse(machine.text),
                conf_digest=digest(machine.text.encode()) if machine.text else "",
                key=machine.key,
                started_key=machine.started_key if running else "",
                has_run=machine.has_run,
                resources=machine.resources,
                cib=machine.cib,
            )
        )

    def plan(self, *hosts: str, silent: str = "", **given: Any) -> dict[str, Any]:
        """Return what is decided for a cluster of the hosts."""
        answered = [name for name in hosts if name != silent]
        wanted = {
            "cluster": "site1",
            "group": list(hosts),
            "token_ms": 3000,
            "allow_unfenced": True,
            "allow_without_witness": False,
            "hosts": [
                {"host": name, "name": name, "links": list(self.machines[name].links or (self.machines[name].address, ""))}
                for name in answered
            ],
            **given,
        }
        return membership.decide(wanted, {name: self.seen(name) for name in answered})

    def removal(self, *hosts: str, cluster: str = "site1", silent: str = "") -> dict[str, Any]:
        """Return what is decided for the removal of the cluster of the hosts."""
        seen: Mapping[str, Any] = {name: self.seen(name) for name in hosts if name != silent}
        return removal.decide(cluster, {name: name for name in hosts}, seen)

    def steps(self, plan: Mapping[str, Any]) -> Iterator[str]:
        """Do what the role does with a plan, one change at a time."""
        assert plan["refused"] == ""
        key = self.machines[plan["key_from"]].key if plan["key_from"] else "new"
        for name in (*plan["new"], *plan["start"]):
            self.machines[name].managed = True
        for name in plan["key_to"]:
            self.machines[name].key = key
            yield f"key on {name}"
        names = list(self.machines)
        for name in [*plan["new"], *(name for name in names if name not in plan["new"] and self.machines[name].loaded)]:
            if plan["conf"] and self.machines[name].text != plan["conf"]:
                self.machines[name].text = plan["conf"]
                yield f"file on {name}"
        if plan["reload_on"]:
            for name in self.joined(plan["reload_on"]):
                self.machines[name].loaded = parse(self.machines[name].text)
            yield "reload"
        for name in plan["start"]:
            self.machines[name].start()
            yield f"start {name}"

    def have(self, *hosts: str, **given: Any) -> None:
        """Have the cluster."""
        for _step in self.steps(self.plan(*hosts, **given)):
            pass

    def power_cut(self) -> None:
        """Cut the power of all, and have them boot."""
        for machine in self.machines.values():
            machine.boot()

    def whole(self, *hosts: str) -> bool:
        """Tell whether the hosts are one cluster, with quorum and the same of everything."""
        found = [self.machines[name] for name in hosts]
        seen = [self.seen(name)["running"] for name in hosts]
        same = len({(one.text, one.key, one.loaded) for one in found}) == 1
        return same and all(one and one["quorate"] and len(one["joined"]) == len(hosts) == len(one["nodes"]) for one in seen)
