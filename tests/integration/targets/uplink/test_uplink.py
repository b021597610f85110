# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The uplink of lab hosts, each configured by another network manager: moved, cut off, killed, and without power in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from edge_lab.api import Lab, LabError, LabHost, unusable
from support.playbook import play, start_play

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
IFUPDOWN = """\
apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qqy ifupdown
cat > /etc/network/interfaces <<END
# what the installer wrote
auto lo
iface lo inet loopback

allow-hotplug host0
iface host0 inet static
\taddress {address}/24
\tgateway {gateway}
\t# the end
END
rm /etc/systemd/network/10-edge-lab.network
systemctl mask systemd-networkd.service systemd-networkd.socket
systemctl enable networking
sed -i 's/allow-hotplug/auto/' /etc/network/interfaces
"""
NETPLAN = """\
apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qqy netplan.io
cat > /etc/netplan/50-cloud-init.yaml <<END
# of the datasource
network:
    version: 2
    ethernets:
        host0:
            addresses: [{address}/24]
            routes:
            -   to: default
                via: {gateway}   # the machine
END
chmod 600 /etc/netplan/50-cloud-init.yaml
rm /etc/systemd/network/10-edge-lab.network
"""
SERVER = """
ip netns add srv; ip link add eth0 type veth peer name srv0; ip link set srv0 netns srv
ip -n srv addr add 203.0.113.1/24 dev srv0; ip -n srv link set srv0 up; ip link set eth0 up
systemd-run --quiet --unit=dhcpd --collect nsenter --net=/run/netns/srv dnsmasq --keep-in-foreground --conf-file=/dev/null \
  --port=0 --interface=srv0 --bind-interfaces \
  --dhcp-range=203.0.113.50,203.0.113.250,1h --dhcp-option=3 --dhcp-leasefile=/run/dhcpd.leases
"""
CLIENTS = {
    "networkd": "printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=ipv4\\n' > /etc/systemd/network/20-a.network; networkctl reload",
    "ifupdown": "apt-get install -qqy isc-dhcp-client;"
    " printf '\\nauto eth0\\niface eth0 inet dhcp\\n' >> /etc/network/interfaces; ifup eth0",
    "netplan": "printf '        eth0:\\n            dhcp4: true\\n' >> /etc/netplan/50-cloud-init.yaml;"
    " netplan generate; networkctl reload",
}
CLIENT_OF = {
    "networkd": "networkctl status br1 | grep -i dhcp; echo br1",
    "ifupdown": "ps -eo args | grep '[d]hclient'",
    "netplan": "networkctl status br1 | grep -i dhcp; echo br1",
}
SETUPS = {"networkd": "true", "ifupdown": IFUPDOWN, "netplan": NETPLAN}
FILES = "find /etc/network /etc/netplan /etc/systemd/network /etc/cloud -type f -exec sha256sum {} + 2>/dev/null | sort"
CUT = (
    "nft add table inet cut; nft add chain inet cut in '{ type filter hook input priority 0; }';"
    " nft add rule inet cut in iifname br0 drop"
)
OPTIONS = {"name": "br0", "allow_disruption": True, "rollback_after": 20}


@pytest.fixture(scope="module", params=list(SETUPS))
def host(request: pytest.FixtureRequest) -> Iterator[Any]:
    if reason := unusable():
        pytest.skip(reason)
    lab = Lab()
    (made,) = lab.up(names=[f"up-{request.param}"], variant="full", release=os.environ.get("LAB_RELEASE", "trixie"))
    sh(made, SETUPS[request.param].format(address=made.address, gateway=made.address.rpartition(".")[0] + ".1"))
    made.kill()
    made.start()
    yield made, partial(play, inventory=str(lab.inventory), hosts=made.name), request.param
    lab.down(made.name)


def sh(host: LabHost, script: str) -> str:
    return host.run(["sh", "-ec", script]).stdout


def holder(host: LabHost) -> str:
    """Return the link that has the host's address."""
    return next(line.split()[0].partition("@")[0] for line in sh(host, "ip -br -4 addr").splitlines() if host.address in line)


def until(asked: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end
        time.sleep(0.3)


def reached(host: LabHost) -> bool:
    try:
        host.run(["true"], timeout=4)
    except (LabError, TimeoutError, OSError):
        return False
    return True


def uplink(run: Any, *, ok: bool = True, check: bool = False, **options: Any) -> dict[str, Any]:
    return run([{"edge.cloud.uplink": {**OPTIONS, **options}}], ok=ok, check=check)[0]


def kill_in_the_middle(host: LabHost) -> None:
    """Kill the controller once the host, which drops all that comes over the bridge, is not reached any more."""
    process = start_play([{"edge.cloud.uplink": OPTIONS}], inventory=Lab().inventory, hosts=host.name)
    until(lambda: not reached(host) or process.poll() is not None)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_there_again_after_a_reboot_and_back(host: Any) -> None:
    one, run, manager = host
    before = sh(one, FILES)
    assert uplink(run, ok=False, allow_disruption=False)["error"]["code"] == "refused"
    predicted = uplink(run, check=True)
    assert (sh(one, FILES), holder(one)) == (before, "host0")
    made = uplink(run)
    assert (made["actions"], made["diff"]) == (predicted["actions"], predicted["diff"])
    assert made["uplink"] == predicted["uplink"]
    assert (made["uplink"]["manager"], made["uplink"]["port"]) == (manager, "host0")
    assert holder(one) == "br0"
    assert not uplink(run)["changed"]
    one.kill()
    one.start()
    assert holder(one) == "br0"
    assert "dev br0" in sh(one, "ip route show default")
    again = uplink(run)
    assert (again["changed"], again["uplink"]) == (False, made["uplink"])
    assert uplink(run, state="absent", check=True)["changed"]
    assert uplink(run, state="absent")["uplink"]["state"] == "absent"
    assert (sh(one, FILES), holder(one)) == (before, "host0")
    assert "br0" not in sh(one, "ip -br link")
    assert not uplink(run, state="absent")["changed"]
    one.kill()
    one.start()
    assert holder(one) == "host0"


def test_a_cut_is_undone_by_the_host_itself(host: Any) -> None:
    one, run, _manager = host
    before, route = sh(one, FILES), sh(one, "ip route")
    sh(one, CUT)
    failed = uplink(run, ok=False)
    assert failed["error"]["code"] == "rolled_back", failed
    assert "has its old network" in failed["msg"]
    assert (sh(one, FILES), sh(one, "ip route"), holder(one)) == (before, route, "host0")
    sh(one, "nft delete table inet cut")
    assert uplink(run)["changed"]
    sh(one, CUT.replace("br0", "host0"))
    before = sh(one, FILES)
    failed = uplink(run, ok=False, state="absent")
    assert failed["error"]["code"] == "rolled_back", failed
    assert (sh(one, FILES), holder(one)) == (before, "br0")
    sh(one, "nft delete table inet cut")
    assert uplink(run, state="absent")["changed"]


def test_a_killed_controller_and_a_power_cut_leave_the_old_network(host: Any) -> None:
    one, run, _manager = host
    before = sh(one, FILES)
    for power in (False, True):
        sh(one, CUT)
        kill_in_the_middle(one)
        if power:
            one.kill()
            one.start()
        else:
            until(lambda: reached(one))
            sh(one, "nft delete table inet cut")
        assert (sh(one, FILES), holder(one)) == (before, "host0")
    assert uplink(run)["changed"]
    assert uplink(run, state="absent")["changed"]


def test_a_power_cut_between_two_boot_files(host: Any) -> None:
    one, run, manager = host
    if manager != "networkd":
        return  # one rename decides
    uplink(run)
    sh(one, "rm /etc/systemd/network/00-edge-uplink-br0-port.network")
    one.kill()
    one.start()
    assert holder(one) == "host0"
    assert uplink(run)["uplink"]["port"] == "host0"
    assert holder(one) == "br0"
    assert uplink(run, state="absent")["changed"]


def test_a_lease_is_the_same_on_the_bridge(host: Any) -> None:
    one, run, manager = host
    sh(one, SERVER)
    sh(one, CLIENTS[manager])
    until(lambda: "203.0.113." in sh(one, "ip -br -4 addr show dev eth0"))
    address = sh(one, "ip -br -4 addr show dev eth0").split()[2]
    options = {"name": "br1", "port": "eth0", "rollback_after": 60}
    assert uplink(run, **options)["uplink"]["addresses"] == [address]
    assert sh(one, "ip -br -4 addr show dev br1").split()[2] == address
    assert "br1" in sh(one, CLIENT_OF[manager])
    assert not uplink(run, **options)["changed"]
    assert uplink(run, state="absent", **options)["changed"]
    until(lambda: address in sh(one, "ip -br -4 addr show dev eth0"))


def test_a_local_connection_cannot_confirm(host: Any) -> None:
    one, run, _manager = host
    refused = run([{"edge.cloud.uplink": OPTIONS, "connection": "local"}], ok=False)[0]
    assert refused["error"]["code"] in ("unsupported", "not_found", "conflict")
    assert holder(one) == "host0"


def test_what_nothing_configures_is_refused(host: Any) -> None:
    one, run, _manager = host
    sh(one, "ip link add lost0 type veth peer name lost1")
    try:
        assert uplink(run, ok=False, port="lost0")["error"]["code"] == "unsupported"
        assert uplink(run, ok=False, port="eth9")["error"]["code"] == "not_found"
        sh(one, "ip link add br0 type bridge")
        assert uplink(run, ok=False)["error"]["code"] == "conflict"
    finally:
        sh(one, "ip link del lost0; ip link del br0 || true")
