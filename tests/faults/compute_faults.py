# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of VMs and their disks on lab hosts: killed, starved, unplugged. A guest streams to a disk all along, and loses nothing.

``lost`` counts tries after which a block of the stream was missing or damaged, or the next run did not complete; ``doubled`` counts
those that left something behind that nothing needs (an overlay, a second VM). A try counts only if its fault hit while the change
was under way. Cases are in files of their own, each with ``cases()``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_lab.api import Lab, unusable
from support.outcomes import Outcome, not_run, table_row
from support.report import publish
from support.stream_host import StreamHost

FILES = ("snapshot_faults", "disk_faults", "migration_faults")
TREE = Path(__file__).resolve().parents[2]
DRIVER = "/root/edge-faults"


@dataclass
class Stage:
    """What a case has: the lab, a folder of this machine, dice, and the releases to try; ``hosts`` are removed at the end."""

    lab: Lab
    folder: Path
    dice: random.Random
    releases: tuple[str, ...]
    hosts: list[str] = field(default_factory=list)

    def up(self, name: str, release: str) -> Any:
        """Have a lab host with libvirt and QEMU."""
        self.fresh(name)
        return self.lab.up(names=[name], variant="full", release=release)[0]

    def fresh(self, *names: str) -> None:
        """Remove hosts that a run which was killed left behind, and these at the end."""
        self.lab.down(*names)
        self.hosts += names


@dataclass(frozen=True)
class Case:
    """One kind of fault; ``run`` yields for each try whether something was lost and left behind, or MISSED."""

    name: str
    run: Callable[[], Iterator[Outcome]]


def on_host(stage: Stage, scene: Callable[[Stage, str], Any]) -> Callable[..., Case]:
    """Return a maker of cases that get the ``scene`` of their release; each is made when the first case of it runs."""
    made = cache(partial(scene, stage))

    def case(name: str, release: str, run: Any, *arguments: Any) -> Case:
        return Case(f"{release}: {name}", lambda: run(made(release), *arguments))

    return case


class Driven(StreamHost):
    """A lab host with the library and ``vm_driver``, which changes the VM ``vm``; ``hit`` tells whether its last kill was done."""

    vm = "victim"
    hit = False

    def __init__(self, stage: Stage, release: str) -> None:
        host = stage.up(f"fault-{release[:4]}", release)
        super().__init__(host, stage.lab.inventory, stage.folder)
        self.dice = stage.dice
        self.run("mkdir", "-p", DRIVER)
        self.run("rm", "-rf", f"{DRIVER}/module_utils")
        host.put(TREE / "plugins/module_utils", f"{DRIVER}/module_utils")
        host.put(Path(__file__).with_name("vm_driver.py"), f"{DRIVER}/driver.py")

    def drive(self, state: str, kill: dict[str, Any] | None, **options: Any) -> dict[str, Any]:
        """Change the VM, with a kill, and return what vm_driver printed; ``{}`` where it was the victim itself."""
        order = json.dumps({"name": self.vm, "state": state, "kill": kill or {}, **options})
        argv = ["env", f"PYTHONPATH={DRIVER}", "python3", f"{DRIVER}/driver.py", order]
        done = self.host.run(argv, check=False, timeout=600)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        results: list[dict[str, Any]] = [line for line in lines if "hit" not in line]
        if kill:
            self.hit = len(results) < len(lines)
        assert results or (kill and kill["who"] == "self" and self.hit), f"vm_driver ended without a result: {done.stderr}"
        return results[-1] if results else {}

    def steps(self, state: str, **options: Any) -> list[str]:
        """Return the sentences of the steps that a change would take now."""
        plan: list[str] = self.drive(state, None, check=True, **options)["actions"]
        return plan

    def written_by_now(self, known: int) -> int:
        """Return the blocks on the guest's disk after a fault, or what is ``known`` where a block job writes it, too.

        A look would find what is half written then, and a QEMU 7.2 died of a segmentation fault while its guest was held for one.
        """
        self.run("virsh", "domstate", self.vm)  # waits for a libvirtd that begins again
        job = self.run("virsh", "blockjob", self.vm, "vda", ok=False)
        return known + 1 if "[" in job else self.written(self.vm)

    def awake(self) -> None:
        """Have the guest run and write, if it is stopped or held."""
        for verb in {"shut off": ("start",), "paused": ("resume",)}.get(self.state(self.vm), ()):
            self.run("virsh", verb, self.vm)
        self.wait_more(self.vm, 3)


def collect(stage: Stage, only: str) -> list[Case]:
    """Return the cases of every file, those whose name has ``only`` in it."""
    files = [import_module(name) for name in FILES]
    return [case for file in files for case in file.cases(stage) if only in case.name]


def main() -> int:
    """Run all, print the table, write build/faults/compute.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--release", action="append", choices=["trixie", "bookworm"])
    parser.add_argument("--only", default="", help="run the cases with this text in their name")
    options = parser.parse_args()
    os.environ.setdefault("EDGE_LAB", "faults")
    releases = tuple(options.release or ("trixie", "bookworm"))
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Lab(), Path(folder), random.Random(options.seed), releases)
        reason = unusable()
        try:
            found = collect(stage, options.only)
            rows = [not_run(case.name, reason) if reason else table_row(case.name, case.run()) for case in found]
        finally:
            if stage.hosts:
                stage.lab.down(*stage.hosts)
    return publish("faults/compute.json", {"seed": options.seed}, rows)


if __name__ == "__main__":
    sys.exit(main())
