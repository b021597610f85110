# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab keeps its things and what they are called; all from the environment, nothing else is configured."""

from __future__ import annotations

import ipaddress
import os
import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .command import LabError

DEFAULT_NAME = "lab"
_NAME = re.compile(r"[a-z][a-z0-9]{0,7}")


@dataclass(frozen=True)
class Settings:
    """The fixed facts of one lab. Labs of different names on one machine share base file systems and nothing else."""

    name: str
    directory: Path
    """Disk space: base file systems, hosts' disks, keys (EDGE_LAB_DIR)."""
    subnet: ipaddress.IPv4Network
    mirror: str

    @classmethod
    def from_environment(cls) -> Settings:
        """Read EDGE_LAB, EDGE_LAB_DIR, EDGE_LAB_SUBNET and EDGE_LAB_MIRROR."""
        name = os.environ.get("EDGE_LAB", DEFAULT_NAME)
        if not _NAME.fullmatch(name):
            raise LabError(f"EDGE_LAB={name!r}: a lab's name is 1 to 8 lower-case letters and digits, a letter first.")
        octet = 0 if name == DEFAULT_NAME else 1 + zlib.crc32(name.encode()) % 255
        text = os.environ.get("EDGE_LAB_SUBNET", f"198.18.{octet}.0/24")
        try:
            subnet = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise LabError(f"EDGE_LAB_SUBNET={text!r}: {error}. Give an IPv4 network like 198.18.0.0/24.") from error
        if subnet.prefixlen > 28:
            raise LabError(f"EDGE_LAB_SUBNET={text!r}: too small for a lab. Give a /28 or larger.")
        directory = Path(os.environ.get("EDGE_LAB_DIR", "/var/cache/edge-lab"))
        if not directory.is_absolute() or re.search(r"[:,\\\s]", str(directory)):
            raise LabError(f"EDGE_LAB_DIR={str(directory)!r}: give an absolute path without colon, comma, backslash and space.")
        return cls(name, directory, subnet, os.environ.get("EDGE_LAB_MIRROR", ""))

    @property
    def bases(self) -> Path:
        """Read-only base root file systems."""
        return self.directory / "base"

    @property
    def home(self) -> Path:
        """All files of this lab that live on disk."""
        return self.directory / "labs" / self.name

    @property
    def hosts(self) -> Path:
        """One directory for each host: its description, its disk, its console log."""
        return self.home / "hosts"

    @property
    def run(self) -> Path:
        """State that ends with the machine's uptime: locks, cuts, slow links, routes."""
        return Path("/run/edge-lab" if self.name == DEFAULT_NAME else f"/run/edge-lab-{self.name}")

    @property
    def key(self) -> Path:
        """Private key that enters every host as root."""
        return self.home / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys of every host."""
        return self.home / "known_hosts"

    @property
    def inventory(self) -> Path:
        """Ansible inventory of every host."""
        return self.home / "inventory.yml"

    @property
    def bridge(self) -> str:
        """The bridge that all hosts are on."""
        return "edgelab0" if self.name == DEFAULT_NAME else f"eb-{self.name}"

    @property
    def table(self) -> str:
        """Name of the nftables tables."""
        return "edge_lab" if self.name == DEFAULT_NAME else f"edge_lab_{self.name}"

    @property
    def gateway(self) -> ipaddress.IPv4Address:
        """The machine's own address on the bridge."""
        return self.subnet[1]

    @cached_property
    def first_index(self) -> int:
        """Lowest position in the subnet that a host may have."""
        return 11 if self.subnet.num_addresses > 64 else 2
