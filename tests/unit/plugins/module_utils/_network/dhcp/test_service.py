# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service on two hosts with real links, VXLAN, nftables and dnsmasq, and guests that ask it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, Conflict, EdgeError, InvalidInput, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.definition import Definition
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.names import link_of, service_mac, space_of
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.reconcile import listing, make_recorded, reconcile
from support.dhcp_hosts import CLIENT, DhcpHost, dhcp_hosts, wired
from support.waiting import until

V4 = {"subnet": "192.0.2.0/24", "address": "192.0.2.2", "gateway": "192.0.2.1"}
V6 = {"subnet": "2001:db8::/64", "address": "2001:db8::2"}
WEB = {"name": "web", "mac": "52:54:00:00:00:01", "addresses": ["192.0.2.10", "2001:db8::10"]}
DB = {"name": "db", "mac": "52:54:00:00:00:02", "addresses": ["192.0.2.11", "2001:db8::11"]}
UNKNOWN = "52:54:00:00:00:99"


def definition(**changed: Any) -> Definition:
    given = {"name": "net", "bridge": "br0", "subnets": [V4, V6], "hosts": [WEB, DB], "domain": "net.example", **changed}
    return Definition.checked(given)


def make(host: DhcpHost, wanted: Definition) -> list[str]:
    made, after = reconcile(host.services, wanted.name, wanted, check=False)
    assert after.view()["current"]
    return made.actions


def remove(host: DhcpHost, name: str = "net") -> list[str]:
    return reconcile(host.services, name, None, check=False)[0].actions


@pytest.fixture
def host(tmp_path: Path) -> Iterator[DhcpHost]:
    with dhcp_hosts(tmp_path) as (one,):
        one.bridge("br0")
        yield one


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[DhcpHost, DhcpHost]]:
    with dhcp_hosts(tmp_path, 2) as (one, other):
        for each in (one, other):
            each.bridge("br0")
        wired(one, other, "br0", 100)
        yield one, other


def test_a_vm_is_answered_by_its_own_host_and_renews_on_the_next(pair: tuple[DhcpHost, DhcpHost]) -> None:
    one, other = pair
    for each in pair:
        make(each, definition())
    web, db = one.vm("web", WEB["mac"], "br0", "vnet0"), other.vm("db", DB["mac"], "br0", "evt-db")
    lease = web("acquire")
    assert (lease["address"], lease["server"], lease["from"]) == ("192.0.2.10", "192.0.2.2", service_mac("net"))
    assert (lease["mtu"], lease["router"], lease["dns"]) == (1450, ["192.0.2.1"], ["192.0.2.2"])
    assert (lease["domain"], lease["answers"]) == ("net.example", 2)
    advertised = web("advertised")
    assert advertised["prefixes"] == [{"prefix": "2001:db8::/64", "on_link": True, "autonomous": False}]
    assert (advertised["managed"], advertised["lifetime"], advertised["mtu"]) == (True, 0, 1450)
    lease6 = web("acquire6")
    assert (lease6["address"], lease6["dns"]) == ("2001:db8::10", ["2001:db8::2"])
    assert db("acquire")["address"] == "192.0.2.11"
    assert WEB["mac"] in one.log("net")
    assert WEB["mac"] not in other.log("net")
    assert DB["mac"] not in one.log("net")

    web.unplug()  # as the tap of a VM that has moved: the same MAC address and leases behind a tap of the next host
    web = other.vm("web", WEB["mac"], "br0", "vnet0")
    web.do("ip", "address", "add", "192.0.2.10/24", "dev", "eth0")
    assert web("renew", "192.0.2.10", "192.0.2.2")["address"] == "192.0.2.10"
    renewed = web("renew6", lease6["server"], "2001:db8::10")
    assert (renewed["address"], renewed["server"]) == ("2001:db8::10", lease6["server"])
    assert WEB["mac"] in other.log("net")
    for each in pair:
        assert each.fdb(service_mac("net")) == {link_of("net")}
        assert each.fdb(WEB["mac"]) <= {"vnet0", "vx100"}


def test_an_unknown_vm_is_not_answered(host: DhcpHost) -> None:
    make(host, definition())
    web = host.vm("web", WEB["mac"], "br0", "vnet0")
    assert web("unheard", UNKNOWN, WEB["mac"], "192.0.2.10") == {"unknown": 0, "known": 1}
    host.do("ip", "-n", "web", "link", "set", "eth0", "address", UNKNOWN)
    assert web("advertised")["managed"]
    assert web("solicited") == {"answered": False}
    until(lambda: "ignored" in host.log("net"), "the note that it was not answered")


def reached(host: DhcpHost) -> bool:
    """Return whether the host itself reaches the service."""
    return bool(json.loads(host.do(sys.executable, str(CLIENT), "reached", "192.0.2.2"))["answered"])


def test_only_ports_of_vms_reach_the_service(host: DhcpHost) -> None:
    make(host, definition())
    web, far = host.vm("web", WEB["mac"], "br0", "vnet0"), host.vm("far", DB["mac"], "br0", "uplink0")
    host.do("ip", "address", "add", "192.0.2.1/24", "dev", "br0")
    for each, address in ((web, "192.0.2.10"), (far, "192.0.2.11")):
        each.do("ip", "address", "add", f"{address}/24", "dev", "eth0")
    assert web("query", "192.0.2.2", "web.net.example")["code"] == 0
    assert not far("reached", "192.0.2.2")["answered"]
    assert not reached(host)
    # A frame of an uplink that claims to be the service moves nothing.
    host.do("ip", "-n", "far", "link", "set", "eth0", "address", service_mac("net"))
    assert not far("reached", "192.0.2.10")["answered"]
    assert host.fdb(service_mac("net")) == {link_of("net")}
    assert web("query", "192.0.2.2", "web.net.example")["code"] == 0
    # So it is without the filter: then the uplink is answered.
    host.do("ip", "-n", "far", "link", "set", "eth0", "address", DB["mac"])
    host.do("nft", "flush", "ruleset")
    assert far("query", "192.0.2.2", "web.net.example")["code"] == 0


def test_names_are_answered_and_all_else_is_refused(host: DhcpHost) -> None:
    make(host, definition())
    web = host.vm("web", WEB["mac"], "br0", "vnet0")
    web.do("ip", "address", "add", "192.0.2.10/24", "dev", "eth0")
    web("acquire")
    assert web("query", "192.0.2.2", "db.net.example")["answers"] == ["192.0.2.11"]
    assert web("query", "192.0.2.2", "db.net.example", "AAAA")["answers"] == ["2001:db8::11"]
    assert web("query", "192.0.2.2", "11.2.0.192.in-addr.arpa", "PTR")["answers"] == ["db.net.example"]
    assert web("query", "192.0.2.2", "no.net.example") == {"code": 3, "answers": []}
    assert web("query", "192.0.2.2", "www.example.org") == {"code": 5, "answers": []}
    assert make(host, definition(hosts=[DB])) == ["Write the files of net", "Reload edge-dhcp@net.service"]
    until(lambda: web("query", "192.0.2.2", "web.net.example")["code"] == 3, "the name of a VM that is gone, except for its lease")


def test_hosts_come_and_go_while_the_service_goes_on(host: DhcpHost) -> None:
    make(host, definition(hosts=[WEB]))
    web = host.vm("web", WEB["mac"], "br0", "vnet0")
    before = host.processes["net"].pid
    assert web("unheard", DB["mac"], WEB["mac"], "192.0.2.11")["unknown"] == 0
    assert make(host, definition()) == ["Write the files of net", "Reload edge-dhcp@net.service"]
    assert web("acquire", DB["mac"])["address"] == "192.0.2.11"
    make(host, definition(hosts=[DB]))
    until(lambda: web("unheard", WEB["mac"], DB["mac"], "192.0.2.10")["unknown"] == 0, "the end of the removed VM's answers")
    moved = {**DB, "addresses": ["192.0.2.12"]}
    make(host, definition(hosts=[moved]))
    until(lambda: web("acquire", DB["mac"])["address"] == "192.0.2.12", "the new address")
    assert host.processes["net"].pid == before
    assert make(host, definition(hosts=[moved])) == []
    assert make(host, definition(hosts=[moved], lease_seconds=600))[-1] == "Restart edge-dhcp@net.service"
    assert web("acquire", DB["mac"])["lease"] == 600


def test_two_tenants_have_the_same_subnet(host: DhcpHost) -> None:
    host.bridge("br10")
    make(host, definition())
    make(host, definition(name="other", bridge="br10", hosts=[{**WEB, "addresses": ["192.0.2.77"]}], domain="other.example"))
    mine, theirs = host.vm("web", WEB["mac"], "br0", "vnet0"), host.vm("their", WEB["mac"], "br10", "vnet1")
    assert (mine("acquire")["address"], theirs("acquire")["address"]) == ("192.0.2.10", "192.0.2.77")
    assert service_mac("net") != service_mac("other")
    remove(host)
    assert theirs("acquire")["address"] == "192.0.2.77"
    assert [item["name"] for item in listing(host.services)] == ["other"]
    remove(host, "other")
    assert host.run(("nft", "list", "table", "bridge", "edge_dhcp"), check=False).rc


def test_the_name_space_has_no_other_link_and_forwards_nothing(host: DhcpHost) -> None:
    host.do("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    make(host, definition())
    inside = ("nsenter", f"--net=/run/netns/{space_of('net')}")
    found = host.do(*inside, "sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.eth0.accept_ra")
    assert found.split() == ["0", "0", "0"]
    assert {item["ifname"] for item in json.loads(host.do(*inside, "ip", "-j", "link"))} == {"lo", "eth0"}


def test_forwarders_need_the_host_as_gateway(host: DhcpHost) -> None:
    wanted = definition(forwarders=["203.0.113.53"])
    with pytest.raises(InvalidInput, match=r"^forwarders: .* dns"):
        make(host, wanted)
    assert link_of("net") not in host.do("ip", "link")
    host.do("ip", "address", "add", "192.0.2.1/24", "dev", "br0")
    make(host, wanted)
    assert make(host, wanted) == []
    assert reached(host)
    make(host, definition())
    assert not reached(host)


@pytest.mark.parametrize(
    ("changed", "error"), [({"bridge": "br9"}, NotFound), ({"bridge": "lo0"}, Conflict), ({"mtu": 9000}, InvalidInput)]
)
def test_what_cannot_be_is_refused_before_any_change(host: DhcpHost, changed: dict[str, Any], error: type[EdgeError]) -> None:
    host.do("ip", "link", "add", "lo0", "type", "veth", "peer", "name", "lo1")
    host.do("ip", "link", "set", "lo1", "master", "br0")
    with pytest.raises(error) as raised:
        make(host, definition(**changed))
    assert raised.value.details["option"] == next(iter(changed))
    assert listing(host.services, "net") == []


def test_a_link_of_that_name_without_our_mark_is_left_alone(host: DhcpHost) -> None:
    host.do("ip", "link", "add", link_of("net"), "type", "veth", "peer", "name", "far")
    with pytest.raises(Conflict, match=r"^name: "):
        make(host, definition())
    assert remove(host) == []
    assert link_of("net") in host.do("ip", "link")


DAMAGE = {
    "the name space": lambda host: host.do("ip", "netns", "delete", space_of("net")),
    "the link": lambda host: host.do("ip", "link", "delete", link_of("net")),
    "the port": lambda host: host.do("ip", "link", "set", link_of("net"), "nomaster"),
    "the mark": lambda host: host.do("ip", "link", "set", link_of("net"), "alias", ""),
    "the filter": lambda host: host.do("nft", "flush", "ruleset"),
    "a rule": lambda host: host.do("nft", "flush", "chain", "bridge", "edge_dhcp", "forward"),
    "the FDB": lambda host: host.do("bridge", "fdb", "del", service_mac("net"), "dev", link_of("net"), "master"),
    "the process": lambda host: host.stop("net"),
    "a file": lambda host: (host.places.files / "net" / "hosts").unlink(),
    "an address": lambda host: host.do("ip", "-n", space_of("net"), "address", "flush", "dev", "eth0"),
    "forwarding": lambda host: host.do(
        "nsenter", f"--net=/run/netns/{space_of('net')}", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_made_again(host: DhcpHost, what: str) -> None:
    make(host, definition())
    DAMAGE[what](host)
    predicted, _state = reconcile(host.services, "net", definition(), check=True)
    assert predicted.changed
    assert make(host, definition()) == predicted.actions
    assert make(host, definition()) == []
    assert host.vm("web", WEB["mac"], "br0", "vnet0")("acquire")["address"] == "192.0.2.10"


def test_a_link_that_goes_with_its_name_space_before_it_is_removed_is_no_error(
    host: DhcpHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process kept the name space alive. Once it has ended, the kernel removes the link too, sooner or later."""
    make(host, definition())
    host.do("ip", "netns", "delete", space_of("net"))
    stop, gone = host.stop, []

    def stop_all(network: str) -> None:
        stop(network)
        until(lambda: link_of("net") not in host.do("ip", "link"), "the end of the link")
        gone.append(network)

    monkeypatch.setattr(host, "stop", stop_all)
    assert f"Remove the link {link_of('net')}" in make(host, definition())
    assert gone == ["net"]
    assert make(host, definition()) == []


def test_a_link_that_cannot_be_removed_is_an_error(host: DhcpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    make(host, definition())
    host.do("ip", "netns", "delete", space_of("net"))
    run = host.run

    def refused(argv: Any, **given: Any) -> Any:
        words = ["false"] if argv[:3] == ("ip", "link", "delete") else argv
        return run(words, **given)

    with monkeypatch.context() as patch:
        patch.setattr(host, "run", refused)
        # Held open, so that the link cannot go by itself.
        with (Path(f"/proc/{host.processes['net'].pid}/ns/net")).open("rb"), pytest.raises(CommandFailed):
            make(host, definition())
    make(host, definition())
    assert make(host, definition()) == []


class Killed(BaseException):
    """Ends a run like SIGKILL does: nothing of ours catches it."""


def runs_until_killed(host: DhcpHost, monkeypatch: pytest.MonkeyPatch, at: int, wanted: Definition | None) -> bool:
    """Carry out a run up to its changing command number ``at``; return whether it was killed there."""
    left, run = [at], host.run

    def counted(argv: Any, **given: Any) -> Any:
        changes = given.get("stdin") is not None or not {"show", "list", "-e"} & set(argv) or "-w" in argv
        if changes:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
        return run(argv, **given)

    with monkeypatch.context() as patch:
        patch.setattr(host, "run", counted)
        try:
            reconcile(host.services, "net", wanted, check=False)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("going", [False, True], ids=["made", "removed"])
def test_a_run_that_was_killed_anywhere_is_made_up_for(host: DhcpHost, monkeypatch: pytest.MonkeyPatch, going: bool) -> None:
    at = 0
    while True:
        if going:
            make(host, definition())
        killed = runs_until_killed(host, monkeypatch, at, None if going else definition())
        if not going:
            make(host, definition())
            assert make(host, definition()) == []
        remove(host)
        assert remove(host) == []
        assert listing(host.services, "net") == []
        assert link_of("net") not in host.do("ip", "link")
        assert "edge-dhcp" not in host.do("ip", "netns", "list")
        if not killed:
            break
        at += 1
    assert at >= 4


def test_what_a_killed_removal_left_is_listed(host: DhcpHost) -> None:
    """So that whoever removes all that is listed, as the role does, removes that too."""
    make(host, definition())
    host.do("ip", "netns", "add", "edge-dhcp-..")  # none of ours
    for path in (host.places.files / "net").iterdir():
        path.unlink()
    (host.places.files / "net").rmdir()
    assert [item["name"] for item in listing(host.services)] == ["net"]
    remove(host)
    assert listing(host.services) == []
    assert host.run(("nft", "list", "table", "bridge", "edge_dhcp"), check=False).rc


@pytest.mark.parametrize("mtu", [1000, 1280])
def test_a_network_too_small_for_ipv6_and_its_way_up(host: DhcpHost, mtu: int) -> None:
    web = {**WEB, "addresses": ["192.0.2.10"]}
    guest = host.vm("web", WEB["mac"], "br0", "vnet0")
    for after in (mtu, 1400, mtu):
        wanted = definition(subnets=[V4], hosts=[web], mtu=after)
        make(host, wanted)
        assert make(host, wanted) == []
        assert guest("acquire")["address"] == "192.0.2.10"
        assert "inet6" not in host.do("ip", "addr", "show", link_of("net"))


def test_half_a_pair_and_half_a_name_space_are_made_anew(host: DhcpHost) -> None:
    link, space = link_of("net"), space_of("net")
    host.do("touch", f"/run/netns/{space}")  # killed between the file and its mount
    make(host, definition())
    remove(host)
    host.do("ip", "netns", "add", space)
    host.do("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)  # killed before the mark
    make(host, definition())
    assert make(host, definition()) == []


def test_a_boot_makes_what_was_recorded(host: DhcpHost) -> None:
    make(host, definition())
    host.stop("net")
    host.do("ip", "netns", "delete", space_of("net"))
    host.do("nft", "flush", "ruleset")
    (host.places.files / "bad").mkdir()
    (host.places.files / "bad" / "network.json").write_text("{")
    (host.places.files / "damaged" / "network.json").mkdir(parents=True)  # no JSON, but an error of the system
    found = make_recorded(host.services)
    assert found["net"] is None
    assert found["bad"] is not None
    assert found["damaged"] is not None
    assert make(host, definition()) == []
