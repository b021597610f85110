# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that go with their packages: those that still run are stopped, those that failed forgotten, and no others.

What systemd lists is from a lab host.
"""

from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._system.package_removal import Removal
from support.runners import ScriptedRunner

FILES = """/.
/lib/systemd/system/libvirtd.service
/usr/lib/systemd/system/libvirtd.socket
/usr/lib/systemd/system/machine@.service
/usr/lib/systemd/system/kept.service
/usr/lib/systemd/system/libvirtd.service.d/no.service
/usr/lib/systemd/system/systemd-machined.service
/usr/lib/systemd/system/machines.target
/usr/share/doc/other.service
"""
FAILED = """libvirtd.service not-found failed failed libvirtd.service
machine@one.two.service not-found failed failed machine@one.two.service
kept.service loaded failed failed A unit of an administrator, who has a file of that name in /etc
other.service not-found failed failed other.service
"""
RUNNING = """machine@one.service loaded active running A unit of an administrator, who has a file of that name in /etc
machine@two.service not-found active running machine@two.service
machines.target not-found inactive dead machines.target
other.service not-found active running other.service
systemd-machined.service not-found active running systemd-machined.service
"""
LIST = ("systemctl", "list-units", "--all", "--plain", "--no-legend")


def removal(files: str = FILES) -> tuple[ScriptedRunner, Removal, set[str]]:
    """Return what removes packages with these files, and their units."""
    runner = ScriptedRunner().expect("dpkg-query", "--listfiles", "--", "libvirt-daemon", stdout=files)
    removal = Removal(runner)
    return runner, removal, removal._units(["libvirt-daemon"])


def test_failed_units_of_removed_packages_are_forgotten() -> None:
    runner, removes, units = removal()
    runner.expect(*LIST, stdout=FAILED).expect(*LIST, stdout=FAILED)
    runner.expect("systemctl", "reset-failed", "--", "libvirtd.service", "machine@one.two.service")
    removes._end(units)
    runner.done()


def test_units_of_removed_packages_that_still_run_are_stopped_and_forgotten_if_that_failed() -> None:
    runner, removes, units = removal()
    runner.expect(*LIST, stdout=RUNNING)
    runner.expect("systemctl", "stop", "--", "machine@two.service", "systemd-machined.service")
    runner.expect(*LIST, stdout=RUNNING.replace("not-found active running systemd", "not-found failed failed systemd"))
    runner.expect("systemctl", "reset-failed", "--", "systemd-machined.service")
    removes._end(units)
    runner.done()


def test_nothing_is_asked_where_no_unit_went() -> None:
    runner, removes, units = removal("/.\n/usr/bin/tool\n")
    removes._end(units)
    runner.done()
