# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles on lab hosts: remote executions and seconds of each host and role, at the first deployment and when nothing changes.

An execution is one start of ssh or sftp; its number does not depend on the machine. ``--against FOLDER`` deploys other hosts by
another checkout in the same run, for the ratio of the times. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from edge_lab.api import Lab, LabHost
from report import NO_GOAL, Goal, Row, machine, measured, row
from support.report import TREE, publish

COUNTED = """#!/bin/sh
printf '{"execution": "%%s"}\\n' "$(printf %%s "$*" | tr -cd 'A-Za-z0-9. :[]@')" >> "$ROLE_COSTS"
exec %s "$@"
"""
LAYOUTS = {
    "one host": {"frontend": [], "replica": ["r1"], "hypervisor": ["r1"]},
    "three hosts": {"frontend": ["r1"], "replica": ["r2"], "hypervisor": ["r3"]},
}
FACTS = ["!all", "network"]  # as docs/deploy.md says
BOOK = [
    {"hosts": "frontend", "gather_subset": FACTS, "roles": ["edge.cloud.frontend"]},
    {"hosts": "replica", "gather_subset": FACTS, "roles": ["edge.cloud.replica"]},
    {"hosts": "hypervisor", "gather_subset": FACTS, "roles": ["edge.cloud.host", "edge.cloud.hypervisor"]},
]
EXECUTIONS = {("one host", "first"): 409, ("one host", "no-op"): 346}  # when each file, folder, link and unit was a task of its own
SECONDS = {"one host": 15.0, "three hosts": 45.0}
FIRST = Goal(bound=0.7)
FEWER = {"first": NO_GOAL, "no-op": Goal(bound=0.5)}


@dataclass
class Costs:
    """What a run of the playbook cost: executions and seconds of each host and role, its seconds, and the changed tasks."""

    seconds: float = 0.0
    executions: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    spent: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    changed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.executions.values())


def read(lines: list[dict[str, Any]], addresses: dict[str, str], seconds: float) -> Costs:
    """Return the costs from the lines of the callback and of the counted programs."""
    costs = Costs(seconds)
    role = task = ""
    for line in lines:
        if "role" in line:
            role, task = line["role"], line["task"]
        elif "execution" in line:
            words = set(line["execution"].replace("[", " ").replace("]", " ").replace("@", " ").split())
            for name in (name for name, address in addresses.items() if address in words):
                costs.executions[name, role] += 1
        else:
            costs.spent[line["host"], role] += line["seconds"]
            costs.changed += [f"{line['host']}: {task}"] if line["changed"] else []
    return costs


@dataclass(frozen=True)
class Deployment:
    """Hosts of a lab in the groups of a layout, deployed by the collection of ``tree``."""

    lab: Lab
    layout: str
    hosts: dict[str, LabHost]
    tree: Path

    def inventory(self) -> dict[str, Any]:
        known = json.loads(self._lab_inventory())["lab"]
        groups = LAYOUTS[self.layout]
        variables = {
            **known["vars"],
            "pki_ca_host": (groups["frontend"] or groups["replica"])[0],
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        names = sorted({name for members in groups.values() for name in members})
        hosts = {name: {"ansible_host": self.hosts[name].address} for name in names}
        children = {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()}
        return {"all": {"vars": variables, "hosts": hosts, "children": children}}

    def _lab_inventory(self) -> str:
        argv = [sys.executable, str(TREE / "tests/lab/lab.py"), "inventory", "--format", "json"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def run(self, book: list[dict[str, Any]]) -> Costs:
        """Run a playbook and return its costs; fail with its output unless all goes well."""
        with tempfile.TemporaryDirectory(prefix="edge-roles-") as text:
            folder = Path(text)
            for program in ("ssh", "sftp"):
                (folder / program).write_text(COUNTED % f"/usr/bin/{program}")
                (folder / program).chmod(0o755)
            inventory = self.inventory()
            (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
            (folder / "book.yml").write_text(yaml.safe_dump(book))
            (folder / "costs").touch()
            begun = time.monotonic()
            done = subprocess.run(
                [Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "hosts.yml", folder / "book.yml"],
                env=self._environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            took = time.monotonic() - begun
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
            addresses = {name: host["ansible_host"] for name, host in inventory["all"]["hosts"].items()}
            return read([json.loads(line) for line in (folder / "costs").read_text().splitlines()], addresses, took)

    def _environment(self, folder: Path) -> dict[str, str]:
        return {
            **os.environ,
            "ROLE_COSTS": str(folder / "costs"),
            "ANSIBLE_SSH_EXECUTABLE": str(folder / "ssh"),
            "ANSIBLE_SFTP_EXECUTABLE": str(folder / "sftp"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.tree / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "role_costs",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_HOST_KEY_CHECKING": "false",
            "ANSIBLE_HOME": str(folder / "home"),
        }


def rows_of(layout: str, name: str, costs: Costs) -> Iterator[Row]:
    """Yield what each host and role cost; the sums have goals, these have none."""
    for key in sorted(costs.executions.keys() | costs.spent.keys()):
        if costs.executions[key] or costs.spent[key] >= 0.05:
            case = f"{layout}, {name}: {key[0]} {key[1]}"
            about = {"other_name": "the whole run", "goal": NO_GOAL, "runs": 1}
            yield row(case, "executions", "", costs.executions[key], costs.total, **about)
            yield row(case, "time", "s", costs.spent[key], costs.seconds, **about)


def deployed(lab: Lab, layout: str, against: Path | None) -> Iterator[Row]:
    """Deploy on bare hosts, twice; the second run has nothing to do."""
    other = _run_twice(lab, layout, against) if against else None
    first, second, facts = _run_twice(lab, layout, TREE)
    assert not second.changed, f"a run that should change nothing changed something: {second.changed}"
    yield from rows_of(layout, "first", first)
    yield from rows_of(layout, "no-op", second)
    for name, ours, before in (("first", first, other and other[0]), ("no-op", second, other and other[1])):
        yield counted(layout, name, ours.total, before.total if before else EXECUTIONS.get((layout, name)), facts.total)
        yield timed(layout, name, ours.seconds, before or facts, str(against or "facts alone"))


def counted(layout: str, name: str, ours: int, before: int | None, facts: int) -> Row:
    """Return the row of the executions, with a goal where they were counted when each file and unit was a task of its own."""
    other_name, goal = ("facts alone", NO_GOAL) if before is None else ("a task each", FEWER[name])
    return row(f"{layout}, {name}", "executions", "", ours, before or facts, other_name=other_name, goal=goal, runs=1)


def timed(layout: str, name: str, ours: float, other: Costs, other_name: str) -> Row:
    """Return the row of the seconds; those of a first deployment have a goal only beside another checkout."""
    first = NO_GOAL if other_name == "facts alone" else FIRST
    goal = first if name == "first" else Goal("ours", SECONDS[layout], "s")
    return row(f"{layout}, {name}", "time", "s", ours, other.seconds, other_name=other_name, goal=goal, runs=1)


def _run_twice(lab: Lab, layout: str, tree: Path) -> tuple[Costs, Costs, Costs]:
    names = sorted({name for members in LAYOUTS[layout].values() for name in members})
    try:
        deployment = Deployment(lab, layout, {host.name: host for host in lab.up(names=names)}, tree)
        facts = [{**play, "roles": []} for play in BOOK]
        return deployment.run(BOOK), deployment.run(BOOK), deployment.run(facts)
    finally:
        lab.down(*names)


def main() -> int:
    """Run the layouts, print the table, write build/bench/roles.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", nargs="*", default=[*LAYOUTS], choices=[*LAYOUTS], help="only these")
    parser.add_argument("--against", type=Path, help="another checkout with its own collections folder, to compare the times with")
    options = parser.parse_args()
    os.environ.setdefault("EDGE_LAB", "bench")
    lab = Lab()
    begun = time.monotonic()
    rows = [line for layout in options.layout for line in measured(layout, lambda one=layout: deployed(lab, one, options.against))]  # type: ignore[misc]
    head = {"machine": machine(), "load": os.getloadavg()[0], "seconds": round(time.monotonic() - begun)}
    return publish("bench/roles.json", head, rows)


if __name__ == "__main__":
    sys.exit(main())
