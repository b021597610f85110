# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nat_network against libvirtd and dnsmasq of a lab host: its whole life, and what a VM's network card sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from edge_lab.api import Lab, LabHost
from support.playbook import play

pytestmark = [pytest.mark.integration, pytest.mark.lab]
VM = Path(__file__).parent / "files" / "vm.py"
WEB = {"name": "web", "mac": "52:54:00:00:00:01", "address": "203.0.113.10"}
MAIL = {"name": "mail", "mac": "52:54:00:00:00:02", "address": "203.0.113.11"}


class Host:
    """A lab host with libvirtd; ``nat`` runs the module there and returns its result."""

    def __init__(self, host: LabHost, inventory: Path) -> None:
        self.host = host
        self.play = partial(play, inventory=str(inventory), hosts=host.name)

    def run(self, *argv: str, ok: bool = True) -> str:
        return self.host.run(argv, check=ok).stdout.strip()

    def nat(self, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        return self.play([{"edge.cloud.nat_network": {"name": "edge", **options}}], check=check, ok=ok)[-1]

    def plug(self, link: str, mac: str) -> None:
        """Put a network card as a VM has it on the bridge: one end of a cable in a name space of its own."""
        self.run("ip", "netns", "add", link)
        self.run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", link)
        self.run("ip", "link", "set", link, "master", "edgenat0", "up")
        self.run("ip", "-n", link, "link", "set", "eth0", "up")

    def lease(self, link: str) -> str:
        return self.run("ip", "netns", "exec", link, "python3", "/root/vm.py", "lease", "eth0")

    def resolve(self, name: str) -> str:
        return self.run("python3", "/root/vm.py", "resolve", "203.0.113.1", name)


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    name = f"nat-{request.param}"
    lab = Lab()
    lab.down(name)
    (made,) = lab.up(names=[name], release=request.param, variant="full")
    made.put(VM, "/root/vm.py")
    yield Host(made, lab.inventory)
    lab.down(name)


NEW = {"bridge": "edgenat0", "subnet": "203.0.113.0/24", "domain": "vms.example", "hosts": [WEB]}


def test_missing_arguments(host: Host) -> None:
    result = host.nat(ok=False)
    assert result["error"] == {"code": "invalid_input", "option": "bridge"}


def test_check_mode_makes_nothing(host: Host) -> None:
    assert host.nat(check=True, **NEW)["changed"]
    assert "edgenat0" not in host.run("ip", "-br", "link")


def test_create_then_again(host: Host) -> None:
    predicted = host.nat(check=True, **NEW)
    made = host.nat(**NEW)
    assert made["network"] == predicted["network"]
    assert made["diff"] == predicted["diff"]
    assert made["network"]["state"] == "active"
    assert "203.0.113.1/24" in host.run("ip", "-br", "addr", "show", "edgenat0")
    assert not host.nat(**NEW)["changed"]


def test_vms_get_addresses_and_names(host: Host) -> None:
    host.plug("vm1", WEB["mac"])
    host.plug("vm2", "52:54:00:00:00:99")
    assert host.lease("vm1") == WEB["address"]
    first, last = host.nat(**NEW)["network"]["dhcp_range"]
    tail = int(host.lease("vm2").split(".")[-1])
    assert int(first.split(".")[-1]) <= tail <= int(last.split(".")[-1])
    assert host.resolve("web.vms.example") == WEB["address"]
    assert host.resolve("mail.vms.example") == "none"
    info = host.play([{"edge.cloud.nat_network_info": {"name": "edge"}}])[0]["networks"]
    assert {lease["mac"] for lease in info[0]["leases"]} == {WEB["mac"], "52:54:00:00:00:99"}


def test_change_live_then_again(host: Host) -> None:
    link = host.run("cat", "/sys/class/net/edgenat0/ifindex")
    span = {"start": "203.0.113.100", "end": "203.0.113.101"}
    options = {"hosts": [{**WEB, "address": "203.0.113.12"}, MAIL], "dhcp_range": span}
    predicted = host.nat(check=True, **options)
    changed = host.nat(**options)
    assert changed["diff"] == predicted["diff"]
    assert sorted(changed["diff"]["after"]) == ["dhcp_range", "hosts"]
    assert changed["network"]["pending_restart"] == []
    assert host.run("cat", "/sys/class/net/edgenat0/ifindex") == link
    assert host.resolve("web.vms.example") == "203.0.113.12"
    assert host.resolve("mail.vms.example") == MAIL["address"]
    assert host.lease("vm1") == "203.0.113.12"
    assert host.lease("vm2") in ("203.0.113.100", "203.0.113.101")
    assert not host.nat(**options)["changed"]
    for where in ([], ["--inactive"]):
        xml = host.run("virsh", "net-dumpxml", "edge", *where)
        assert "203.0.113.12" in xml
        assert "203.0.113.10'" not in xml


def test_a_restart_needs_the_word_and_nobody_attached(host: Host) -> None:
    refused = host.nat(mtu=1400, ok=False)
    assert refused["error"] == {"code": "refused", "option": "mtu", "fields": ["mtu"]}
    done = host.nat(mtu=1400, domain="other.example", allow_restart=True)
    assert done["diff"] == {"before": {"domain": "vms.example"}, "after": {"domain": "other.example", "mtu": 1400}}
    assert done["network"]["mtu"] == 1400
    assert host.resolve("web.other.example") == "203.0.113.12"
    assert not host.nat(mtu=1400, domain="other.example")["changed"]


def test_an_interrupted_restart_goes_on(host: Host) -> None:
    host.run("sh", "-c", "virsh net-dumpxml edge --inactive | sed s/1400/1300/ >/root/net.xml && virsh net-define /root/net.xml")
    assert host.play([{"edge.cloud.nat_network_info": {"name": "edge"}}])[0]["networks"][0]["pending_restart"] == ["mtu"]
    assert host.nat(mtu=1300, ok=False)["error"]["code"] == "refused"
    done = host.nat(mtu=1300, allow_restart=True)
    assert done["diff"] == {"before": {"pending_restart": ["mtu"]}, "after": {"pending_restart": []}}
    assert "mtu 1300" in host.run("ip", "link", "show", "edgenat0")


def test_conflicts_are_found_before_any_change(host: Host) -> None:
    for subnet, by in (("203.0.113.128/25", "libvirt network edge"), ("198.18.0.0/16", f"(address {host.host.address} of host0)")):
        result = host.nat(name="other", bridge="edgenat1", subnet=subnet, ok=False)
        assert result["error"]["code"] == "conflict"
        assert by in result["msg"]
    taken = host.nat(name="other", bridge="edgenat0", subnet="198.51.100.0/24", ok=False)
    assert "libvirt network edge" in taken["msg"]
    assert "other" not in host.run("virsh", "net-list", "--all", "--name").split()


THEIRS = """<network><name>theirs</name><forward mode='nat'/><bridge name='theirs0' stp='on' delay='0'/>
<dns><host ip='198.51.100.9'><hostname>one</hostname><hostname>two</hostname></host></dns>
<ip address='198.51.100.1' netmask='255.255.255.0'><dhcp>
<range start='198.51.100.100' end='198.51.100.150'><lease expiry='24' unit='hours'/></range>
<range start='198.51.100.200' end='198.51.100.210'/>
<host mac='52:54:00:aa:bb:01' ip='198.51.100.9'><lease expiry='2' unit='hours'/></host>
<host mac='52:54:00:aa:bb:02' ip='198.51.100.8'/></dhcp></ip>
<ip family='ipv6' address='2001:db8:77::1' prefix='64'><dhcp>
<host id='00:03:00:01:52:54:00:aa:bb:01' name='six' ip='2001:db8:77::5'/></dhcp></ip></network>"""
HOST = "<host mac='52:54:00:aa:bb:0{}' ip='198.51.100.{}'"


def test_a_running_network_of_another_program_keeps_its_entries(host: Host) -> None:
    host.run(
        "sh", "-c", f"cat > /root/theirs.xml <<'END'\n{THEIRS}\nEND\nvirsh net-define /root/theirs.xml && virsh net-start theirs"
    )
    added = f"{HOST.format(3, 7)}/>"
    host.run("virsh", "net-update", "theirs", "add", "ip-dhcp-host", added, "--live")
    span = {"start": "198.51.100.50", "end": "198.51.100.150"}
    adopted = host.nat(name="theirs", adopt=True, dhcp_range=span)
    assert adopted["actions"][-1] == "Change dhcp_range of the running network theirs"
    for xml in (host.run("virsh", "net-dumpxml", "theirs"), host.run("virsh", "net-dumpxml", "--inactive", "theirs")):
        assert "<range start='198.51.100.50' end='198.51.100.150'>\n        <lease expiry='24' unit='hours'/>" in xml
        assert "<range start='198.51.100.200' end='198.51.100.210'/>" in xml
        assert f"{HOST.format(1, 9)}>\n        <lease expiry='2' unit='hours'/>" in xml
        assert f"{HOST.format(2, 8)}/>" in xml
        assert "<host id='00:03:00:01:52:54:00:aa:bb:01' name='six' ip='2001:db8:77::5'/>" in xml
        assert xml.count("<hostname>") == 2
    assert added in host.run("virsh", "net-dumpxml", "theirs")
    assert not host.nat(name="theirs")["changed"]
    given = [{"name": "web", "mac": "52:54:00:aa:bb:01", "address": "198.51.100.9"}]
    host.nat(name="theirs", hosts=given)
    for xml in (host.run("virsh", "net-dumpxml", "theirs"), host.run("virsh", "net-dumpxml", "--inactive", "theirs")):
        assert "<host mac='52:54:00:aa:bb:01' name='web' ip='198.51.100.9'>\n        <lease expiry='2' unit='hours'/>" in xml
        assert [name in xml for name in (">one<", ">two<", ">web<", "bb:02", "bb:03")] == [True, True, True, False, False]
    assert not host.nat(name="theirs", hosts=given)["changed"]
    assert host.nat(name="theirs", state="absent")["changed"]


def test_absent_then_again(host: Host) -> None:
    assert host.nat(state="absent", check=True)["changed"]
    assert host.nat(state="absent")["diff"]["after"] == {"state": "absent"}
    assert "edgenat0" not in host.run("ip", "-br", "link")
    assert not host.nat(state="absent")["changed"]
