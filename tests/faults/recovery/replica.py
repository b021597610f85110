# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica with nine recovery points of a VM, a host that gives two more over TLS, and what must hold after each fault."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._generation import Generation, file_name
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.digest import checksum_of
from recovery.running import Programs
from support.certificates import Authority
from support.points_server import Maker, points_server
from support.recovery import CLUSTER, UUID, Machine, Replica, require_same
from support.role_server import Server

KEPT, KEEP = 9, 3
GIVEN = ("0.10", "0.11")


@dataclass
class Scene:
    """What all tries begin with; ``server`` gives the points of the VM's host."""

    folder: Path
    dice: random.Random
    machine: Machine
    before: Replica
    maker: Maker
    authority: Authority
    server: Server
    made: dict[str, Generation]
    tries: int = 0

    def fresh(self, **recovery: Any) -> Try:
        """Return a replica as it was before, with what its ``cluster.json`` says of recovery points."""
        self.tries += 1
        folder = self.folder / f"try-{self.tries}"
        folder.mkdir()
        return Try(self, folder, self.before.copied(folder / "points"), recovery)


@dataclass
class Try:
    """One replica, as the faults find it."""

    scene: Scene
    folder: Path
    replica: Replica
    recovery: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def programs(self) -> Programs:
        """The programs of this replica, with its ``cluster.json``."""
        ca, pair = self.scene.authority.ca_file, self.scene.server.pairs["b"]
        own = {"name": "b", "url": "https://127.0.0.1:1/"}
        giver = {"name": "a", "url": f"https://127.0.0.1:{self.scene.server.port}/"}
        about = {
            "schema": 1,
            "name": "site",
            "host": "b",
            "replicas": [own],
            "points": [own, giver],
            "images": {"root": str(self.scene.machine.images.root), "wanted": str(self.folder / "wanted")},
            "recovery": {"root": str(self.replica.depot.root), "keep": KEEP, **self.recovery},
            "tls": {"ca_file": str(ca), "cert_file": str(pair.cert), "key_file": str(pair.key)},
        }
        config = self.folder / "cluster.json"
        config.write_text(json.dumps(about))
        return Programs((str(self.folder),), config, (("RESTIC_CACHE_DIR", f"{self.folder}/cache"),))

    def harm(self, names: set[str]) -> list[str]:
        """Return what is wrong now: each of ``names`` is to be listed, with its state and the bytes of all its files.

        That the bytes are those of the disk is read by QEMU: of the newest point, and of another one.
        """
        depot = Depot(self.replica.depot.root)
        listed = depot.listed(UUID)
        wrong = [f"{one.name}: {one.why}" for one in listed.unreadable] + [f"{name} is damaged" for name in listed.damaged]
        found = {one.name: one for one in listed.whole}
        wrong += [f"{name} is gone" for name in sorted(names - set(found))]
        for name, one in found.items():
            files = {file.digest: depot.path_of(UUID, file.digest) for file in one.needs}
            wrong += [f"{name} lacks {path}" for digest, path in files.items() if checksum_of(path, "sha256") != digest]
            wrong += [f"{name} is another point"] if one.content != self.scene.made[name].content else []
        for name in {max(found, key=lambda one: found[one].point), self.scene.dice.choice(sorted(found))}:
            try:
                self.replica.require_content(name)
            except AssertionError as error:
                wrong.append(f"{name} differs: {error}")
        return wrong

    def restores(self) -> list[str]:
        """Return what is wrong with the newest listed point once it is restored."""
        newest, path = self.replica.names[-1], self.folder / "newest.qcow2"
        done = self.programs.run("point", "restore", "--vm", UUID, "--path", str(path), "--whole")
        if done["rc"] != 0:
            return [f"{newest} is not restored: {done}"]
        try:
            require_same(path, self.scene.machine.contents[newest])
        except AssertionError as error:
            return [f"{newest} is restored with other bytes: {error}"]
        path.unlink()
        return []

    def left(self) -> list[str]:
        """Return what is left that nothing needs, after the next run of ``tidy``."""
        self.programs.good("point", "tidy")
        depot = self.replica.depot
        needed = {file_name(file.digest) for one in depot.listed(UUID).generations for file in one.needs}
        files = {path.name for path in depot.files(UUID).iterdir()}
        work = {path.name for path in depot.partial.iterdir()} - {"pull.lock", "pulled"}
        coming = {path.name for path in (depot.partial / "pulled").glob("*/*/*")}
        return sorted((files ^ needed) | work | coming)

    def done(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder)


@contextmanager
def scene(folder: Path, dice: random.Random) -> Iterator[Scene]:
    """Make the points, and serve two of them."""
    machine, maker = Machine(folder / "machine"), Maker(folder / "a")
    before, made = Replica(machine, folder / "before"), dict[str, Generation]()
    for number in range(KEPT + len(GIVEN)):
        machine.write(number * CLUSTER, 2 * CLUSTER, number + 1)
        machine.write(dice.randrange(40, 60) * CLUSTER, CLUSTER, dice.choice([0, 77]))
        point = machine.point()
        made[point.name] = machine.generation
        if number < KEPT:
            before.intake.take(point)
        else:
            maker.give(machine, point)
    authority = Authority(folder / "ca")
    with points_server(maker.folder, authority, ["b"], ["b"], ["b"]) as server:
        yield Scene(folder, dice, machine, before, maker, authority, server, made)
