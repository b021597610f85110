# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A datastore behind the real nginx for the cases of the storage bench that pull from it on loopback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.https import HttpsSource
from report import Row
from support.certificates import Authority, Pair
from support.image_server import Served, nginx


@dataclass(frozen=True)
class Cluster:
    """A served datastore and a client of its CA."""

    server: Served
    authority: Authority
    client: Pair

    def source(self) -> HttpsSource:
        return HttpsSource(self.server.url, Trust(self.authority.ca_file, self.client.cert, self.client.key))

    def curl(self, below: str) -> str:
        pair = f"--cacert {self.authority.ca_file} --cert {self.client.cert} --key {self.client.key}"
        return f"curl -sf {pair} {self.server.url}{below}"

    def bytes_sent(self) -> int:
        """Return the body bytes of all answers, manifests too."""
        return sum(int(line.split('"')[2].split()[1]) for line in self.server.requests())


def served(folder: Path, root: Path, work: Callable[[Cluster], list[Row]]) -> list[Row]:
    folder.mkdir(exist_ok=True)
    authority = Authority(folder / "ca")
    client = authority.issue("host.example")
    with nginx(folder / "nginx", root, authority, authority.issue("127.0.0.1")) as server:
        return work(Cluster(server, authority, client))
