# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.address, address_network and address_info by ansible-playbook; an inventory of many hosts is as many processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.leases import addresses_in, require_sound
from support.playbook import play

pytestmark = pytest.mark.integration
HOSTS = 8
NETWORK = {
    "name": "private",
    "type": "vxlan",
    "subnets": ["192.0.2.0/24", "2001:db8:1::/64"],
    "gateway": ["192.0.2.1"],
    "ranges": [{"start": "192.0.2.20", "end": "192.0.2.29"}, {"subnet": "2001:db8:1::/64"}],
    "holds": [{"start": "192.0.2.20"}],
    "reservations": [{"start": "192.0.2.21", "vm": "db"}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "addresses.sqlite3"


def tasks(path: Path, *asked: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{f"edge.cloud.{module}": {"path": str(path), **options}} for module, options in asked]


def test_missing_arguments(path: Path) -> None:
    (result,) = play(tasks(path, ("address", {})), ok=False)
    assert "missing required arguments: vm" in result["msg"]


def test_from_nothing_to_nothing(path: Path) -> None:
    lease = ("address", {"network": "private", "vm": "web"})
    static = ("address", {"network": "private", "vm": "web", "ipv4": "192.0.2.99"})
    release = ("address", {"vm": "web", "state": "absent"})
    remove = ("address_network", {"name": "private", "state": "absent"})
    predicted, missing = play(tasks(path, ("address_network", NETWORK), lease), check=True, ok=False)
    assert predicted["changed"] and missing["error"]["option"] == "path"
    assert not path.exists()
    declared, again = play(tasks(path, ("address_network", NETWORK), ("address_network", NETWORK)))
    assert declared["network"] == predicted["network"] and not again["changed"]
    (told,) = play(tasks(path, lease), check=True)
    made, same, moved, moved_again, found, refused = play(
        tasks(path, lease, lease, static, static, ("address_info", {"vm": "web"}), remove), ok=False
    )
    assert (told["lease"], told["diff"]) == (made["lease"], made["diff"])
    assert made["lease"]["ipv4"] == "192.0.2.22"
    assert not same["changed"]
    assert moved["diff"]["after"]["ipv4"] == "192.0.2.99" and not moved_again["changed"]
    assert found["leases"] == [moved["lease"]]
    assert [one["address"] for one in found["cooling"]] == ["192.0.2.22"]
    assert "192.0.2.99 (VM web, NIC nic0)" in refused["msg"]
    released, released_again, removed, removed_again = play(tasks(path, release, release, remove, remove))
    assert [one["changed"] for one in (released, released_again, removed, removed_again)] == [True, False, True, False]
    require_sound(path)


def test_many_hosts_at_once_get_different_addresses(path: Path, tmp_path: Path) -> None:
    (declared,) = play(tasks(path, ("address_network", NETWORK)))
    assert declared["changed"]
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {f"host{number}": local for number in range(HOSTS)}}}))
    play(tasks(path, ("address", {"network": "private", "vm": "{{ inventory_hostname }}"})), inventory=str(inventory))
    found = addresses_in(path)
    assert len(found) == len(set(found)) == 2 * HOSTS
    require_sound(path)
    (refused,) = play(tasks(path, ("address", {"network": "private", "vm": "more"})), ok=False)
    assert refused["error"] | {"size": 10, "leased": HOSTS, "held": 1, "reserved": 1, "free": 0} == refused["error"]
