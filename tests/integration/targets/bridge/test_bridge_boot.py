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
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.matching import Facts, matches, pairs
from support.playbook import play

pytestmark = [pytest.mark.integration, pytest.mark.lab]
LAB = Path(__file__).parents[3] / "lab" / "lab.py"
CARD = (
    "ip link add eth0 type veth peer name far0; ip link set eth0 up; ip link set far0 up;"
    " ip addr add 203.0.113.1/24 dev eth0; ip route add 198.51.100.0/24 via 203.0.113.9"
)
WAIT = "/usr/lib/systemd/systemd-networkd-wait-online -i br0 --timeout 300"
REBOOT = f"ip link del br0 && systemctl restart systemd-networkd && {WAIT}"


# One [Match] section a line, with | for the end of a line, each tried alone.
CONDITIONS = r"""
Name=probe0
Name=pro* lo
Name=lan7
Name=!lo
Name=!probe0
Name=!lo lan7
Name=lo|Name=probe0
Name="probe0"
Name=probe0|Name=|Name=lo
Name=lo \|  probe0
Name=PROBE0
Name=probe[^1]
Name=probe* !probe0
MACAddress=52:54:00:aa:bb:01
MACAddress=52-54-00-AA-BB-01
MACAddress=5254.00aa.bb01
MACAddress=52:54:00:aa:bb:02
PermanentMACAddress=52:54:00:aa:bb:01
Type=ether
Type=!wlan
Type=bridge
Kind=veth
Kind=!*
Kind=!veth
Driver=veth
Path=pci-*
Path=!pci-*
Property=A=b
SSID=home
Name=*|Host=!other
Name=*|Host=other
Name=*|Virtualization=container
Name=*|Virtualization=!container
Name=*|Architecture=arm
Name=*|KernelCommandLine=no-such-word
""".strip().splitlines()
PROBE = r"""set -e
ip link add probe0 type veth peer name far7
ip link set probe0 address 52:54:00:aa:bb:01
ip link property add dev probe0 altname lan7
file=/etc/systemd/network/10-probe.network
while IFS= read -r match; do
  printf '[Match]|%s|[Network]|LinkLocalAddressing=no|' "$match" | tr '|' '\n' > $file
  systemctl reset-failed systemd-networkd
  systemctl restart systemd-networkd
  until networkctl --json=short status probe0 > state && ! grep -Eq 'State":"(pending|initialized)"' state; do sleep 0.1; done
  if grep -q '"NetworkFile":"/etc/systemd/network/10-probe.network"' state; then echo yes; else echo no; fi
done
rm $file
ip link del probe0
systemctl reset-failed systemd-networkd
systemctl restart systemd-networkd
"""


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


def test_it_has_its_mac_address_again_and_does_not_hold_up_the_boot(host: Any) -> None:
    name, run = host
    card = "ip link add eth5 type veth peer name far5; ip link set eth5 up; ip link set far5 up"
    lab("exec", name, "--", "sh", "-c", card)
    made = run([{"edge.cloud.bridge": {"name": "br5", "ports": ["eth5"], "boot": "networkd"}}])[0]
    # The cable is out at boot: nothing on br5 has carrier, and what waits for the network waits for host0 alone.
    again = "ip link set far5 down && ip link del br5 && systemctl restart systemd-networkd"
    wait = "/usr/lib/systemd/systemd-networkd-wait-online --timeout 300 && until ip link show br5; do sleep 0.1; done"
    lab("exec", name, "--", "sh", "-c", f"{again} && {wait}")
    assert "NO-CARRIER" in lab("exec", name, "--", "ip", "link", "show", "br5")
    back = run([{"edge.cloud.bridge": {"name": "br5", "ports": ["eth5"], "boot": "networkd"}}])[0]
    assert back["bridge"]["mac"] == made["bridge"]["mac"]
    assert run([{"edge.cloud.bridge": {"name": "br5", "state": "absent"}}])[0]["changed"]


@pytest.mark.slow
def test_networkd_judges_conditions_as_we_do(host: Any) -> None:
    name, _run = host
    asked = "\n".join(CONDITIONS)
    script = f"cat > conditions <<'END'\n{asked}\nEND\ncat > probe <<'END'\n{PROBE}END\nsh probe < conditions"
    said = lab("exec", name, "--", "sh", "-c", f"cd /root; {script}").split()
    facts = Facts(("probe0", "lan7"), mac="52:54:00:aa:bb:01", permanent_mac="", kind="veth", types=("ether",), properties={})
    holds = {("Host", "!other"), ("Virtualization", "container")}
    ours = {
        match: matches(pairs("\n".join(["[Match]", *match.split("|")])), facts, lambda key, value: (key, value) in holds)
        for match in CONDITIONS
    }
    # Without udev nobody tells us the driver, and versions of systemd differ in what quotes mean.
    assert [match for match, answer in ours.items() if answer is None] == ['Name="probe0"', "Driver=veth"]
    assert [match for match, answer in zip(ours, said, strict=True) if ours[match] not in (answer == "yes", None)] == []


def test_a_host_that_networkd_does_not_configure_is_refused(host: Any) -> None:
    name, run = host
    lab("exec", name, "--", "sh", "-c", "systemctl disable --now systemd-networkd.service systemd-networkd.socket")
    try:
        refused = run([{"edge.cloud.bridge": {"name": "br6", "ports": [], "boot": "networkd"}}], ok=False)[0]
    finally:
        lab("exec", name, "--", "sh", "-c", "systemctl enable --now systemd-networkd.service")
    assert refused["error"]["code"] == "unsupported"
    assert "disabled" in refused["msg"]


def test_a_file_that_comes_first_is_found_before_any_change(host: Any) -> None:
    _name, run = host
    options = {"name": "br1", "ports": ["host0"], "boot": "networkd", "allow_disruption": True}
    refused = run([{"edge.cloud.bridge": options}], ok=False)
    assert refused[0]["error"]["code"] == "conflict"
    assert "configures host0" in refused[0]["msg"]
    assert run([{"edge.cloud.bridge_info": {"name": "br1"}}])[0]["bridges"] == []
