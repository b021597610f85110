# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica that exports recovery points on request: the real nginx and qemu-storage-daemon, and what its units run."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Images, Member, Recovery, Tls
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.granting import Granting
from ansible_collections.edge.cloud.plugins.module_utils._storage.leasing.records import LeaseFolder
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.exports import Exports, Listening, server
from support.image_server import free_port
from support.images import QEMU
from support.points_nbd import PointsNbd
from support.points_server import as_its_user, points_server
from support.recovery import Replica
from support.role_server import Server, role_server
from support.waiting import until

LOOK = 0.02


@dataclass
class LeasingReplica:
    """The replica ``rep1``; ``hour`` is added to its clock."""

    folder: Path
    replica: Replica
    images: Server
    points: Server
    nbd: PointsNbd
    readers: Sequence[str]
    hour: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def leases(self) -> LeaseFolder:
        return LeaseFolder(self.folder / "leases")

    def grant(self) -> None:
        """Do what the unit does once."""
        exports = Exports(self.replica.depot, QEMU, self.replica.machine.images)
        Granting(exports, self.leases, self.nbd.port, lambda: self.restart(exports)).run(time.time() + self.hour)

    def watch(self) -> None:
        """Do what the path unit does."""
        while not self.stopped.wait(LOOK):
            if any(self.leases.asked.iterdir()):
                self.grant()

    def restart(self, exports: Exports) -> None:
        """Start the NBD server again, with what is exported now; without anything it does not run."""
        self.end_nbd()
        nodes, _failed = exports.nodes()
        if nodes:
            listening = Listening("127.0.0.1", self.nbd.port, self.nbd.pki("127.0.0.1", "server"), tuple(self.readers))
            self.process = subprocess.Popen([*as_its_user(self.nbd.folder / "run"), *server(nodes, listening)], cwd=self.nbd.folder)
        self.starts += 1

    def end_nbd(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def cluster(self, host: str, *more: Member) -> Cluster:
        """Return the cluster as a host of it sees it, whose image server comes first in ``more``."""
        pair = self.images.pairs[host]
        own = Member("rep1", f"https://127.0.0.1:{self.images.port}/")
        points = Member("rep1", f"https://127.0.0.1:{self.points.port}/", keeps=True)
        tls = Tls(self.images.authority.ca_file, pair.cert, pair.key)
        others = tuple(Member(one.name, one.url, keeps=True) for one in more)
        where = (Images(root=self.folder / "none"), Recovery(self.folder / "none"))
        return Cluster("site", host, (*more, own), (), None, (*others, points), (), *where, tls)


@contextmanager
def leasing_replica(folder: Path, replica: Replica, readers: Sequence[str], others: Sequence[str] = ()) -> Iterator[LeasingReplica]:
    """Run it until the end of the block; ``readers`` and ``others`` have certificates."""
    for name in ("asked", "body", "state"):
        (folder / "leases" / name).mkdir(parents=True)
    names = [*readers, *others]
    more = {"readers": names, "requesters": names, "point_readers": readers, "leases": folder / "leases", "wanted": ""}
    with (
        role_server(folder, names, connections=64, **more) as images,
        points_server(folder / "points", images.authority, names, [], readers) as points,
    ):
        (folder / "points/recovery").mkdir()
        (folder / "points/recovery/points").symlink_to(replica.depot.root)
        nbd = PointsNbd(folder / "nbd", images.authority, free_port())
        (folder / "nbd/run").mkdir(parents=True)
        (folder / "nbd").chmod(0o711)
        for path in nbd.pki("127.0.0.1", "server").iterdir():
            path.chmod(0o444)
        found = LeasingReplica(folder, replica, images, points, nbd, readers)
        thread = threading.Thread(target=found.watch)
        thread.start()
        try:
            until(lambda: images.answers() and points.answers())
            yield found
        finally:
            found.stopped.set()
            thread.join()
            with suppress(OSError):
                found.end_nbd()
