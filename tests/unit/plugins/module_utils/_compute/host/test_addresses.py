# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.addresses import main_address, merge
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Nic

NICS = (Nic("nic0", "52:54:00:00:00:01", network="edge"), Nic("nic1", "52:54:00:00:00:02", bridge="br-lan"))


def answer(mac: str | None, *addresses: tuple[str, int]) -> dict[str, Any]:
    rows = [{"addr": address, "prefix": prefix, "type": 1 if ":" in address else 0} for address, prefix in addresses]
    return {"eth": {"hwaddr": mac, "addrs": rows or None}}


def test_the_first_source_is_believed_and_each_address_is_there_once() -> None:
    found = merge(
        [
            ("agent", answer("52:54:00:00:00:01", ("192.0.2.5", 24), ("fe80::1", 64))),
            ("lease", answer("52:54:00:00:00:01", ("192.0.2.5", 0))),
            ("arp", answer("52:54:00:00:00:02", ("198.51.100.7", 0))),
        ],
        NICS,
    )
    assert [(row["nic"], row["address"], row["prefix"], row["family"], row["source"]) for row in found] == [
        ("nic0", "192.0.2.5", 24, "ipv4", "agent"),
        ("nic0", "fe80::1", 64, "ipv6", "agent"),
        ("nic1", "198.51.100.7", None, "ipv4", "arp"),
    ]
    assert main_address(found) == "192.0.2.5"


def test_what_is_not_of_our_nics_is_left_out() -> None:
    """An agent reports loopback and of the guest's own bridges."""
    answers = [("agent", answer("52:54:00:00:00:01", ("127.0.0.1", 8))), ("agent", answer("02:42:00:00:00:09", ("172.17.0.1", 16)))]
    assert merge([*answers, ("lease", answer(None, ("192.0.2.1", 24))), ("arp", answer("52:54:00:00:00:01"))], NICS) == []


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=id", "{{ x }}", "2001:db8::1%$(id)", "192.0.2.1 ", "192.0.2.1\n", "localhost"]
)
def test_what_an_agent_sends_that_is_no_address_is_left_out(text: str) -> None:
    found = merge([("agent", answer("52:54:00:00:00:01", (text, 24), ("192.0.2.5", 24)))], NICS)
    assert [row["address"] for row in found] == ["192.0.2.5"]


@pytest.mark.parametrize(
    ("addresses", "main"), [([], None), (["169.254.1.1", "fe80::1"], None), (["fe80::1", "2001:db8::1"], "2001:db8::1")]
)
def test_a_link_local_address_reaches_no_guest(addresses: list[str], main: str | None) -> None:
    assert main_address([{"address": address} for address in addresses]) == main


def interfaces(*rows: tuple[str, str, str]) -> dict[str, Any]:
    """Return an answer of an agent, in the order in which a guest's kernel lists its interfaces and addresses."""
    found: dict[str, Any] = {}
    for name, mac, text in rows:
        address, _slash, prefix = text.partition("/")
        row = {"addr": address, "prefix": int(prefix), "type": 1 if ":" in address else 0}
        found.setdefault(name, {"hwaddr": mac, "addrs": []})["addrs"].append(row)
    return found


ONE, TWO = NICS[0].mac, NICS[1].mac


@pytest.mark.parametrize(
    ("rows", "main"),
    [
        ([("docker0", "02:42:0a:00:00:01", "172.17.0.1/16"), ("eth0", ONE, "192.0.2.20/24")], "192.0.2.20"),
        ([("wg0", "00:00:00:00:00:00", "10.8.0.2/24"), ("eth0", ONE, "192.0.2.20/24")], "192.0.2.20"),
        ([("eth0", ONE, "192.0.2.100/24"), ("eth0", ONE, "192.0.2.20/24")], "192.0.2.100"),
        ([("eth0", ONE, "10.0.0.5/32"), ("eth0", ONE, "192.0.2.20/24")], "192.0.2.20"),
        ([("eth0", ONE, "192.0.2.20/32")], "192.0.2.20"),
        ([("eth0.7", ONE, "10.7.0.2/24"), ("eth0", ONE, "192.0.2.20/24")], "192.0.2.20"),
        ([("eth1", TWO, "10.9.0.2/24"), ("eth0", ONE, "192.0.2.20/24")], "192.0.2.20"),
        ([("eth0", ONE, "169.254.3.4/16"), ("eth1", TWO, "192.0.2.20/24")], "192.0.2.20"),
        ([("eth0", ONE, "2001:db8::5/64"), ("eth1", TWO, "192.0.2.20/24")], "192.0.2.20"),
        ([("eth0", ONE, "fe80::1/64"), ("eth0", ONE, "2001:db8::5/64")], "2001:db8::5"),
    ],
)  # fmt: skip
def test_the_main_address_is_the_primary_one(rows: list[tuple[str, str, str]], main: str) -> None:
    found = merge([("agent", interfaces(*rows))], NICS)
    assert main_address(found) == main


def test_the_order_is_that_of_the_domain_s_nics() -> None:
    many = tuple(Nic(f"nic{number}", f"52:54:00:00:01:{number:02x}", bridge="br0") for number in range(12))
    rows = [(f"eth{number}", nic.mac, f"192.0.2.{number + 1}/24") for number, nic in enumerate(many)]
    found = merge([("agent", interfaces(*reversed(rows)))], many)
    assert [row["nic"] for row in found] == [nic.name for nic in many]
