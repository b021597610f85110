# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real qemu-storage-daemon that exports recovery points."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.exports import Listening, server
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.layers import Node
from support.certificates import Authority
from support.image_server import free_port
from support.points_server import as_its_user
from support.waiting import until


class PointsNbd:
    """The server, and clients of it that have a certificate each."""

    def __init__(self, folder: Path, authority: Authority, port: int) -> None:
        self.folder, self.port, self._authority = folder, port, authority

    def pki(self, name: str, kind: str = "client") -> Path:
        """Return a folder with a certificate, as QEMU looks for it."""
        found = self.folder / f"pki-{name.replace('/', '-')}"
        if not found.exists():
            found.mkdir(mode=0o711)
            pair = self._authority.issue(name)
            shutil.copy(self._authority.ca_file, found / "ca-cert.pem")
            shutil.copy(pair.cert, found / f"{kind}-cert.pem")
            shutil.copy(pair.key, found / f"{kind}-key.pem")
            (found / "ca-crl.pem").write_text(self._authority.revocations())
        return found

    def answers(self) -> bool:
        """Return whether the server listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def read(self, client: str, export: str, raw: Path) -> subprocess.CompletedProcess[str]:
        """Copy an export into a raw file, with the certificate of a client."""
        tls = f"tls-creds-x509,id=tls,endpoint=client,dir={self.pki(client)}"
        url = f"driver=nbd,host=127.0.0.1,port={self.port},export={export},tls-creds=tls"
        argv = ["qemu-img", "convert", "--object", tls, "--image-opts", "-O", "raw", url, str(raw)]
        return subprocess.run(argv, check=False, capture_output=True, text=True)

    def write(self, client: str, export: str) -> subprocess.CompletedProcess[str]:
        """Try to write to an export."""
        tls = f"tls-creds-x509,id=tls,endpoint=client,dir={self.pki(client)}"
        url = f"driver=nbd,host=127.0.0.1,port={self.port},export={export},tls-creds=tls"
        argv = ["qemu-io", "--object", tls, "--image-opts", "-c", "write 0 512", url]
        return subprocess.run(argv, check=False, capture_output=True, text=True)


@contextmanager
def points_nbd(folder: Path, authority: Authority, nodes: Mapping[str, Node], readers: Sequence[str]) -> Iterator[PointsNbd]:
    """Run the server until the end of the block, with the rights of its unit."""
    folder.mkdir(mode=0o711)
    found = PointsNbd(folder, authority, free_port())
    pki = found.pki("127.0.0.1", "server")
    (run := folder / "run").mkdir()
    user = as_its_user(run)
    for path in pki.iterdir():
        path.chmod(0o444)
    argv = [*user, *server(dict(nodes), Listening("127.0.0.1", found.port, pki, tuple(readers)))]
    with subprocess.Popen(argv, cwd=run) as process:
        try:
            until(lambda: process.poll() is not None or found.answers())
            yield found
        finally:
            process.terminate()
