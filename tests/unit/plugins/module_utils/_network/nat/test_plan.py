# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and XML of NAT networks: they converge, keep what others wrote, and restart nothing unasked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, InvalidInput, Refused
from ansible_collections.edge.cloud.plugins.module_utils._network.nat import network_xml
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.config import Config, Lease
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.plan import (
    NatRequest,
    Network,
    Stop,
    Undefine,
    plan,
)
from hypothesis import given
from hypothesis import strategies as st

SUBNETS = ("192.0.2.0/24", "198.51.100.0/25")
leases = st.lists(
    st.integers(2, 9).map(lambda n: {"name": f"vm{n}", "mac": f"52:54:00:00:00:0{n}", "address": f"192.0.2.{n}"}),
    unique_by=lambda host: host["address"],
    max_size=3,
)
options = st.fixed_dictionaries(
    {"name": st.just("edge"), "state": st.sampled_from(["active", "present"]), "bridge": st.sampled_from(["nat0", "nat1"])},
    optional={
        "domain": st.sampled_from(["a.example", "b.example"]),
        "mtu": st.sampled_from([1400, 1500]),
        "autostart": st.booleans(),
        "hosts": leases,
        "dhcp_range": st.integers(2, 9).map(lambda n: {"start": f"192.0.2.{n}", "end": f"192.0.2.{n + 9}"}),
    },
).map(lambda found: {**found, "subnet": SUBNETS[0], "allow_restart": True})


@given(options, options)
def test_a_second_plan_is_empty(first: dict[str, Any], second: dict[str, Any]) -> None:
    made = plan(None, NatRequest.checked(first))
    assert not plan(made.after, NatRequest.checked(first)).changed
    changed = plan(made.after, NatRequest.checked(second))
    assert not plan(changed.after, NatRequest.checked(second)).changed


@given(options, options)
def test_what_was_not_given_stays(first: dict[str, Any], second: dict[str, Any]) -> None:
    before = plan(None, NatRequest.checked(first)).after
    after = plan(before, NatRequest.checked(second)).after
    assert before is not None
    assert after is not None
    for name in ("domain", "mtu", "hosts", "dhcp_range"):
        if name not in second:
            assert getattr(after.config, name) == getattr(before.config, name)
    if "autostart" not in second:
        assert after.autostart == before.autostart


@given(options, options)
def test_the_xml_says_the_plan_and_keeps_the_rest(first: dict[str, Any], second: dict[str, Any]) -> None:
    configs = [NatRequest.checked(found).config(None) for found in (first, second)]
    text = network_xml.write(network_xml.new("edge"), configs[0])
    text = text.replace("</metadata>", '<o:note xmlns:o="urn:other:1">keep</o:note></metadata>')
    text = text.replace("</network>", "<portgroup name='keep'/></network>")
    text = text.replace("</dhcp>", "<bootp file='keep'/></dhcp>")
    root = network_xml.parse(text)
    assert network_xml.read(root) == configs[0]
    again = network_xml.write(root, configs[1])
    changed = network_xml.parse(again)
    kept = NatRequest.checked(second).config(None)
    assert network_xml.read(changed) == kept
    assert network_xml.is_ours(changed)
    assert again.count("keep") == 3
    names = [next(iter(network_xml.dns_names(item))) for item in changed.findall("dns/host")]
    assert sorted(names) == sorted(host.name for host in kept.hosts)


RUNNING = Config("nat0", SUBNETS[0], "192.0.2.1", ("192.0.2.26", "192.0.2.254"))
ACTIVE = Network("edge", RUNNING, RUNNING, autostart=True)


def wanted(**more: Any) -> NatRequest:
    return NatRequest.checked({"name": "edge", **more})


@pytest.mark.parametrize("change", [{"bridge": "nat1"}, {"subnet": SUBNETS[1]}, {"mtu": 1400}, {"domain": "a.example"}])
def test_a_restart_needs_the_word_and_nobody_attached(change: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="allow_restart") as caught:
        plan(ACTIVE, wanted(**change))
    assert caught.value.details["fields"] == sorted(change)
    used = Network("edge", RUNNING, RUNNING, vms=("web", "mail"))
    with pytest.raises(Refused, match="web, mail"):
        plan(used, wanted(**change, allow_restart=True))
    made = plan(ACTIVE, wanted(**change, allow_restart=True))
    assert [type(step).__name__ for step in made.steps] == ["Define", "Stop", "Start"]
    assert not plan(made.after, wanted(**change)).changed


def test_a_network_that_does_not_run_needs_no_word() -> None:
    made = plan(Network("edge", RUNNING, autostart=True), wanted(mtu=1400, state="present"))
    assert made.actions == ["Change the definition of the network edge (mtu)"]


def test_hosts_change_while_vms_are_attached() -> None:
    used = Network("edge", RUNNING, RUNNING, autostart=True, vms=("web",))
    made = plan(used, wanted(hosts=[{"name": "web", "mac": "52:54:00:00:00:01", "address": "192.0.2.9"}]))
    assert made.actions == ["Change the definition of the network edge (hosts)", "Change hosts of the running network edge"]
    assert made.after is not None
    assert made.after.live == made.after.config


def test_what_only_the_running_network_has_stays_until_it_is_asked_for() -> None:
    theirs = replace(
        RUNNING, hosts=(Lease("192.0.2.9", "52:54:00:00:00:01", "", dns=False),), dhcp_range=("192.0.2.50", "192.0.2.60")
    )
    used = Network("edge", RUNNING, theirs, autostart=True, vms=("web",))
    assert plan(used, wanted()).actions == []
    assert plan(used, wanted(autostart=False)).actions == ["Let the network edge not start with the host"]
    assert plan(used, wanted(hosts=[])).actions == ["Change hosts of the running network edge"]
    span = {"start": "192.0.2.26", "end": "192.0.2.254"}
    assert plan(used, wanted(dhcp_range=span)).actions == ["Change dhcp_range of the running network edge"]


def test_a_new_subnet_takes_its_own_range_and_not_the_old_hosts() -> None:
    held = replace(RUNNING, hosts=(Lease("192.0.2.9", "52:54:00:00:00:01", "web"),))
    with pytest.raises(InvalidInput, match=r"hosts\[0\]\.address"):
        wanted(subnet=SUBNETS[1]).config(held)
    config = wanted(subnet=SUBNETS[1], hosts=[]).config(held)
    assert (config.address, config.dhcp_range) == ("198.51.100.1", ("198.51.100.13", "198.51.100.126"))


def test_absent() -> None:
    assert not plan(None, wanted(state="absent")).changed
    assert plan(ACTIVE, wanted(state="absent")).steps == (Stop("edge"), Undefine("edge"))
    transient = Network("edge", RUNNING, RUNNING, persistent=False)
    assert plan(transient, wanted(state="absent")).steps == (Stop("edge"),)


def test_somebody_elses_network() -> None:
    theirs = Network("edge", RUNNING, RUNNING, ours=False, autostart=True)
    with pytest.raises(Conflict, match="adopt"):
        plan(theirs, wanted())
    adopted = plan(theirs, wanted(adopt=True))
    assert adopted.actions == ["Change the definition of the network edge"]
    assert adopted.after == ACTIVE
    for forward in ("isolated", "bridge", "without IPv4"):
        with pytest.raises(Conflict, match="not a NAT network"):
            plan(Network("edge", RUNNING, forward=forward, ours=False), wanted(adopt=True))


def test_reading_what_others_define() -> None:
    text = (
        "<network><name>a</name><forward mode='nat'/><bridge name='virbr0'/>"
        "<ip family='ipv6' address='2001:db8::1' prefix='64'/>"
        "<ip address='192.0.2.1' netmask='255.255.255.0'><dhcp><host mac='52:54:00:AA:00:01' ip='192.0.2.5'/></dhcp></ip></network>"
    )
    root = network_xml.parse(text)
    config = network_xml.read(root)
    assert config == Config("virbr0", SUBNETS[0], "192.0.2.1", hosts=(Lease("192.0.2.5", "52:54:00:aa:00:01", "", dns=False),))
    assert [str(subnet) for subnet in network_xml.subnets(root)] == ["2001:db8::/64", SUBNETS[0]]
    assert not network_xml.is_ours(root)
    assert network_xml.forward_mode(network_xml.parse("<network><name>a</name></network>")) == "isolated"
    assert network_xml.read(network_xml.parse("<network><name>a</name></network>")) is None
    assert network_xml.read(network_xml.parse(network_xml.write(root, config))) == config


ENTRIES = {
    "without a name": ("<host mac='52:54:00:AA:00:01' ip='192.0.2.5'/>", ""),
    "by name": ("<host name='Web-1' ip='192.0.2.5'/>", ""),
    "by client id": ("<host id='01:52:54:00:aa:00:01' mac='52:54:00:aa:00:01' ip='192.0.2.5'/>", ""),
    "of client id alone": ("<host id='01:52:54:00:aa:00:01' ip='192.0.2.5'/>", ""),
    "without an address": ("<host mac='52:54:00:aa:00:01' name='one'/><host mac='52:54:00:aa:00:02' name='two'/>", ""),
    "with a lease time": ("<host mac='52:54:00:aa:00:01' name='one' ip='192.0.2.5'><lease expiry='0'/></host>", ""),
    "of a domain": ("<host mac='52:54:00:aa:00:01' name='web.lab.example' ip='192.0.2.5'/>", ""),
    "with several names": (
        "<host mac='52:54:00:aa:00:01' name='one' ip='192.0.2.5'/>",
        "<host ip='192.0.2.5'><hostname>one</hostname><hostname>Two</hostname></host>",
    ),
    "with several ranges": (
        "<range start='192.0.2.100' end='192.0.2.110'><lease expiry='24' unit='hours'/></range>"
        "<range start='192.0.2.120' end='192.0.2.130'/><host mac='52:54:00:aa:00:01' ip='192.0.2.5'/>",
        "",
    ),
}


def theirs(dhcp: str, dns: str) -> str:
    """A network that another program made, with IPv6 hosts by DUID and by name."""
    six = "<host id='00:03:00:01:52:54:00:aa:00:01' name='six' ip='2001:db8::5'/><host name='v6' ip='2001:db8::6'/>"
    return (
        f"<network><name>edge</name><forward mode='nat'/><bridge name='nat0' stp='on' delay='0'/><dns>{dns}</dns>"
        f"<ip address='192.0.2.1' netmask='255.255.255.0'><dhcp>{dhcp}</dhcp></ip>"
        f"<ip family='ipv6' address='2001:db8::1' prefix='64'><dhcp>{six}</dhcp></ip></network>"
    )


def rest_of(text: str) -> str:
    """The XML without our mark."""
    return re.sub(r"<metadata.*?</metadata>", "", ElementTree.canonicalize(text, strip_text=True))


@pytest.mark.parametrize(("dhcp", "dns"), ENTRIES.values(), ids=ENTRIES)
def test_entries_of_others_stay_when_their_network_is_taken_over(dhcp: str, dns: str) -> None:
    text = theirs(dhcp, dns)
    held = network_xml.read(network_xml.parse(text))
    network = Network("edge", held or RUNNING, ours=False)
    made = plan(network, wanted(adopt=True, state="present")).after
    assert made is not None
    assert rest_of(network_xml.write(network_xml.parse(text), made.config)) == rest_of(text)
    changed = wanted(adopt=True, state="present", domain="a.example", mtu=1400).config(held)
    again = network_xml.write(network_xml.parse(text), changed)
    again = re.sub(r"<(mtu|domain) [^>]*>", "", again)
    assert rest_of(again).replace("</mtu>", "").replace("</domain>", "") == rest_of(text)


def test_a_range_that_changes_keeps_its_lease_time_and_the_other_ranges() -> None:
    text = theirs(*ENTRIES["with several ranges"])
    config = wanted(dhcp_range={"start": "192.0.2.50", "end": "192.0.2.110"}).config(network_xml.read(network_xml.parse(text)))
    assert rest_of(network_xml.write(network_xml.parse(text), config)) == rest_of(text.replace("192.0.2.100", "192.0.2.50"))
    with pytest.raises(InvalidInput, match=r"192\.0\.2\.120 to 192\.0\.2\.130"):
        wanted(dhcp_range={"start": "192.0.2.50", "end": "192.0.2.125"}).config(config)


@pytest.mark.parametrize(("dhcp", "dns"), ENTRIES.values(), ids=ENTRIES)
def test_hosts_that_are_given_keep_what_else_their_entries_have(dhcp: str, dns: str) -> None:
    text = theirs(dhcp, dns)
    given = [{"name": "One", "mac": "52:54:00:AA:00:01", "address": "192.0.2.5"}]
    config = wanted(hosts=given).config(network_xml.read(network_xml.parse(text)))
    again = network_xml.parse(network_xml.write(network_xml.parse(text), config))
    (host,) = network_xml.dhcp_hosts(again).values()
    assert network_xml.lease_of(again, host) == Lease("192.0.2.5", "52:54:00:aa:00:01", "one")
    assert ("expiry" in ElementTree.tostring(host, encoding="unicode")) is ("expiry" in dhcp.rpartition("<host")[2])
    assert host.get("id") == ("01:52:54:00:aa:00:01" if " id=" in dhcp else None)
    assert network_xml.names_of(again, "192.0.2.5") == ({"one", "two"} if dns else {"one"})
    assert len(again.findall("ip/dhcp/host")) == 3
    without = network_xml.parse(network_xml.write(again, wanted(hosts=[]).config(config)))
    assert network_xml.names_of(without, "192.0.2.5") == ({"two"} if dns else set())
    assert [host.get("name") for host in without.findall("ip/dhcp/host")] == ["six", "v6"]
