# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has before and after something was put on it and taken off again, and what may differ then."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lab.api import LabHost

SNAPSHOT = Path(__file__).with_name("snapshot.py")
SYSTEM = ("session-", "user@", "user-runtime-dir@", "systemd-networkd-wait-online", "systemd-tmpfiles-clean")  # ssh, boot, timers

# What removed packages leave until they are purged, and what the system writes, by the pattern of its path, with the reason.
LEFT = {
    r"/etc/(group|gshadow|passwd|shadow|subgid|subuid)-?": "packages leave their users and groups, as files may have their numbers",
    r"/etc/ld\.so\.cache": "it names the libraries that are there",
    r"/etc/rc[0-6S]\.d/[KS]\d\d(libvirt\w*(-guests)?|virtlogd|nginx|dnsmasq|nftables)": "links of their init scripts",
    r"/etc/systemd/system/[\w-]+\.target\.wants/(libvirt.*|virtlo.*|machines\.target|logrotate\.timer)": "links of their units",
    r"/var/lib/systemd/deb-systemd-helper-(en|dis)abled/(?!edge).*": "Debian's record of whether they were enabled",
    r"/var/lib/systemd/timers/stamp-logrotate\.timer": "the timer of a package that came with libvirt",
    r"/etc/apparmor\.d/local(/usr\..*libvirt.*|/abstractions(/.*)?)?": "empty files for an administrator's own rules",
    r"/(etc|usr/share)/polkit-1(/rules\.d)?": "folders of polkit on Debian 12",
    r"/etc/libvirt/(nwfilter|qemu|secrets|qemu/networks)(/.*)?": "libvirt's own definitions, of which its packages make copies",
    r"/etc/nginx/(modules|sites)-enabled(/.*)?": "links to configuration files",
    r"/etc/(sgml|xml)(/.*)?": "catalogues of polkit's and XML's packages",
    r"/var/lib/(libvirt|machines|nginx|portables|sgml-base|xml-core)(/.*)?": "their folders for data",
    r"/var/www(/html(/index\.nginx-debian\.html)?)?": "nginx's first page",
}
USERS = {"dnsmasq", "libvirt", "libvirt-qemu", "polkitd", "rdma", "tss", "swtpm"}  # made by packages


def snapshot(host: LabHost) -> dict[str, Any]:
    """Return what the host has now."""
    found: dict[str, Any] = json.loads(host.run(["python3", "-"], stdin=SNAPSHOT.read_text()).stdout)
    return found


@dataclass(frozen=True)
class Footprint:
    """What a host had before, and after all was taken off."""

    before: dict[str, Any]
    after: dict[str, Any]

    def new(self, what: str) -> set[str]:
        """Return what of a list is there that was not before."""
        return set(self.after[what]) - set(self.before[what])

    def gone(self) -> dict[str, set[str]]:
        """Return what was there before and is no longer, by list, without lists of which nothing is gone."""
        lists = ("files", "users", "groups", "unit files", "packages")
        missing = {what: set(self.before[what]) - set(self.after[what]) for what in lists}
        return {what: found for what, found in missing.items() if found}

    def new_packages(self) -> set[str]:
        """Return the packages that are installed and were not before."""
        return {row for row in self.new("packages") if not row.startswith("config-files ")}

    def new_units(self) -> set[str]:
        """Return the units, and files of units, that are there and were not before."""
        units = {unit for unit in self.new("units") if not unit.startswith(SYSTEM)}
        return units | self.new("unit files")

    def new_users(self) -> set[str]:
        """Return the users and groups that are there and were not before, without those of packages."""
        return {row.split(":")[0] for row in self.new("users") | self.new("groups")} - USERS

    def _differ(self) -> set[str]:
        return {path for path, what in self.after["files"].items() if self.before["files"].get(path) != what}

    def ours(self) -> set[str]:
        """Return the files, units and users with this project in their names that are new or differ."""
        rows = self._differ() | self.new("units") | self.new("unit files") | self.new("users") | self.new("groups")
        return {row for row in rows if "edge" in row}

    def changed_files(self) -> list[str]:
        """Return the files that are new or differ, without what packages and the system leave."""
        differ = self._differ()
        packaged = {path for path in differ if path in self.after["conffiles"]}
        folders = {path for path in differ if any(file.startswith(path + "/") for file in packaged)}
        return sorted(path for path in differ - packaged - folders if not any(re.fullmatch(known, path) for known in LEFT))
