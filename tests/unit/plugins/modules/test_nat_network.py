# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules nat_network and nat_network_info against libvirt's own test driver, a real libvirt in this process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import libvirt
import pytest
from support.modules import run_module

URI = "test:///default"
WEB = {"name": "web", "mac": "52:54:00:00:00:01", "address": "203.0.113.10"}
MAIL = {"name": "mail", "mac": "52:54:00:00:00:02", "address": "203.0.113.11"}


@pytest.fixture
def conn() -> Iterator[Any]:
    """Keep the test driver's host alive between runs of the modules; it ends with its last connection."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = libvirt.open(URI)
    yield connection
    connection.close()


@pytest.fixture
def nat(capsys: pytest.CaptureFixture[str], conn: Any) -> Any:
    return partial(run_module, capsys, "nat_network", uri=URI, name="edge", bridge="edgenat0", subnet="203.0.113.0/24")


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], conn: Any) -> Any:
    return partial(run_module, capsys, "nat_network", uri=URI)


def test_missing_arguments(bare: Any) -> None:
    assert "name" in bare()["msg"]
    assert bare(name="edge")["error"] == {"code": "invalid_input", "option": "bridge"}
    assert bare(name="edge", bridge="edgenat0")["error"] == {"code": "invalid_input", "option": "subnet"}


def test_a_mac_address_that_yaml_has_read_as_a_number(nat: Any) -> None:
    failed = nat(hosts=[{**WEB, "mac": 41135085296}])
    assert failed["error"] == {"code": "invalid_input", "option": "hosts[0].mac"}
    assert failed["msg"].endswith('put the text in quotes: "52:54:00:12:34:56".')


def test_the_whole_life_of_a_network(nat: Any, conn: Any) -> None:
    predicted = nat(check=True, hosts=[WEB], domain="vms.example")
    assert predicted["changed"]
    assert [network.name() for network in conn.listAllNetworks()] == ["default"]

    made = nat(hosts=[WEB], domain="vms.example")
    assert made["network"] == predicted["network"]
    assert made["diff"] == predicted["diff"]
    assert made["diff"]["before"] == {"state": "absent"}
    assert made["network"] == {
        "state": "active",
        "name": "edge",
        "bridge": "edgenat0",
        "subnet": "203.0.113.0/24",
        "address": "203.0.113.1",
        "dhcp_range": ["203.0.113.26", "203.0.113.254"],
        "domain": "vms.example",
        "mtu": None,
        "hosts": [WEB],
        "autostart": True,
        "managed": True,
        "pending_restart": [],
    }
    assert conn.networkLookupByName("edge").isActive()

    again = nat(hosts=[WEB], domain="vms.example")
    assert not again["changed"]
    assert again["network"] == made["network"]
    assert again["diff"] == {"before": {}, "after": {}}

    changed = nat(hosts=[WEB, MAIL], dhcp_range={"start": "203.0.113.100", "end": "203.0.113.200"})
    assert changed["diff"] == {
        "before": {"dhcp_range": ["203.0.113.26", "203.0.113.254"], "hosts": [WEB]},
        "after": {"dhcp_range": ["203.0.113.100", "203.0.113.200"], "hosts": [WEB, MAIL]},
    }
    assert not nat(hosts=[WEB, MAIL], dhcp_range={"start": "203.0.113.100", "end": "203.0.113.200"})["changed"]
    assert "<hostname>mail</hostname>" in conn.networkLookupByName("edge").XMLDesc()

    gone = nat(state="absent", check=True)
    assert gone["changed"]
    assert conn.networkLookupByName("edge")
    gone = nat(state="absent")
    assert gone["actions"] == ["Stop the network edge", "Remove the network edge"]
    assert gone["network"] == {"state": "absent"}
    assert [network.name() for network in conn.listAllNetworks()] == ["default"]
    assert not nat(state="absent")["changed"]


def test_a_left_out_field_stays(nat: Any, bare: Any) -> None:
    made = nat(hosts=[WEB], domain="vms.example", mtu=1400, autostart=False)
    assert bare(name="edge")["network"] == made["network"]
    assert not bare(name="edge")["changed"]


def test_what_others_wrote_stays(nat: Any, conn: Any) -> None:
    nat(hosts=[WEB])
    xml = conn.networkLookupByName("edge").XMLDesc()
    xml = xml.replace("</metadata>", "<x:note xmlns:x='urn:other:1'>keep</x:note></metadata>")
    xml = xml.replace("</dns>", "<host ip='203.0.113.99'><hostname>theirs</hostname></host></dns>")
    conn.networkLookupByName("edge").destroy()
    conn.networkDefineXML(xml)
    nat(hosts=[MAIL])
    xml = conn.networkLookupByName("edge").XMLDesc()
    assert "urn:other:1" in xml
    assert ">keep<" in xml
    assert "theirs" in xml
    assert "mail" in xml
    assert ">web<" not in xml


def test_an_entry_of_others_without_a_name_stays_and_is_shown(nat: Any, conn: Any) -> None:
    nat(state="present")
    entry = "<host mac='52:54:00:00:00:09' ip='203.0.113.9'/>"
    conn.networkDefineXML(conn.networkLookupByName("edge").XMLDesc().replace("</dhcp>", f"{entry}</dhcp>"))
    changed = nat(state="present", mtu=1400, dhcp_range={"start": "203.0.113.60", "end": "203.0.113.90"})
    assert changed["network"]["hosts"] == [{"name": None, "mac": "52:54:00:00:00:09", "address": "203.0.113.9"}]
    assert entry in conn.networkLookupByName("edge").XMLDesc()
    assert "<dns" not in conn.networkLookupByName("edge").XMLDesc()
    assert not nat(state="present")["changed"]


def test_a_running_networks_names_and_lease_times_stay(nat: Any, conn: Any) -> None:
    nat(state="present")
    xml = conn.networkLookupByName("edge").XMLDesc()
    span = "<range start='203.0.113.26' end='203.0.113.254'>"
    xml = xml.replace(
        f"{span[:-1]}/>", f"{span}<lease expiry='24' unit='hours'/></range><host mac='{WEB['mac']}' ip='203.0.113.10'/>"
    )
    xml = xml.replace("<ip ", "<dns><host ip='203.0.113.10'><hostname>one</hostname></host></dns><ip ", 1)
    conn.networkDefineXML(xml)
    nat()
    changed = nat(hosts=[WEB], dhcp_range={"start": "203.0.113.50", "end": "203.0.113.99"})
    assert changed["actions"][-1] == "Change hosts and dhcp_range of the running network edge"
    xml = conn.networkLookupByName("edge").XMLDesc()
    assert "end='203.0.113.99'>\n        <lease expiry='24' unit='hours'/>" in xml
    assert "<hostname>one</hostname>\n      <hostname>web</hostname>" in xml
    assert not nat(hosts=[WEB])["changed"]
    nat(hosts=[])
    xml = conn.networkLookupByName("edge").XMLDesc()
    assert ("<hostname>one</hostname>" in xml, "web" in xml, WEB["mac"] in xml) == (True, False, False)


def test_a_restart_needs_the_word(nat: Any, conn: Any) -> None:
    nat()
    refused = nat(mtu=1400)
    assert refused["error"]["code"] == "refused"
    assert refused["error"]["fields"] == ["mtu"]
    assert "<mtu" not in conn.networkLookupByName("edge").XMLDesc()
    # The test driver forgets at a restart what was defined meanwhile: the integration tests look at the network itself.
    done = nat(mtu=1400, allow_restart=True)
    assert [action.split(" the ")[0] for action in done["actions"]] == ["Change", "Stop", "Start"]
    assert done["diff"] == {"before": {}, "after": {"mtu": 1400}}
    assert done["network"]["state"] == "active"


def test_attached_vms_are_never_cut_off(nat: Any, conn: Any) -> None:
    nat()
    conn.createXML(
        "<domain type='test'><name>guest</name><memory>1024</memory><os><type>hvm</type></os>"
        "<devices><interface type='bridge'><source bridge='edgenat0'/></interface></devices></domain>"
    )
    for options in ({"mtu": 1400, "allow_restart": True}, {"state": "absent"}):
        refused = nat(**options)
        assert (refused["error"]["code"], refused["error"]["vms"]) == ("refused", ["guest"])
    assert conn.networkLookupByName("edge").isActive()
    conn.lookupByName("guest").destroy()
    assert nat(state="absent")["changed"]


def test_a_network_of_somebody_else_is_not_touched(bare: Any, conn: Any) -> None:
    xml = conn.networkLookupByName("default").XMLDesc()
    for state in ("active", "absent"):
        refused = bare(name="default", state=state)
        assert refused["error"]["code"] == "conflict"
        assert refused["msg"].startswith("name: the libvirt network default exists")
        assert "adopt" in refused["msg"]
    assert conn.networkLookupByName("default").XMLDesc() == xml
    adopted = bare(name="default", adopt=True)
    assert adopted["diff"] == {"before": {"managed": False}, "after": {"managed": True}}
    assert adopted["network"]["dhcp_range"] == ["192.168.122.2", "192.168.122.254"]


def test_an_overlap_is_found_before_any_change(bare: Any, conn: Any) -> None:
    result = bare(name="edge", bridge="edgenat0", subnet="192.168.0.0/16")
    assert result["error"]["code"] == "conflict"
    assert "192.168.122.0/24 (libvirt network default)" in result["msg"]
    assert [network.name() for network in conn.listAllNetworks()] == ["default"]


def test_a_taken_bridge_name_is_found_before_any_change(bare: Any, conn: Any) -> None:
    for bridge in ("virbr0", "lo"):
        result = bare(name="edge", bridge=bridge, subnet="203.0.113.0/24")
        assert result["failed"]
    assert "libvirt network default" in bare(name="edge", bridge="virbr0", subnet="203.0.113.0/24")["msg"]
    assert [network.name() for network in conn.listAllNetworks()] == ["default"]


def test_a_network_of_another_kind(bare: Any, conn: Any) -> None:
    conn.networkDefineXML("<network><name>alone</name><bridge name='alone0'/><ip address='203.0.113.1' prefix='24'/></network>")
    assert "forward mode isolated" in bare(name="alone", adopt=True)["msg"]


def test_present_leaves_the_run_state(nat: Any, conn: Any) -> None:
    assert nat(state="present")["network"]["state"] == "present"
    assert not conn.networkLookupByName("edge").isActive()
    assert nat()["actions"] == ["Start the network edge"]
    assert not nat(state="present")["changed"]
    assert nat(autostart=False)["diff"] == {"before": {"autostart": True}, "after": {"autostart": False}}


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"subnet": "2001:db8::/64"}, "subnet"),
        ({"subnet": "203.0.113.5/24"}, "subnet"),
        ({"subnet": "127.0.0.0/8"}, "subnet"),
        ({"subnet": "203.0.113.0/31"}, "subnet"),
        ({"bridge": "a-name-of-16-chr"}, "bridge"),
        ({"name": "../etc"}, "name"),
        ({"mtu": 9}, "mtu"),
        ({"domain": "-bad-"}, "domain"),
        ({"dhcp_range": {"start": "203.0.113.9", "end": "203.0.113.8"}}, "dhcp_range"),
        ({"dhcp_range": {"start": "203.0.112.9", "end": "203.0.113.8"}}, "dhcp_range.start"),
        ({"hosts": [{**WEB, "address": "203.0.113.1"}]}, "hosts[0].address"),
        ({"hosts": [WEB, {**MAIL, "mac": "01:00:5e:00:00:01"}]}, "hosts[1].mac"),
        ({"hosts": [{**WEB, "name": "a_b"}]}, "hosts[0].name"),
        ({"hosts": [WEB, {**MAIL, "mac": WEB["mac"].upper()}]}, "hosts"),
    ],
)
def test_bad_input_is_named(nat: Any, conn: Any, options: dict[str, Any], option: str) -> None:
    result = nat(**options)
    assert result["error"] == {"code": "invalid_input", "option": option}
    assert [network.name() for network in conn.listAllNetworks()] == ["default"]


def test_no_libvirt(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(capsys, "nat_network", uri="qemu+unix:///system?socket=/nowhere", name="edge")
    assert result["error"]["code"] == "unreachable"


def test_info(capsys: pytest.CaptureFixture[str], nat: Any) -> None:
    made = nat()
    found = run_module(capsys, "nat_network_info", uri=URI)
    assert [network["name"] for network in found["networks"]] == ["default", "edge"]
    only = run_module(capsys, "nat_network_info", uri=URI, name="edge")
    assert only["networks"] == [{**made["network"], "vms": [], "leases": []}]
    assert run_module(capsys, "nat_network_info", uri=URI, name="none")["networks"] == []
