# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that disks begin as: what their names mean, and whether they are here, can be read from afar, or can be brought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ..._errors import Conflict, EdgeError, error_about
from ..._shown import few
from ..model.host_facts import Folders, Offer
from ..model.image_tools import ImageTool
from ..model.remote_image import RemoteImage, from_url
from ..model.request import DiskOptions, DomainOptions
from ..model.state import VmState
from ..options.resolve import asked_servers

DIGEST = "sha256:"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Images:
    """The images of one look at a host: each name, size and offer is asked for once, whatever the number of VMs."""

    tool: ImageTool
    folders: Folders
    _sizes: dict[str, int | None] = field(default_factory=dict)
    _templates: dict[str, Mapping[str, Any] | EdgeError] = field(default_factory=dict)
    _named: dict[tuple[str, str], bool | EdgeError | None] = field(default_factory=dict)
    _newest: dict[str, str | None] = field(default_factory=dict)
    _chosen: dict[str, str | EdgeError] = field(default_factory=dict)
    _offers: dict[str, Offer | EdgeError] = field(default_factory=dict)
    _stay: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def size(self, digest: str) -> int | None:
        """Return the virtual size in bytes of an image of the host cache, None where it is not there."""
        if digest not in self._sizes:
            self._sizes[digest] = self.tool.image_size(digest)
        return self._sizes[digest]

    def template(self, digest: str, option: str) -> Mapping[str, Any]:
        """Return the JSON of what a VM of an image begins with; errors about its manifest are about ``option``."""
        if digest not in self._templates:
            self._templates[digest] = _tried(lambda: self.tool.image_template(digest))
        return _answer(self._templates[digest], option, digest)

    def with_digests(self, options: DomainOptions, state: VmState) -> DomainOptions:
        """Return the options with the digests of the images that they name.

        A disk that is there stays what it is: a name alone never means another image for it, and no host is asked.
        """
        if options.disks is None:
            return options
        return replace(options, disks=tuple(self._with_digest(item, state) for item in options.disks))

    def _with_digest(self, item: DiskOptions, state: VmState) -> DiskOptions:
        text, option = item.image, f"{item.where}.image"
        if not text or text.startswith(DIGEST):
            return item
        had = self._had(item, state)
        if had is None:
            return replace(item, image=self._choose(text, option))
        if self._is_named(had, text, option) is False:
            raise Conflict(
                f"{option}: disk {item.name} of domain {state.name} began as another image ({had}), {text} was asked; a disk is "
                "never recreated. Name another disk, or delete this one with the domain.",
                option=option,
                value=text,
            )
        if ":" not in text and (newest := self._newest_here(text)) not in (None, had):
            self._stay.setdefault((text, str(newest)), []).append(state.name)
        return replace(item, image=had)

    def _is_named(self, digest: str, text: str, option: str) -> bool | None:
        if (digest, text) not in self._named:
            self._named[digest, text] = _tried(lambda: self.tool.is_named(digest, text))
        return _answer(self._named[digest, text], option, text)

    def _newest_here(self, name: str) -> str | None:
        if name not in self._newest:
            self._newest[name] = self.tool.newest_here(name)
        return self._newest[name]

    def _choose(self, text: str, option: str) -> str:
        if text not in self._chosen:
            self._chosen[text] = _tried(lambda: self.tool.choose_image(text))
        return _answer(self._chosen[text], option, text)

    def _had(self, item: DiskOptions, state: VmState) -> str | None:
        """Return the image of a disk that is there, by its record, else by the image below a file that was kept."""
        recorded = [one.image for one in (state.record.volumes if state.record else ()) if one.disk == item.name]
        return recorded[0] if recorded else next(self._below(state.name, item.name), None)

    def _below(self, name: str, disk: str) -> Iterator[str]:
        for path in self._files(name, disk):
            try:
                backing = self.tool.info(str(path), "qcow2").backing or ""
            except (EdgeError, OSError):
                continue
            remote, place = from_url(backing), PurePosixPath(backing)
            if remote is not None and not remote.is_point:
                yield remote.digest
            elif str(place.parent) == self.folders.images:
                yield DIGEST + place.stem

    def _files(self, name: str, disk: str) -> list[Path]:
        return sorted(Path(self.folders.vm(name)).glob(f"{disk}.*qcow2"))

    def _new(self, options: DomainOptions) -> Iterator[tuple[DiskOptions, str]]:
        """Yield disks that are to be made of an image that is not in the host cache."""
        for item in options.disks or ():
            if item.image and not self._files(options.name, item.name) and self.size(item.image) is None:
                yield item, item.image

    def remote(self, options: DomainOptions) -> dict[str, RemoteImage]:
        """Return where images that new disks need can be read until they are in the host cache."""
        servers = asked_servers(options)
        needed = {image: item for item, image in self._new(options)} if servers else {}
        return {image: self.tool.remote_image(image, servers, f"{item.where}.image") for image, item in needed.items()}

    def offers(self, options: DomainOptions) -> tuple[dict[str, Offer], dict[str, EdgeError]]:
        """Return the images that can be brought before new disks are made of them, and why others cannot."""
        asked = {image: self._offer(image) for _item, image in self._new(options)} if not options.image_servers else {}
        given = {image: one for image, one in asked.items() if isinstance(one, Offer)}
        return given, {image: one for image, one in asked.items() if isinstance(one, EdgeError)}

    def _offer(self, digest: str) -> Offer | EdgeError:
        if digest not in self._offers:
            self._offers[digest] = _tried(lambda: self.tool.offer(digest))
        return self._offers[digest]

    def warnings(self) -> list[str]:
        """Return a sentence for each name that means a newer image by now than disks of it have."""
        return [
            f"{text} means {newest} on this host now; disks of it that are there keep the image that they began as "
            f"({few(dict.fromkeys(names), 5)})."
            for (text, newest), names in self._stay.items()
        ]


def _tried(ask: Callable[[], Answer]) -> Answer | EdgeError:
    """Return an answer or the error instead of it, so that a silent host is not asked for each VM again."""
    try:
        return ask()
    except EdgeError as error:
        return error


def _answer(found: Answer | EdgeError, option: str, value: str) -> Answer:
    if isinstance(found, EdgeError):
        raise error_about(found, option, value)
    return found
