# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot files of bridge on a lab host: what systemd-networkd makes of them is what the module made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.playbook import play

pytestmark = [pytest.mark.integration, pytest.mark.lab]
LAB = Path(__file__).parents[3] / "lab" / "lab.py"
CARD = (
    "ip link add eth0 type veth peer name far0; ip link set eth0 up; ip link set far0 up;"
    " ip addr add 203.0.113.1/24 dev eth0; ip route add 198.51.100.0/24 via 203.0.113.9"
)
WAIT = "/usr/lib/systemd/systemd-networkd-wait-online -i br0 --timeout 300"
REBOOT = f"ip link del br0 && systemctl restart systemd-networkd && {WAIT}"


def lab(*words: str) -> str:
    done = subprocess.run([sys.executable, str(LAB), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    name = f"bridge-{request.param}"
    lab("up", "--release", request.param, "--variant", "full", "--name", name)
    inventory = tmp_path_factory.mktemp("lab") / "hosts.yml"
    inventory.write_text(lab("inventory"))
    lab("exec", name, "--", "sh", "-c", CARD)
    yield name, partial(play, inventory=str(inventory), hosts=name)
    lab("down", name)


def test_the_bridge_comes_back_as_it_was(host: Any) -> None:
    name, run = host
    options = {"name": "br0", "ports": ["eth0"], "mtu": 1400, "mac": "52:54:00:00:00:01", "stp": True, "forward_delay": 2}
    tasks = [{"edge.cloud.bridge": {**options, "boot": "networkd", "allow_disruption": True}}]
    made = run(tasks)[0]
    assert made["bridge"]["addresses"] == ["203.0.113.1/24"]
    lab("exec", name, "--", "sh", "-c", REBOOT)
    back = run(tasks)[0]
    assert back["actions"] == []
    assert back["bridge"] == made["bridge"]
    assert "via 203.0.113.9 dev br0" in lab("exec", name, "--", "ip", "route", "show", "198.51.100.0/24")


def test_a_file_that_comes_first_is_found_before_any_change(host: Any) -> None:
    _name, run = host
    options = {"name": "br1", "ports": ["host0"], "boot": "networkd", "allow_disruption": True}
    refused = run([{"edge.cloud.bridge": options}], ok=False)
    assert refused[0]["error"]["code"] == "conflict"
    assert "configures host0" in refused[0]["msg"]
    assert run([{"edge.cloud.bridge_info": {"name": "br1"}}])[0]["bridges"] == []
