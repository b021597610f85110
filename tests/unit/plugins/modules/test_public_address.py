# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses by the real modules, ip(8), nft(8) and kernel: real packets between a router, two hosts and two guests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Places
from ansible_collections.edge.cloud.plugins.modules import public_address_info
from support.modules import run_module
from support.netspace import Space
from support.public_hosts import BRIDGE, MACS, PEERS, Host, Site, give, make_bridge, site

ROUTED = ("203.0.113.10", "2001:db8::10")
NAT = (("203.0.113.11", "10.0.0.5"), ("2001:db8::11", "fd00::5"))
ROUTER = {4: "203.0.113.1", 6: "2001:db8::1"}
CLAIM = """
import sys
from ansible_collections.edge.cloud.plugins.module_utils._network.public.announce import announce
announce(sys.argv[1], sys.argv[2], "eth0")
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def router(address: str) -> str:
    return ROUTER[6 if ":" in address else 4]


def changed(result: dict[str, Any]) -> bool:
    assert not result.get("failed"), result
    return bool(result["changed"])


def neighbour(space: Space, address: str) -> str:
    found = json.loads(space.ip("-j", "neigh", "show", "to", address) or "[]")
    return str(next((one.get("lladdr") for one in found), None))


def within(seconds: float, read: Any, wanted: Any) -> None:
    """Wait until ``read`` gives ``wanted``."""
    end = time.monotonic() + seconds
    while (found := read()) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.02)


def test_a_routed_address_answers_and_leaves_nothing_behind(made: Site) -> None:
    one = made.hosts[0]
    web = made.plug("web", one)
    before = one.made()
    for address in ROUTED:
        give(web, address)
        now = one.made()
        predicted = one.have(address, check=True)
        assert one.made() == now
        done = one.have(address)
        assert changed(done)
        assert [done[key] for key in ("actions", "diff", "public_address")] == [
            predicted[key] for key in ("actions", "diff", "public_address")
        ]
        assert done["public_address"]["in_effect"]
        assert done["public_address"]["uplink"] == "eth0"
        again = one.have(address)
        assert (changed(again), again["public_address"]) == (False, done["public_address"])
        made.serve(web, address, "web")
        assert made.call(made.router, address) == f"web {router(address)}"
        assert made.seen_at(address) == made.mac(one.space)
        assert made.call(one.space, address).startswith("web ")
        with made.heard("out") as heard:
            made.send(web, address, router(address), "out")
        assert heard == [f"out {address}"]
    listed = one.run("public_address_info")["public_addresses"]
    assert [found["address"] for found in listed] == list(ROUTED)
    assert one.run("public_address_info", address=ROUTED[1])["public_addresses"] == listed[1:]
    for address in ROUTED:
        done = one.lose(address)
        assert changed(done)
        assert done["public_address"] == {"address": address, "state": "absent"}
        assert not changed(one.lose(address))
    assert one.made() == before
    assert not [file for file in one.folder.rglob("*") if file.is_file()]


def test_nat_in_and_out_and_between_guests(made: Site) -> None:
    one = made.hosts[0]
    web, other = made.plug("web", one), made.plug("evil", one)
    before = one.made()
    for public, private in NAT:
        width, peer = (64, "fd00::6") if ":" in private else (24, "10.0.0.6")
        give(web, private)
        give(other, peer)
        for guest in (web, other):
            guest.ip("route", "add", f"{private.removesuffix('5')}{'' if width == 64 else '0'}/{width}", "dev", "eth0")
        options = {"mode": "nat", "private_address": private}
        assert changed(one.have(public, **options))
        assert not changed(one.have(public, **options))
        made.serve(web, private, "web")
        made.serve(made.router, router(public), "router")
        assert made.call(made.router, public) == f"web {router(public)}"
        assert made.call(web, router(public), private) == f"router {public}"
        assert made.call(one.space, public).startswith("web ")
        assert made.call(web, public, private) == f"web {public}"
        family = "-6" if width == 64 else "-4"
        made.router.ip(family, "route", "add", f"{private}/{128 if width == 64 else 32}", "via", router(public)[:-1] + "2")
        assert made.call(made.router, private, seconds=1).startswith("none")  # only by its public address
        second = public[:-1] + "2"
        assert changed(one.have(second, "evil", mode="nat", private_address=peer))
        assert made.call(other, public, peer) == f"web {second}"
        assert changed(one.lose(second))
        assert changed(one.lose(public))
    assert one.made() == before


def test_the_router_and_the_guest_know_at_once_that_it_moved(made: Site) -> None:
    one, two = made.hosts
    web = made.plug("web", one)
    for address in ROUTED:
        give(web, address)
        one.have(address)
        made.serve(web, address, "web")
        assert made.call(made.router, address).startswith("web ")
        assert made.seen_at(address) == made.mac(one.space)
    gateways = dict(zip(ROUTED, ("169.254.1.1", "fe80::a9fe:101"), strict=True))
    made.move("web", one, two)
    claimed(web, ROUTED[0], MACS["web"])  # as QEMU announces a guest that has moved
    for address in ROUTED:
        assert neighbour(web, gateways[address]) == made.mac(one.space, BRIDGE)
        assert changed(one.lose(address))
        done = two.have(address)
        assert done["actions"][-1] == f"Announce {address} on eth0 and its gateway on evt-web"
        within(5, lambda address=address: made.seen_at(address), made.mac(two.space))  # nothing was sent to it meanwhile
        within(5, lambda address=address: neighbour(web, gateways[address]), made.mac(two.space, BRIDGE))
        assert made.call(made.router, address) == f"web {router(address)}"
        with made.heard("out") as heard:
            made.send(web, address, router(address), "out")
        assert heard == [f"out {address}"]


def claimed(space: Space, address: str, mac: str) -> None:
    space.run((sys.executable, "-c", CLAIM, address, mac))


@pytest.mark.parametrize("address", [ROUTED[0], pytest.param(ROUTED[1], marks=pytest.mark.slow)])
@pytest.mark.parametrize("same_host", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["beside it", "on another host"])
def test_no_other_guest_can_send_from_it_or_take_it(made: Site, address: str, same_host: bool) -> None:
    one, two = made.hosts
    web, evil = made.plug("web", one), made.plug("evil", one if same_host else two)
    foreign = "2001:db8::77" if ":" in address else "203.0.113.77"
    gateway = "fe80::a9fe:101" if ":" in address else "169.254.1.1"
    for guest, own in ((web, address), (evil, address), (evil, foreign)):
        guest.ip("addr", "add", f"{own}/{128 if ':' in own else 32}", "dev", "eth0", *(["nodad"] if ":" in own else []))
    one.have(address)
    for guest in (web, evil):
        # evil knows the MAC address of the host, however it found that out
        guest.ip("neigh", "replace", gateway, "lladdr", made.mac(one.space, BRIDGE), "dev", "eth0")
        guest.ip("route", "add", "default", "via", gateway, "dev", "eth0", "onlink")

    def spoof() -> list[str]:
        with made.heard("own") as heard:
            made.send(evil, address, router(address), "spoofed")
            made.send(evil, foreign, router(address), "unknown")
            made.send(web, address, router(address), "own")
        return list(heard)

    assert spoof() == [f"own {address}"]
    made.serve(web, address, "web")
    claimed(evil, address, MACS["evil"])
    claimed(evil, foreign, MACS["web"])  # so that the bridge would send what is for web to evil
    claimed(evil, gateway, MACS["evil"])
    assert neighbour(web, gateway) == made.mac(one.space, BRIDGE)
    assert made.call(made.router, address) == f"web {router(address)}"
    for table in ("bridge", "inet"):
        one.space.run(("nft", "delete", "table", table, "edge_public"))
    assert {f"spoofed {address}", f"unknown {foreign}"} <= set(spoof())  # it was the filter
    assert changed(one.have(address))
    assert spoof() == [f"own {address}"]


@pytest.mark.slow
@pytest.mark.parametrize(("public", "private"), NAT)
def test_no_other_guest_can_send_as_one_behind_nat(made: Site, public: str, private: str) -> None:
    one = made.hosts[0]
    web, evil = made.plug("web", one), made.plug("evil", one)
    for guest in (web, evil):
        give(guest, private)
    one.have(public, mode="nat", private_address=private)
    with made.heard("own") as heard:
        made.send(evil, private, router(public), "spoofed")
        made.send(web, private, router(public), "own")
    assert heard == [f"own {public}"]


@pytest.mark.slow
@pytest.mark.parametrize(("public", "private"), NAT)
def test_another_network_of_the_host_is_apart(made: Site, public: str, private: str) -> None:
    one = made.hosts[0]
    web, evil = made.plug("web", one), made.plug("evil", one)
    make_bridge(one.space, 0x77, "evb-other")
    one.space.ip("link", "set", "evt-evil", "master", "evb-other")
    six = ":" in private
    foreign, own = ("2001:db8::77", "fd00:1::6") if six else ("203.0.113.77", "10.9.9.6")
    give(web, private)
    made.serve(web, private, "web")
    gateway = "fe80::a9fe:101" if six else "169.254.1.1"
    for address in (private, foreign, own):
        evil.ip("addr", "add", f"{address}/{128 if six else 32}", "dev", "eth0", *(["nodad"] if six else []))
    evil.ip("neigh", "replace", gateway, "lladdr", "06:00:5e:00:53:77", "dev", "eth0")
    evil.ip("route", "add", "default", "via", gateway, "dev", "eth0", "onlink")
    # The host is the gateway of this network.
    one.space.ip("addr", "add", "fe80::2/64" if six else "169.254.9.1/32", "dev", "evb-other", *(["nodad"] if six else []))
    one.space.ip("route", "add", f"{own}/{128 if six else 32}", "dev", "evb-other")
    one.have(public, mode="nat", private_address=private)
    with made.heard("own") as heard:
        for source, word in ((private, "private"), (foreign, "unknown")):
            made.send(evil, source, router(public), word)
        made.send(evil, own, router(public), "routed")
        made.send(web, private, router(public), "own")
    assert heard == [f"routed {own}", f"own {public}"]
    evil.ip("addr", "del", f"{private}/{128 if six else 32}", "dev", "eth0")
    assert made.call(evil, private, own, seconds=1).startswith("none")
    assert made.call(evil, public, own) == f"web {own}"
    one.space.run(("nft", "delete", "table", "inet", "edge_public_nat"))
    assert made.call(evil, private, own) == f"web {own}"  # it was the filter


@pytest.mark.slow
def test_a_host_answers_its_own_guests_only(made: Site) -> None:
    one, two = made.hosts
    web, far = made.plug("web", one), made.plug("evil", two)
    give(web, ROUTED[0])
    give(far, "203.0.113.66")
    one.have(ROUTED[0])
    with made.heard("near") as heard:
        made.send(far, "203.0.113.66", ROUTER[4], "far")
        made.send(web, ROUTED[0], ROUTER[4], "near")
    assert heard == [f"near {ROUTED[0]}"]
    assert neighbour(far, "169.254.1.1") == "None"


@pytest.mark.slow
def test_guests_reach_nothing_of_the_host_by_its_gateway_address(made: Site) -> None:
    one = made.hosts[0]
    web = made.plug("web", one)
    give(web, ROUTED[1])
    one.have(ROUTED[1])
    made.serve(one.space, "::", "host")
    assert made.call(web, "fe80::a9fe:101%eth0", seconds=1).startswith("none")
    assert made.call(web, "2001:db8::2").startswith("host")


def test_boot_makes_all_again_and_one_that_cannot_be_stops_no_other(made: Site) -> None:
    one = made.hosts[0]
    web = made.plug("web", one)
    for address in ROUTED:
        give(web, address)
        one.have(address)
        made.serve(web, address, "web")
    one.have("203.0.113.20", "evil")
    whole = one.made()
    assert one.run("boot") == {"actions": [], "failed": {}, "links": ["eth0", BRIDGE]}
    one.space.run(("nft", "flush", "ruleset"))
    one.space.ip("link", "set", "eth0", "down")
    one.space.ip("link", "set", "eth0", "up")
    early = one.run("boot")  # the host has no default route yet
    assert early["failed"][ROUTED[0]].startswith(f"{ROUTED[0]}: uplink: this host has no default route of IPv4")
    assert {"eth0", PEERS} <= set(early["links"])
    one.space.ip("addr", "replace", "2001:db8::2/64", "dev", "eth0", "nodad")
    one.space.ip("route", "replace", "default", "via", ROUTER[4])
    one.space.ip("-6", "route", "replace", "default", "via", ROUTER[6])
    one.space.ip("link", "del", BRIDGE)
    lost = one.run("boot")["failed"]
    assert set(lost) == {*ROUTED, "203.0.113.20"}
    assert lost[ROUTED[0]].startswith(f"{ROUTED[0]}: bridge: there is no {BRIDGE} on this host")
    make_bridge(one.space, 1)
    one.space.ip("link", "set", "evt-web", "master", BRIDGE)
    one.space.ip("addr", "add", "203.0.113.20/32", "dev", "lo")  # by mistake
    done = one.run("boot")
    assert list(done["failed"]) == ["203.0.113.20"]
    for address in ROUTED:
        assert made.call(made.router, address).startswith("web ")
    one.space.ip("addr", "del", "203.0.113.20/32", "dev", "lo")
    assert one.run("boot")["failed"] == {}
    assert {key: one.made()[key] for key in ("neighbours", "proxies", "ndp")} == {
        key: whole[key] for key in ("neighbours", "proxies", "ndp")
    }


@pytest.mark.slow
def test_changes_of_bridge_mode_uplink_and_what_a_killed_run_left(made: Site) -> None:
    one = made.hosts[0]
    made.plug("web", one)
    before = one.made()
    address = ROUTED[0]
    one.have(address)
    for options in ({"mode": "nat", "private_address": "10.0.0.5"}, {"mode": "nat", "private_address": "10.0.0.6"}, {}):
        done = one.have(address, **options)
        assert changed(done)
        assert done["public_address"]["private_address"] == options.get("private_address")
        assert not changed(one.have(address, **options))
    (one.folder / "public.json").unlink()  # a run that was killed before it could remember
    assert changed(one.have(address))
    (one.folder / "public.json").unlink()
    assert changed(one.lose(address))
    assert one.made() == before


def refused(host: Host, address: str = "203.0.113.10", **options: Any) -> str:
    before = host.made()
    found = host.have(address, **options)
    assert found.get("failed"), found
    assert host.made() == before
    return str(found["msg"])


def test_refusals_change_nothing_and_say_why(made: Site) -> None:
    one = made.hosts[0]
    made.plug("web", one)
    assert refused(one, "203.0.113.2").startswith("address: 203.0.113.2 is this host's own, on eth0")
    assert refused(one, "2001:DB8:0::2").startswith("address: 2001:db8::2 is this host's own, on eth0")
    assert refused(one, bridge="br9").startswith("bridge: there is no br9 on this host; its bridges are evb-private")
    assert refused(one, bridge="eth0").startswith("bridge: eth0 is not a bridge")
    assert refused(one, tap="eth0").startswith("tap: eth0 is a port of no bridge, not of evb-private")
    assert refused(one, uplink="eth9").startswith("uplink: there is no link eth9")
    assert refused(one, uplink="evx-private").startswith("uplink: evx-private has no route of IPv4")
    assert refused(one, mac="01:00:5e:00:00:01").startswith("mac: ")
    assert refused(one, mode="nat").startswith("private_address: mode: nat needs")
    assert refused(one, private_address="10.0.0.5").startswith("private_address: it is for mode: nat")
    assert refused(one, mode="nat", private_address="fd00::1").startswith("private_address: fd00::1 is not of the IP version")
    for bad in (
        "203.0.113.0/24",
        "239.0.0.1",
        "0.0.0.0",
        "127.0.0.1",
        "169.254.1.1",
        "::ffff:203.0.113.9",
        "fe80::1",
        "name",
        "255.255.255.255",
    ):
        assert refused(one, bad).startswith("address: "), bad
    one.have("203.0.113.10")
    assert "belongs to the NIC evt-web (52:54:00:00:00:01) of the VM web" in refused(
        one, vm="evil", tap="evt-evil", mac=MACS["evil"]
    )
    one.have("203.0.113.11", mode="nat", private_address="10.0.0.5")
    again = refused(one, "203.0.113.12", mode="nat", private_address="10.0.0.5")
    assert again.startswith("private_address: 10.0.0.5 has the public address 203.0.113.11 already")
    assert refused(one, "10.0.0.5").startswith("address: 10.0.0.5 ")
    one.space.ip("route", "add", "203.0.113.30/32", "dev", "eth0")
    assert refused(one, "203.0.113.30").startswith("address: 203.0.113.30 has a route over eth0 on this host, which is not ours")
    one.space.ip("neigh", "add", "proxy", "203.0.113.31", "dev", "eth0")
    assert refused(one, "203.0.113.31").startswith("address: 203.0.113.31 has a proxy entry on eth0")


def test_refusals_of_the_network_and_of_the_hosts_settings(made: Site) -> None:
    one = made.hosts[0]
    networks = [{"name": "private", "type": "isolated", "subnets": ["10.0.0.0/24", "203.0.113.8/29"]}]
    (one.folder / "networks.json").write_text(json.dumps({"schema": 1, "networks": networks}))
    assert refused(one).startswith("address: 203.0.113.10 is in 203.0.113.8/29, a subnet of the network on evb-private")
    outside = refused(one, "203.0.113.20", mode="nat", private_address="10.0.1.5")
    assert outside.startswith("private_address: 10.0.1.5 is in none of the subnets on evb-private: 10.0.0.0/24, 203.0.113.8/29")
    one.space.ip("addr", "add", "203.0.113.17/29", "dev", BRIDGE)
    assert refused(one, "203.0.113.20").startswith("address: 203.0.113.20 is in 203.0.113.16/29, a subnet")
    policy = one.folder / "sysctl.d" / "50-hardening.conf"
    for key in ("net.ipv4.conf.all.proxy_arp", "net/ipv4/conf/eth0/proxy_arp", "-net.ipv4.conf.eth0.proxy_arp"):
        policy.write_text(f"# ours\n{key} = 0\n")
        assert refused(one, "203.0.113.40").startswith(f"address: {policy} sets net/ipv4/conf/")
    policy.write_text("net.ipv6.conf.all.proxy_ndp=0\n")
    assert refused(one, "2001:db8::10").startswith(f"address: {policy} sets net/ipv6/conf/all/proxy_ndp to 0")
    policy.unlink()
    one.space.run(("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=0"))
    message = refused(one, "2001:db8::10")
    assert message.startswith("address: this host does not forward IPv6 (net/ipv6/conf/all/forwarding is 0)")
    assert "net.ipv6.conf.eth0.accept_ra = 2 first" in message
    one.space.run(("sysctl", "-q", "-w", "net.ipv4.ip_forward=0"))
    assert refused(one, "203.0.113.40").startswith("address: this host does not forward IPv4 (net/ipv4/conf/eth0/forwarding is 0)")
    one.space.ip("route", "del", "default")
    assert refused(one, "203.0.113.40").startswith("uplink: this host has no default route of IPv4")


def test_missing_arguments(made: Site) -> None:
    assert "missing required arguments: address" in made.hosts[0].run("public_address")["msg"]
    assert "bridge, tap, mac" in made.hosts[0].run("public_address", address="203.0.113.10")["msg"]


def test_a_host_that_never_had_one_needs_no_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one that was reset, from which the package of nft(8) is gone."""
    monkeypatch.setattr(public_address_info, "PLACES", Places(record=tmp_path / "record.json"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_module(capsys, "public_address_info")["public_addresses"] == []
