# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of a cluster on loopback: the real nginx with the role's own configuration, and edge-host in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Member, parse
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.certificates import Authority
from support.image_server import _wait_for, free_port, role_configuration

NAME = "127.0.0.1"  # in the certificate of every host
EDGE_HOST = "import sys; from ansible_collections.edge.cloud.plugins.module_utils._host.cli import main; sys.exit(main())"


@dataclass
class Host:
    """A host of the cluster: its folder, its URL, and the programs that run for it."""

    name: str
    folder: Path
    port: int
    pki: Path
    wanted: bool = False
    rate: str = ""
    readers: tuple[str, ...] = (NAME,)
    stack: ExitStack = field(default_factory=ExitStack)
    processes: list[subprocess.Popen[Any]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def member(self) -> Member:
        return Member(self.name, f"https://127.0.0.1:{self.port}/")

    @property
    def store(self) -> Store:
        return Store(self.folder / "images")

    @property
    def config(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def cluster(self) -> Cluster:
        return parse(self.config.read_bytes(), str(self.config))

    def served(self) -> int:
        """Return the bytes of images that nginx sent to others."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if ".qcow2" in line.split()[0])

    def edge_host(self, *argv: str) -> subprocess.Popen[str]:
        """Start edge-host in a process group of its own."""
        command = [sys.executable, "-c", EDGE_HOST, "--config", str(self.config), *argv]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.processes.append(process)
        return process

    def start(self) -> None:
        """Serve, and on a replica do what edge-fill.path does."""
        for name in ("images", "wanted/asked", "wanted/body", "wanted/state"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.stopped.clear()
        (self.folder / "nginx.conf").write_text(self._nginx())
        argv = ["/usr/sbin/nginx", "-e", str(self.folder / "error.log"), "-c", str(self.folder / "nginx.conf")]
        process = subprocess.Popen([*argv, "-g", f"pid {self.folder}/nginx.pid; daemon off;"], start_new_session=True)
        self.processes.append(process)
        _wait_for(self.port, process)
        if self.wanted:
            threading.Thread(target=self._path_unit, daemon=True).start()

    def _path_unit(self) -> None:
        asked = self.folder / "wanted/asked"
        while not self.stopped.wait(0.05):
            if any(asked.iterdir()):
                self.edge_host("fill").communicate()

    def kill(self) -> None:
        """Pull the plug."""
        self.stopped.set()
        for process in list(self.processes):
            if process.poll() is None:  # the number of one that ended may be another's by now
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def _nginx(self) -> str:
        rendered = role_configuration(
            image_server_port=self.port,
            image_server_pki_dir=self.pki,
            image_server_root=self.folder / "images",
            image_server_wanted=str(self.folder / "wanted") if self.wanted else "",
            image_server_connections=256,
            image_server_readers=self.readers,
            image_server_requesters=[NAME],
        )
        log = f'log_format bytes "$uri $body_bytes_sent"; access_log {self.folder}/access.log bytes;'
        limit = f"limit_rate {self.rate};" if self.rate else ""
        temporary = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        body = "" if self.wanted else f"client_body_temp_path {self.folder}/body;"
        text = rendered.replace("user www-data;", "user root;" if os.geteuid() == 0 else "")
        text = text.replace("access_log off;", f"{log} {limit} {temporary} {body}")
        return re.sub(r"worker_processes auto;", "worker_processes 1;", text)


def _entry(member: Member) -> dict[str, str]:
    """Return a host as cluster.json names those that serve images."""
    return {"name": member.name, "url": member.url, **({"nbd": member.nbd} if member.nbd else {})}


@dataclass(frozen=True)
class Site:
    """A Front-end, and a cluster's replicas and peers."""

    front: Host
    replicas: list[Host]
    peers: list[Host]

    def describe(self, **images: Any) -> None:
        """Write each host's cluster.json."""
        for host in (*self.replicas, *self.peers):
            shown = {
                "name": "site1",
                "host": host.name,
                "replicas": [_entry(one.member) for one in self.replicas],
                "peers": [_entry(one.member) for one in self.peers],
                "frontends": [self.front.member.url],
                "images": {"root": str(host.store.root), "wanted": str(host.folder / "wanted"), "disk_directories": [], **images},
                "tls": {
                    "ca_file": str(host.pki / "ca.crt"),
                    "cert_file": str(host.pki / "host.crt"),
                    "key_file": str(host.pki / "host.key"),
                },
            }
            host.folder.mkdir(exist_ok=True)
            host.config.write_text(json.dumps(shown))


@contextmanager
def site(folder: Path, replicas: Sequence[str], peers: Sequence[str], rate: str = "") -> Iterator[Site]:
    """Run the hosts until the end of the block; ``rate`` is that of a connection to the Front-end."""
    authority = Authority(folder / "ca")
    pair = authority.issue(NAME)
    pki = folder / "pki"
    pki.mkdir()
    for source, name in ((authority.ca_file, "ca.crt"), (pair.cert, "host.crt"), (pair.key, "host.key")):
        (pki / name).write_bytes(source.read_bytes())
    (pki / "crl.pem").write_text(authority.revocations())
    made = Site(
        Host("front", folder / "front", free_port(), pki, rate=rate),
        [Host(name, folder / name, free_port(), pki, wanted=True) for name in replicas],
        [Host(name, folder / name, free_port(), pki) for name in peers],
    )
    hosts = [made.front, *made.replicas, *made.peers]
    try:
        made.describe()
        for host in hosts:
            host.start()
        yield made
    finally:
        for host in hosts:
            host.kill()
