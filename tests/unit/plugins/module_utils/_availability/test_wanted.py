# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory may ask of a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._availability.wanted import Wanted
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError


def given(*links: list[str], **more: Any) -> dict[str, Any]:
    hosts = [{"host": f"h{number}", "name": f"h{number}", "links": own} for number, own in enumerate(links)]
    return {"cluster": "site1", "token_ms": 3000, "allow_unfenced": True, "allow_without_witness": False, "hosts": hosts, **more}


THREE = (["192.0.2.1", ""], ["192.0.2.2", ""], ["192.0.2.3", ""])


def test_addresses_are_written_one_way() -> None:
    wanted = Wanted.checked(given(["2001:DB8:0::1", "192.0.2.1"]))
    assert wanted.hosts[0].links == ("2001:db8::1", "192.0.2.1")


def test_one_host_needs_no_consent() -> None:
    assert len(Wanted.checked(given(["192.0.2.1"], allow_unfenced=False)).hosts) == 1


def test_the_token_grows_with_the_hosts() -> None:
    wanted = Wanted.checked(given(*([f"192.0.2.{n}"] for n in range(1, 16)), token_ms=2000))
    assert [wanted.conf(1, [None] * count).token for count in (1, 2, 3, 15)] == [2000, 2000, 2650, 10450]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("links", "more", "says"),
    [
        (THREE, {"cluster": "debian"}, "cluster_name: 'debian'"),
        (THREE, {"cluster": ""}, "cluster_name: ''"),
        (THREE, {"cluster": "a}\nb"}, "cluster_name: "),
        (THREE, {"token_ms": 999}, "cluster_token_ms: 999 is not from 1000 to 60000 ms"),
        (THREE, {"token_ms": 60001}, "cluster_token_ms: 60001"),
        (THREE, {"allow_unfenced": False}, "cluster_allow_unfenced: 3 hosts without fencing"),
        (THREE[:2], {}, "cluster_allow_without_witness: if 2 hosts are split in halves"),
        ((*THREE, ["192.0.2.4"]), {}, "cluster_allow_without_witness: if 4 hosts"),
        ([[f"192.0.2.{n}"] for n in range(1, 18)], {}, "1 to 16 hosts, and this group has 17"),
        ([], {}, "this group has 0"),
        ((["edge1.example"],), {}, "cluster_link0 of h0: 'edge1.example' is not an IP address"),
        ((["127.0.0.1"],), {}, "cluster_link0 of h0: 127.0.0.1 is not an address that other hosts reach"),
        ((["fe80::1"],), {}, "cluster_link0 of h0: fe80::1 is not"),
        ((["", ""],), {}, "cluster_link0 of h0: it has 0 addresses"),
        ((["192.0.2.1", "224.0.0.1"],), {}, "cluster_link1 of h0: 224.0.0.1"),
        ((["192.0.2.1", "192.0.2.1"],), {}, "the address 192.0.2.1 is given twice"),
        ((["2001:db8::1"], ["2001:db8:0::1"], ["192.0.2.3"]), {}, "the address 2001:db8::1 is given twice"),
        ((["192.0.2.1"], ["192.0.2.2"], ["2001:db8::1"]), {}, "h0 has 192.0.2.1 and h2 has 2001:db8::1"),
        ((["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3", "192.0.2.4"]), {}, "h0 has 192.0.2.1 and h2 has 192.0.2.3, 192.0.2.4"),
    ],
)
def test_what_no_cluster_can_be_is_refused(links: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(EdgeError) as caught:
        Wanted.checked(given(*links, **more))
    assert says in caught.value.message


def test_two_hosts_of_one_name_are_refused() -> None:
    asked = given(*THREE)
    asked["hosts"][2]["name"] = "H0"
    with pytest.raises(EdgeError, match="host_name: the name h0 is given to two hosts"):
        Wanted.checked(asked)
    asked["hosts"][2]["name"] = "h0 {"
    with pytest.raises(EdgeError, match="host_name of h2"):
        Wanted.checked(asked)


def test_an_even_number_with_consent() -> None:
    assert len(Wanted.checked(given(*THREE[:2], allow_without_witness=True)).hosts) == 2
