# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare host that becomes Front-end, replica and hypervisor, and is reset: files, units, users and packages are as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from edge_lab.api import Lab, LabHost, unusable
from support.footprint.compared import Footprint, snapshot
from support.playbook import TREE, changed_in, run_book

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(5400)]
NAME = "reset1"
GROUPS = ("frontend", "replica", "hypervisor")
ROLES = [
    {"role": "edge.cloud.frontend"},
    {"role": "edge.cloud.replica"},
    {
        "role": "edge.cloud.hypervisor",
        "hypervisor_virt_type": "qemu",
        "hypervisor_migration": True,
        "hypervisor_arrivals": True,
        "hypervisor_networks": [{"name": "edge", "subnet": "10.77.0.0/24"}],
    },
]
GONE = {"reset_host": NAME, "reset_host_consent": True, "hypervisor_remove_vms": True, "host_remove_images": True}
GONE |= {"frontend_remove_images": True, "pki_remove_ca": True}


@dataclass(frozen=True)
class Reset:
    """What was there before and after the reset, what with the roles, and how many changes a second reset made.

    Of the folder of slots: its names while something was received, and after that.
    """

    found: Footprint
    deployed: dict[str, Any]
    timer: dict[str, str]
    slots: tuple[set[str], set[str]]
    again: int


OVER, OPEN, LATE = (f"edge1.{digit * 64}.4096" for digit in "abc")
SLOTS = "/var/lib/edge/incoming/edge-slots"
FOREVER = 4102444800  # the year 2100
LAY = f"""
cd {SLOTS}
install -d -o www-data -m 0700 {OVER} {OPEN}
touch {OVER}/image
echo '{{"state": "open", "since": 1, "until": 2}}' > {OVER}.json
printf '{{"state": "open", "since": %s, "until": {FOREVER}}}' "$(date +%s)" > {OPEN}.json
echo '{{"state": "ended", "since": 1, "until": 1}}' > {LATE}.json
"""
RECEIVES = ["systemd-run", "--unit=receives", "--uid=www-data", "sh", "-c", f"exec 3>{SLOTS}/body/0000000001; exec sleep infinity"]


def slots_end(host: LabHost) -> tuple[set[str], set[str]]:
    """Have the unit end slots, first while nginx's user receives something; return the names that stay each time."""
    host.run(["sh", "-ec", LAY])
    host.run(RECEIVES)
    host.run(["sh", "-ec", f"until test -e {SLOTS}/body/0000000001; do sleep 0.2; done"])
    names = []
    for _any in range(2):
        host.run(["systemctl", "start", "edge-slots.service"])
        names.append(set(host.run(["ls", SLOTS]).stdout.split()))
        host.run(["sh", "-c", f"systemctl stop receives.service; rm -f {SLOTS}/body/0000000001"])
    return names[0], names[1]


RAN = 'test -n "$(systemctl show --property=ExecMainExitTimestampMonotonic --value edge-slots.service | tr -d 0)"'


def timer_of(host: LabHost) -> dict[str, str]:
    """Wait until the timer of the slots has run their unit, and return how both are."""
    host.run(["sh", "-c", f"until {RAN}; do sleep 1; done"])  # a minute after the boot, or as soon as the role starts it
    keys = ["UnitFileState", "Result", "ExecMainStatus", "LastTriggerUSec", "ActiveState"]
    found = {}
    for unit in ("timer", "service"):
        for key in keys:
            show = ["systemctl", "show", f"--property={key}", "--value", f"edge-slots.{unit}"]
            found[f"{unit} {key}"] = host.run(show).stdout.strip()
    return found


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def reset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reset]:
    if reason := unusable():
        pytest.skip(reason)
    folder, lab = tmp_path_factory.mktemp("reset"), Lab()
    groups, book = folder / "groups.yml", folder / "book.yml"
    groups.write_text(yaml.safe_dump({"all": {"children": {name: {"hosts": {NAME: {}}} for name in GROUPS}}}))
    book.write_text(yaml.safe_dump([{"hosts": NAME, "roles": ROLES}]))
    words = ["--limit", NAME, "-e", json.dumps(GONE)]
    lab.down(NAME)
    try:
        (host,) = lab.up(names=[NAME], release=request.param)
        before = snapshot(host)
        run_book(book, lab.inventory, groups)
        deployed = snapshot(host)
        timer, slots = timer_of(host), slots_end(host)
        run_book(TREE / "playbooks/reset_host.yml", lab.inventory, groups, words=words)
        after = snapshot(host)
        again = run_book(TREE / "playbooks/reset_host.yml", lab.inventory, groups, words=words)
        yield Reset(Footprint(before, after), deployed, timer, slots, changed_in(again)[NAME])
    finally:
        lab.down(NAME)


def test_the_roles_were_there(reset: Reset) -> None:
    assert {"/etc/edge/pki/host.key", "/usr/sbin/edge-host", "/var/lib/edge/packages.json"} <= set(reset.deployed["files"])
    assert {"edge-replica.service", "edge-nbd.service", "edge-datastore.service"} <= {
        row.split()[0] for row in reset.deployed["units"]
    }


def test_slots_whose_time_is_over_are_removed_by_their_unit(reset: Reset) -> None:
    assert (reset.timer["timer UnitFileState"], reset.timer["timer ActiveState"]) == ("enabled", "active")
    assert reset.timer["timer LastTriggerUSec"] not in ("", "n/a"), "it has run once since the role started it"
    assert (reset.timer["service Result"], reset.timer["service ExecMainStatus"]) == ("success", "0")
    busy, idle = reset.slots
    assert {OPEN, f"{OPEN}.json", "body"} <= busy & idle
    assert OVER not in busy and OVER not in idle
    assert f"{LATE}.json" in busy, "something is received, which may be of this one"
    assert f"{LATE}.json" not in idle


def test_nothing_that_was_there_is_gone(reset: Reset) -> None:
    assert reset.found.gone() == {}


def test_no_package_and_no_unit_is_left(reset: Reset) -> None:
    assert reset.found.new_packages() == set()
    assert reset.found.new_units() == set()


def test_only_users_of_packages_are_left(reset: Reset) -> None:
    assert reset.found.new_users() == set()


def test_files_are_as_they_were_but_for_what_packages_leave(reset: Reset) -> None:
    assert reset.found.ours() == set()
    assert reset.found.changed_files() == []


def test_a_second_reset_changes_nothing(reset: Reset) -> None:
    assert reset.again == 0
