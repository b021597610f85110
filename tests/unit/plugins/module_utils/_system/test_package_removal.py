# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that go with their packages: systemd forgets those that failed, and no others. What systemd lists is from a lab host."""

from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._system.package_removal import Removal
from support.runners import ScriptedRunner

FILES = """/.
/lib/systemd/system/libvirtd.service
/usr/lib/systemd/system/libvirtd.socket
/usr/lib/systemd/system/machine@.service
/usr/lib/systemd/system/kept.service
/usr/lib/systemd/system/libvirtd.service.d/no.service
/usr/share/doc/other.service
"""
FAILED = """libvirtd.service not-found failed failed libvirtd.service
machine@one.two.service not-found failed failed machine@one.two.service
kept.service loaded failed failed A unit of an administrator, who has a file of that name in /etc
other.service not-found failed failed other.service
"""
LIST = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--state=failed")


def test_failed_units_of_removed_packages_are_forgotten() -> None:
    runner = ScriptedRunner().expect("dpkg-query", "--listfiles", "--", "libvirt-daemon", stdout=FILES)
    removal = Removal(runner)
    units = removal._units(["libvirt-daemon"])
    runner.expect(*LIST, stdout=FAILED)
    runner.expect("systemctl", "reset-failed", "--", "libvirtd.service", "machine@one.two.service")
    removal._forget_failed(units)
    runner.done()


def test_nothing_is_asked_where_no_unit_went() -> None:
    removal = Removal(ScriptedRunner().expect("dpkg-query", "--listfiles", "--", "tool", stdout="/.\n/usr/bin/tool\n"))
    removal._forget_failed(removal._units(["tool"]))
