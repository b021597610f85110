# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as a host knows it: ``/etc/edge/cluster.json``, read only by this parser and refused unless all of it is valid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ._checked import ListOf, ObjectOf, a_boolean, a_name, a_path, a_percentage, a_size, an_integer
from ._errors import EdgeError, InvalidInput, NotFound, Unsupported
from ._json import load_json, require_schema
from ._sizes import MIB

FILE = Path("/etc/edge/cluster.json")
LARGEST = 4 * MIB
SCHEMA = 1


@dataclass(frozen=True)
class Member:
    """A host of the cluster and the ``https://`` URL of the images that it serves, with a slash at the end.

    ``nbd`` is the ``nbds://`` URL at which it gives images that have not arrived there, too. ``keeps`` is whether a host that gives
    recovery points keeps those of others; None where the file does not say.
    """

    name: str
    url: str
    nbd: str | None = None
    keeps: bool | None = None


@dataclass(frozen=True)
class Images:
    """This host's images: their folder, the folders of their users, and the limits of garbage collection, in bytes and seconds."""

    root: Path = Path("/var/lib/edge/images")
    disk_directories: tuple[Path, ...] = (Path("/var/lib/edge/vms"), Path("/var/lib/edge/recovery"))
    quota_bytes: int | None = None
    quota_percent: float | None = None
    minimum_age: int = 3600
    rate_limit: int | None = None
    scrub_rate_limit: int = 50 * MIB
    wanted: Path = Path("/var/lib/edge/wanted")


@dataclass(frozen=True)
class Recovery:
    """The recovery points that this host keeps as a replica: their folder, how many of each VM at least, and bytes of all files.

    ``rate_limit`` is the bytes a second at which they are pulled from other hosts.
    """

    root: Path = Path("/var/lib/edge/recovery/points")
    keep: int = 2
    quota_bytes: int | None = None
    rate_limit: int | None = None


@dataclass(frozen=True)
class Tls:
    """The host's certificate files."""

    ca_file: Path = Path("/etc/edge/pki/ca.crt")
    cert_file: Path = Path("/etc/edge/pki/host.crt")
    key_file: Path = Path("/etc/edge/pki/host.key")


@dataclass(frozen=True)
class Cluster:
    """A cluster as one of its hosts sees it. ``replicas`` and ``peers`` name every such host, this one included if it is one.

    ``hypervisors`` are the names of those that run VMs; None where the file does not say. ``points`` are the URLs at which hosts
    give recovery points; a hypervisor that serves no images is among them.
    """

    name: str
    host: str
    replicas: tuple[Member, ...] = ()
    peers: tuple[Member, ...] = ()
    hypervisors: tuple[str, ...] | None = None
    points: tuple[Member, ...] = ()
    frontends: tuple[str, ...] = ()
    images: Images = Images()
    recovery: Recovery = Recovery()
    tls: Tls = Tls()

    @property
    def is_replica(self) -> bool:
        """Whether this host keeps the cluster's copy of images."""
        return any(member.name == self.host for member in self.replicas)

    @property
    def keepers(self) -> tuple[Member, ...]:
        """The hosts that keep recovery points, this one included if it is one, with the URLs at which they give them.

        Where the file does not say which do, they are the replicas.
        """
        replicas = {member.name for member in self.replicas}
        return tuple(one for one in self.points if (one.name in replicas if one.keeps is None else one.keeps))

    @property
    def url(self) -> str | None:
        """The URL at which this host serves its images, or None."""
        return next((member.url for member in (*self.replicas, *self.peers) if member.name == self.host), None)

    @property
    def other_hypervisors(self) -> tuple[str, ...]:
        """The names of the other hosts that run VMs, or may run VMs where the file does not say which do."""
        known = self.hypervisors
        if known is None:
            known = tuple(member.name for member in (*self.peers, *self.replicas))
        return tuple(dict.fromkeys(name for name in known if name != self.host))

    def others(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        """Return ``members`` without this host."""
        return tuple(member for member in members if member.name != self.host)


def _url(value: Any, where: str) -> str:
    _require_url(value, where, "https")
    return str(value) if value.endswith("/") else f"{value}/"


def _nbd(value: Any, where: str) -> str:
    if _require_url(value, where, "nbds") not in ("", "/"):
        raise InvalidInput(f"{where}: {value!r:.200} has a path; write nbds://host[:port].")
    return str(value).rstrip("/")


def _require_url(value: Any, where: str, scheme: str) -> str:
    """Return the path of a URL that has a host, and neither a user nor a query."""
    parts = urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
    if parts is None or parts.scheme != scheme or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise InvalidInput(f"{where}: {value!r:.200} is not a URL of the form {scheme}://host[:port]/.")
    try:
        _port = parts.port
    except ValueError:
        raise InvalidInput(f"{where}: {value!r:.200} has no port from 0 to 65535.") from None
    return parts.path


MEMBER = ObjectOf({"name": a_name, "url": _url, "nbd": _nbd}, Member, ("name", "url"))
POINTS = ObjectOf({"name": a_name, "url": _url, "keeps": a_boolean}, Member, ("name", "url"))
IMAGES = ObjectOf(
    {
        "root": a_path,
        "disk_directories": ListOf(a_path),
        "quota_bytes": a_size,
        "quota_percent": a_percentage,
        "minimum_age": an_integer(0),
        "rate_limit": an_integer(1),
        "scrub_rate_limit": an_integer(0),
        "wanted": a_path,
    },
    Images,
)
RECOVERY = ObjectOf({"root": a_path, "keep": an_integer(2), "quota_bytes": a_size, "rate_limit": an_integer(1)}, Recovery)
TLS = ObjectOf({"ca_file": a_path, "cert_file": a_path, "key_file": a_path}, Tls)
CLUSTER = ObjectOf(
    {
        "name": a_name,
        "host": a_name,
        "replicas": ListOf(MEMBER),
        "peers": ListOf(MEMBER),
        "hypervisors": ListOf(a_name),
        "points": ListOf(POINTS),
        "frontends": ListOf(_url),
        "images": IMAGES,
        "recovery": RECOVERY,
        "tls": TLS,
    },
    Cluster,
    ("name", "host"),
)


def parse(data: bytes, where: str, *, strict: bool = True) -> Cluster:
    """Return the cluster that ``data`` describes, or raise InvalidInput that names ``where`` and the value.

    An unknown key is a mistake when the file is checked; a host that is a version behind its file ignores it (not ``strict``).
    """
    try:
        loaded = load_json(data, where, LARGEST)
        if isinstance(loaded, dict):
            require_schema(loaded, SCHEMA, where, InvalidInput)
            loaded.pop("schema", None)
        cluster: Cluster = CLUSTER(loaded if strict else CLUSTER.known(loaded), where)
        for members in (cluster.replicas, cluster.peers, cluster.points):
            _require_unique([member.name for member in members], where)
    except Unsupported:
        raise
    except EdgeError as error:
        raise InvalidInput(error.message, path=where) from None
    return cluster


def _require_unique(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{where}: the host {twice[0]} is named twice.")


def load(path: Path | None = None, *, strict: bool = False) -> Cluster:
    """Return the cluster of this host, as ``path`` or else FILE describes it; NotFound says which role writes it. See ``parse``."""
    path = path or FILE
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist; the role edge.cloud.host writes it.", path=str(path)) from None
    return parse(data, str(path), strict=strict)


def load_if_there() -> Cluster | None:
    """Return the cluster of this host, None where it is in none; see ``load``."""
    try:
        return load()
    except NotFound:
        return None
