# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VM reads what is not on its host yet: an NBD export of a replica, of an image or of a disk of a recovery point."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..._errors import InvalidInput

PORT, POINTS_PORT = 10809, 10810
POINT = "point-"  # begins the names of disks of recovery points
SERVER = re.compile(r"(?:nbds://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::([0-9]{1,5}))?/?")
URL = re.compile(r"nbds?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):([0-9]{1,5})/((?:point-)?[0-9a-f]{64})")


@dataclass(frozen=True)
class RemoteImage:
    """An image over NBD with TLS; ``size`` is its virtual size in bytes, 0 where it was not read.

    For a disk of a recovery point ``digest`` is the name of its export, which is no digest and begins with ``POINT``.
    """

    host: str
    port: int
    digest: str
    size: int = 0

    @property
    def export(self) -> str:
        """The export's name: the hexadecimal part of the digest."""
        return self.digest.removeprefix("sha256:")

    @property
    def is_point(self) -> bool:
        """Whether it is a disk of a recovery point, whose content is exported, not its file."""
        return self.digest.startswith(POINT)

    @property
    def format(self) -> str:
        """The format of what is exported."""
        return "raw" if self.is_point else "qcow2"

    @property
    def url(self) -> str:
        """What is kept and shown."""
        return f"nbds://{self.host}:{self.port}/{self.export}"

    @property
    def backing(self) -> str:
        """What the header of an overlay names: QEMU's form, in which the way of TLS has no place."""
        return f"nbd://{self.host}:{self.port}/{self.export}"


def from_url(url: str | None) -> RemoteImage | None:
    """Return what ``url`` or ``backing`` of a RemoteImage means; None where it means something else."""
    found = URL.fullmatch(url or "")
    if found is None:
        return None
    return RemoteImage(found[1], int(found[2]), found[3] if found[3].startswith(POINT) else f"sha256:{found[3]}")


def on_server(server: str, digest: str, option: str, usual: int = PORT) -> RemoteImage:
    """Return the image of a server, written as ``nbds://host:port`` or shorter; raise InvalidInput that names ``option``."""
    found = SERVER.fullmatch(server)
    port = int(found[2] or usual) if found else 0
    if not found or not 0 < port < 65536:
        raise InvalidInput(
            f"{option}: {server!r} is not valid; it must be the name or address of a replica host, such as "
            f"nbds://replica1.example:{usual}.",
            option=option,
            value=server,
        )
    return RemoteImage(found[1], port, digest)
