# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files other domains of this host use, so that none of them becomes a disk of two, and none is deleted under its user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import Conflict, NotFound
from ..._libvirt import intent
from ..model.image_tools import ReadTool
from ..model.request import DomainOptions
from ..model.spec import Disk, DomainSpec
from ..xml.disk import read_file
from ..xml.properties import read_path
from .kinds import identity
from .observe import ObservedDomain, live_tree


@dataclass(frozen=True)
class Claim:
    """A file that a domain uses as disk ``target``; ``written`` where it may write the file itself, not only an overlay.

    ``format`` is what it uses the file as, None where it is not known.
    """

    domain: str
    target: str
    written: bool
    format: str | None = None


def claims_of(seen: ObservedDomain, tool: ReadTool) -> dict[str, Claim]:
    """Return which files a domain uses: as disks of its next start, of what runs now or is saved, and what is below those."""
    found: dict[str, Claim] = {}
    for disk in _disks(seen):
        path, target = read_file(disk), read_path(disk, "target@dev") or ""
        if not path:
            continue
        written = disk.find("readonly") is None
        for overlay in tool.chain(path, read_path(disk, "driver@type") or "raw"):
            claim = Claim(seen.name, target, written and overlay.path == path, overlay.format)
            if claim.written or overlay.path not in found:
                found[overlay.path] = claim
    return found


def format_in_use(path: str, claims: Iterable[Mapping[str, Claim]]) -> str | None:
    """Return the format as which domains use a file, by whatever name; raw where they differ: its guest writes all of it."""
    what = identity(path)
    formats = {claim.format for found in claims for name, claim in found.items() if claim.format and what in (name, identity(name))}
    return "raw" if "raw" in formats else next(iter(sorted(formats)), None)


def _disks(seen: ObservedDomain) -> Iterator[Element]:
    yield from seen.config.iterfind("devices/disk")
    if seen.run != "stopped":
        try:
            with intent(f"read domain {seen.name}"):
                live = live_tree(seen)
        except NotFound:  # it has just ended
            return
        yield from live.iterfind("devices/disk") if live is not None else ()


def new_disks(spec: DomainSpec, before: DomainSpec | None) -> list[Disk]:
    """Return the disks with a file that the domain does not have yet."""
    had = {disk.active for disk in before.disks} if before else set()
    return [disk for disk in spec.disks if disk.active and disk.active not in had]


def check_doubles(options: DomainOptions, disks: Sequence[Disk], new: Sequence[Disk]) -> None:
    """Raise Conflict where two disks of one domain are one file, by whatever name, and one of them is written."""
    first: dict[Any, Disk] = {}
    for disk in disks:
        other = first.setdefault(identity(disk.active), disk) if disk.active else disk
        if other is not disk and not (disk.read_only and other.read_only) and (disk in new or other in new):
            where = f"{options.disk_path(disk.name)}.path"
            raise Conflict(
                f"{where}: {disk.active} is the file of disk {other.name} ({other.active}), too; a file that is written can be "
                "one disk only.",
                option=where,
                value=disk.active,
            )


def _by_file(claims: Mapping[str, Claim]) -> dict[Any, Claim]:
    """Return the claims by what their files are, so that a link or another mount does not hide one."""
    found: dict[Any, Claim] = {}
    for path, claim in claims.items():
        known = found.setdefault(identity(path), claim)
        if claim.written and not known.written:
            found[identity(path)] = claim
    return found


def check_below(
    options: DomainOptions, disks: Sequence[Disk], new: Sequence[Disk], claims: Mapping[str, Claim], tool: ReadTool
) -> None:
    """Raise where a new disk stands on a file that is not there, or that a disk of this or another domain writes."""
    given = {item.name for item in options.disks or () if item.path}
    writers = {identity(disk.active): disk for disk in disks if disk.active and not disk.read_only}
    known = _by_file(claims)
    for disk in disks:
        for below in tool.chain(disk.active, disk.active_format)[1:] if disk.active else ():
            where, what = f"{options.disk_path(disk.name)}.path", identity(below.path)
            if disk in new and disk.name in given and below.path.startswith("/") and below.size is None:
                raise NotFound(
                    f"{where}: {disk.active} stands on {below.path}, which is missing or not a {below.format or 'disk'}; put it "
                    "back, or name it by its new place (qemu-img rebase -u).",
                    option=where,
                    value=disk.active,
                )
            claim, writer = known.get(what), writers.get(what)
            if disk in new and claim and claim.written:
                raise _written(where, disk.active, below.path, f"disk {claim.target} of domain {claim.domain}")
            if writer and writer is not disk and (disk in new or writer in new):
                raise _written(where, disk.active, below.path, f"disk {writer.name}")


def _written(where: str, path: str, below: str, user: str) -> Conflict:
    return Conflict(
        f"{where}: {path} stands on {below}, which {user} writes; what is below a disk must stay as it is. Let only one of the two "
        "be a disk.",
        option=where,
        value=path,
    )


def check_claims(options: DomainOptions, disks: Sequence[Disk], claims: Mapping[str, Claim]) -> None:
    """Raise Conflict where one of the domain's new disks is a file that another domain writes, or that it would write under it."""
    asked = {item.name: f"{item.where}.path" for item in options.disks or ()}
    known = _by_file(claims)
    for disk in disks:
        claim = known.get(identity(disk.active))
        if claim is None or (disk.read_only and not claim.written):
            continue
        where = asked.get(disk.name, f"disk {disk.name}")
        raise Conflict(
            f"{where}: {disk.active} is used by disk {claim.target} of domain {claim.domain}, and domain {options.name} would have "
            f"it too; take it out of the disks of {claim.domain} first, which keeps the file.",
            option=where,
            value=disk.active,
            used_by=claim.domain,
        )
