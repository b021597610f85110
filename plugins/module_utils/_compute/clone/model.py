# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone as plain frozen data: which disks are copied to where, and what the new domain is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DiskCopy:
    """One disk to copy; ``files`` are its files of the source VM from the active one down, ``target`` its device name.

    ``image`` is the image of the host cache that the copy stands on, as ``source`` does. A disk that stands on other files is
    copied ``flat``: from all of them into one qcow2. ``size`` is what the guest sees, ``allocated`` what the copy can take; bytes.
    """

    target: str
    name: str
    files: tuple[str, ...]
    source: str
    format: str
    path: str
    size: int
    allocated: int
    image: str | None = None
    flat: bool = False

    @property
    def made_format(self) -> str:
        """The format of the copy."""
        return "qcow2" if self.flat else self.format


@dataclass(frozen=True)
class Names:
    """What is another in the clone: names, folders, files of disks by their targets, and MAC addresses by those of the source.

    ``taps`` are the names of the host's devices of interfaces in virtual networks, by the names of those of the source.
    """

    old: str
    new: str
    uuid: str
    old_home: str
    new_home: str
    disks: Mapping[str, DiskCopy] = field(default_factory=dict)
    macs: Mapping[str, str] = field(default_factory=dict)
    nvram: str | None = None
    taps: Mapping[str, str] = field(default_factory=dict)

    def moved(self, path: str | None) -> str | None:
        """Return where a file of the source's folder is in the clone's; any other path stays."""
        if path and path.startswith(self.old_home + "/"):
            return self.new_home + path.removeprefix(self.old_home)
        return path

    def mac(self, found: str) -> str:
        """Return the MAC address in the clone."""
        return self.macs.get(found.lower(), found)
