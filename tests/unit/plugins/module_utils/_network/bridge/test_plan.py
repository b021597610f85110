# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of bridges: they converge, drop nothing that they do not own, and refuse what would cut the host off."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, Refused
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.plan import BridgeRequest, plan
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.steps import Bridge, BridgeState, LinkStep
from ansible_collections.edge.cloud.plugins.module_utils._network.link.model import Host, Link
from ansible_collections.edge.cloud.plugins.module_utils._network.link.routes import Address, Route
from hypothesis import given
from hypothesis import strategies as st

CARDS = ("eth0", "eth1", "eth2")
MACS = ("52:54:00:00:00:11", "52:54:00:00:00:12", "52:54:00:00:00:13")
ADDRESSES = ("192.0.2.1/24", "192.0.2.2/24", "198.51.100.1/24", "2001:db8::1/64")


def as_host(host: Host, state: BridgeState) -> Host:
    """Return ``host`` with its bridge as a plan predicts it; what moved to the bridge is gone from the ports."""
    links = {name: replace(link, master=None if link.master == "br0" else link.master) for name, link in host.links.items()}
    links.pop("br0", None)
    bridge = state.bridge
    if bridge is None:
        return Host(links, ())
    for name in (*bridge.ports, *bridge.vm_ports):
        links[name] = replace(links[name], master="br0", addresses=())
    links["br0"] = Link(
        name="br0",
        kind="bridge",
        mtu=bridge.mtu or 1500,
        mac=bridge.mac or "",
        up=bridge.up,
        addresses=tuple(Address(cidr) for cidr in bridge.addresses),
        stp=bridge.stp,
        forward_delay=bridge.forward_delay,
    )
    ports = set(bridge.ports)
    return Host(links, tuple(replace(route, dev="br0" if route.dev in ports else route.dev) for route in host.routes))


addresses = st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=3)
cards = st.builds(lambda held, up: (tuple(Address(cidr) for cidr in held), up), st.just([]) | addresses, st.booleans())


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    macs = draw(st.sampled_from([("", "", ""), *itertools.permutations(MACS)]))
    links = {name: Link(name, addresses=draw(cards)[0], mac=mac) for name, mac in zip(CARDS, macs, strict=True)}
    if draw(st.booleans()):
        masters = {name: draw(st.sampled_from([None, "br0"])) for name in CARDS}
        links = {name: replace(link, master=masters[name]) for name, link in links.items()}
        links["vnet0"] = Link("vnet0", kind="tun", master="br0")
        held = tuple(Address(cidr) for cidr in draw(addresses))
        links["br0"] = Link("br0", "bridge", up=draw(st.booleans()), addresses=held, stp=draw(st.booleans()), mtu=draw(mtus))
    return Host(links)


mtus = st.sampled_from([1400, 1500, 9000])
options = st.fixed_dictionaries(
    {"name": st.just("br0"), "state": st.sampled_from(["present", "present", "absent"]), "allow_disruption": st.just(True)},
    optional={
        "ports": st.lists(st.sampled_from(CARDS), unique=True),
        "addresses": addresses,
        "mtu": mtus,
        "mac": st.just("52:54:00:00:00:01"),
        "stp": st.booleans(),
        "forward_delay": st.sampled_from([2.0, 4.0, 15.0]),
        "boot": st.sampled_from(["networkd", "none"]),
    },
)


@given(hosts(), options)
def test_a_second_plan_is_empty(host: Host, given_options: dict[str, Any]) -> None:
    wanted = BridgeRequest.checked(given_options)
    first = plan(host, {}, wanted)
    second = plan(as_host(host, first.after), dict(first.after.boot), wanted)
    assert second.actions == []


@given(hosts(), options)
def test_what_was_asked_comes_and_what_was_not_stays(host: Host, given_options: dict[str, Any]) -> None:
    wanted = BridgeRequest.checked(given_options)
    made = plan(host, {}, wanted)
    before, after = made.before.bridge, made.after.bridge
    assert (after is not None) is wanted.present
    if after is None:
        return
    for name in ("ports", "addresses", "mtu", "mac", "stp", "forward_delay"):
        value = getattr(wanted, name)
        if value is not None:
            assert getattr(after, name) == value
        elif before is not None and not (name == "addresses" and wanted.ports):
            assert getattr(after, name) == getattr(before, name)
    assert after.up
    assert before is None or after.vm_ports == before.vm_ports
    commands = [words for step in made.steps if isinstance(step, LinkStep) for words in step.commands]
    assert not any("vnet0" in words for words in commands)


@given(hosts(), options)
def test_nothing_that_a_port_carried_is_lost(host: Host, given_options: dict[str, Any]) -> None:
    given_options.pop("addresses", None)
    wanted = BridgeRequest.checked({**given_options, "state": "present"})
    after = plan(host, {}, wanted).after.bridge
    assert after is not None
    carried = {address.cidr for port in wanted.ports or () for address in host.links[port].addresses}
    assert carried <= set(after.addresses)


UPLINK = Route("default", "eth0", 4, ("default", "via", "192.0.2.254"), gateway="192.0.2.254")
HOST = Host({"eth0": Link("eth0", addresses=(Address("192.0.2.1/24"),)), "eth1": Link("eth1")}, (UPLINK,))


def wanted(**more: Any) -> BridgeRequest:
    return BridgeRequest.checked({"name": "br0", **more})


def test_the_uplink_needs_the_word() -> None:
    with pytest.raises(Refused) as caught:
        plan(HOST, {}, wanted(ports=["eth0"]))
    assert caught.value.details["carries"] == ["192.0.2.1/24", "the host's default route"]
    made = plan(HOST, {}, wanted(ports=["eth0"], allow_disruption=True))
    assert made.after.bridge is not None
    assert made.after.bridge.addresses == ("192.0.2.1/24",)


def test_the_move_has_no_moment_without_an_address() -> None:
    step = plan(HOST, {}, wanted(ports=["eth0"], allow_disruption=True)).steps[2]
    assert isinstance(step, LinkStep)
    assert step.commands == (
        ("link", "set", "dev", "br0", "up"),
        ("addr", "replace", "192.0.2.1/24", "dev", "br0"),
        ("link", "set", "dev", "eth0", "master", "br0", "up"),
        ("-4", "route", "replace", "default", "via", "192.0.2.254", "dev", "br0"),
        ("addr", "del", "192.0.2.1/24", "dev", "eth0"),
    )


def test_a_lease_does_not_move() -> None:
    leased = Host({"eth0": Link("eth0", addresses=(Address("192.0.2.7/24", dynamic=True),))})
    with pytest.raises(Refused, match="lease cannot move"):
        plan(leased, {}, wanted(ports=["eth0"], allow_disruption=True))
    made = plan(leased, {}, wanted(ports=["eth0"], addresses=["192.0.2.7/24"], allow_disruption=True))
    assert made.after.bridge is not None
    assert made.after.bridge.addresses == ("192.0.2.7/24",)


def test_an_address_from_router_advertisements_moves_but_is_not_ours() -> None:
    advertised = Host({"eth0": Link("eth0", addresses=(Address("2001:db8::7/64", dynamic=True),))})
    with pytest.raises(Refused, match="2001:db8::7/64"):
        plan(advertised, {}, wanted(ports=["eth0"]))
    made = plan(advertised, {}, wanted(ports=["eth0"], allow_disruption=True))
    assert made.after.bridge == Bridge("br0", up=True, ports=("eth0",))


def test_stp_and_its_delay() -> None:
    with pytest.raises(InvalidInput, match="forward_delay"):
        plan(HOST, {}, wanted(stp=True, forward_delay=0))
    host = Host({"br0": Link("br0", "bridge", up=True, stp=True, forward_delay=4.0)})
    with pytest.raises(InvalidInput):
        plan(host, {}, wanted(forward_delay=0))
    assert plan(host, {}, wanted(forward_delay=0, stp=False)).actions[0].startswith("Set stp")


@pytest.mark.parametrize("bad", [{"ports": ["br0"]}, {"forward_delay": 31}, {"forward_delay": -1}, {"ports": ["a b"]}, {"mtu": 1}])
def test_bad_input(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        wanted(**bad)


def card(name: str, mac: str, master: str | None = None) -> Link:
    return Link(name, mac=mac, master=master)


LOW, MIDDLE, HIGH = (f"52:54:00:00:00:0{number}" for number in (1, 2, 3))
CABLES = (card("eth0", HIGH), card("eth1", MIDDLE), card("eth2", LOW))


@pytest.mark.parametrize(
    ("held", "mac", "ports", "expected"),
    [
        ((), None, ["eth0", "eth1"], MIDDLE),  # a new bridge: the lowest, as the kernel has it
        (("eth0",), HIGH, ["eth0"], HIGH),
        (("eth0",), HIGH, None, HIGH),
        (("eth0",), HIGH, ["eth0", "eth2"], HIGH),  # a lower one comes: the bridge keeps its own
        (("eth0", "eth1"), MIDDLE, ["eth0"], HIGH),  # its port goes, and takes its address along
        (("eth0",), "52:54:00:00:00:99", ["eth0", "eth1"], "52:54:00:00:00:99"),
        ((), "52:54:00:00:00:99", ["eth1"], MIDDLE),
        ((), None, [], None),
    ],
)
def test_the_bridge_has_at_boot_the_mac_address_that_it_has_now(
    held: tuple[str, ...], mac: str | None, ports: list[str] | None, expected: str | None
) -> None:
    links = {link.name: replace(link, master="br0" if link.name in held else None) for link in CABLES}
    if mac:
        links["br0"] = Link("br0", "bridge", mac=mac, up=True)
    asked = wanted(boot="networkd", **({} if ports is None else {"ports": ports}))
    made = plan(Host(links), {}, asked)
    assert made.after.bridge is not None
    assert made.after.bridge.mac == expected
    assert (f"MACAddress={expected}" in dict(made.after.boot)["50-edge-br0.netdev"]) is (expected is not None)
    again = plan(as_host(Host(links), made.after), dict(made.after.boot), asked)
    assert again.actions == []
    assert plan(Host(links), {}, wanted(boot="networkd", ports=ports or [], mac=LOW)).after.bridge.mac == LOW  # type: ignore[union-attr]
