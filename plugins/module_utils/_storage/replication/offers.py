# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host gives of recovery points, over HTTPS: lists, documents and parts of files. What it says may be anything."""

from __future__ import annotations

import http.client
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ..._cluster import Member
from ..._errors import Corrupt, InvalidInput, NotFound
from ..._generation import LARGEST_JSON, UUID, File, Generation, Point, file_name, parse, point_name, point_of
from ..._json import load_json
from ..._sizes import MIB
from ..transfer.http_client import Connection, Trust

SECONDS = 10.0
LARGEST_LIST = 4 * MIB
MOST_NAMES = 16384


@dataclass(frozen=True)
class Offer:
    """A generation at a host: one that it made of its VM, or with ``kept`` one that it keeps as a replica."""

    uuid: str
    point: Point
    kept: bool = False

    @property
    def name(self) -> str:
        """EPOCH.NUMBER."""
        return point_name(self.point)

    @property
    def document(self) -> str:
        """Where its document is below the host's URL."""
        return f"points/{self.uuid}/{self.name}.json" if self.kept else f"outgoing/{self.uuid}/{self.name}/generation.json"

    def file(self, file: File) -> str:
        """Where a file of it is below the host's URL."""
        folder = f"points/{self.uuid}/files" if self.kept else f"outgoing/{self.uuid}/{self.name}"
        return f"{folder}/{file_name(file.digest)}"


def names_in(data: bytes, kind: str, where: str) -> list[str]:
    """Return the names of the entries of one kind in nginx's JSON list of a folder; Corrupt for anything else or too much of it."""
    entries = load_json(data, where, LARGEST_LIST)
    if not isinstance(entries, list) or len(entries) > MOST_NAMES:
        raise Corrupt(f"{where} is not a list of at most {MOST_NAMES} entries; it was not used.", where=where)
    found = [entry.get("name") for entry in entries if isinstance(entry, dict) and entry.get("type") == kind]
    return [name for name in found if isinstance(name, str)]


def points_in(names: list[str]) -> list[Point]:
    """Return the points that names are of, the oldest first; other names are left out, as those of work that is not finished."""
    found = set()
    for name in names:
        try:
            found.add(point_of(name))
        except InvalidInput:
            continue
    return sorted(found)


class Offers:
    """The recovery points of one host. Raises NotFound for what it lacks, Corrupt for what is not right, else Unreachable."""

    def __init__(self, member: Member, trust: Trust, seconds: float = SECONDS) -> None:
        self.host = member.name
        self._connection = Connection(member.url, trust, seconds)

    def vms(self) -> list[str]:
        """Return the UUIDs of the VMs whose points it gives."""
        return sorted({name for name in self._names("outgoing/", "directory") if UUID.fullmatch(name)})

    def made(self, uuid: str) -> list[Point]:
        """Return the points of a VM that it made and still has."""
        return points_in(self._names(f"outgoing/{uuid}/", "directory"))

    def kept(self, uuid: str) -> list[Point]:
        """Return the points of a VM that it keeps as a replica, the oldest first; none of a VM that it does not know."""
        try:
            names = self._names(f"points/{uuid}/", "file")
        except NotFound:
            return []
        return points_in([name.removesuffix(".json") for name in names if name.endswith(".json")])

    def _names(self, below: str, kind: str) -> list[str]:
        where = f"{self._connection.name} ({below})"
        return names_in(self._connection.fetch(below, LARGEST_LIST), kind, where)

    def document(self, offer: Offer) -> Generation:
        """Return a generation, which is of the VM and the point that its place says."""
        where = f"{self._connection.name} ({offer.document})"
        found = parse(self._connection.fetch(offer.document, LARGEST_JSON), where)
        if found.vm.uuid != offer.uuid or found.point != offer.point:
            raise Corrupt(f"{where} is the generation {found.name} of the VM {found.vm.uuid}; it was not taken.", where=where)
        return found

    def read(self, offer: Offer, file: File, offset: int) -> AbstractContextManager[http.client.HTTPResponse]:
        """Open a file of a generation from ``offset`` to its end."""
        return self._connection.read_range(offer.file(file), offset, file.size - offset)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
