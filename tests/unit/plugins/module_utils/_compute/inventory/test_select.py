# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.read import Hypervisor
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.select import choose, name_hosts, once, variables
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from hypothesis import given
from hypothesis import strategies as st

domains = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["web", "db"]),
            "uuid": st.sampled_from(["1", "2", "3"]),
            "state": st.sampled_from(["running", "paused", "saved", "stopped", "new word"]),
            "hypervisor": st.sampled_from(["hv1", "hv2"]),
        }
    ),
    max_size=8,
    unique_by=lambda one: (one["uuid"], one["hypervisor"]),
)


def domain(name: str, uuid: str, state: str, hypervisor: str) -> dict[str, Any]:
    return {"name": name, "uuid": uuid, "state": state, "hypervisor": hypervisor, "address": None}


@given(domains)
def test_each_vm_is_one_host_and_the_most_alive_one(found: list[dict[str, Any]]) -> None:
    chosen, warnings = choose(found)
    assert [one["uuid"] for one in chosen] == list(dict.fromkeys(one["uuid"] for one in found))
    for one in chosen:
        running = [other for other in found if other["uuid"] == one["uuid"] and other["state"] == "running"]
        assert one["state"] == "running" or not running
        assert (len(running) > 1) == any(f"({one['uuid']}) runs on" in warning for warning in warnings)


@given(domains)
def test_no_host_takes_the_name_of_another(found: list[dict[str, Any]]) -> None:
    chosen, _any = choose(found)
    unlike = list({(one["name"], one["hypervisor"]): one for one in chosen}.values())  # libvirt's names are unique on a host
    named, warnings = name_hosts(unlike, "name")
    assert sorted(one["uuid"] for one in named.values()) == sorted(one["uuid"] for one in unlike)
    assert len(warnings) == len({name.split(".")[0] for name in named if "." in name})


def test_names() -> None:
    same = [domain("web", "1", "running", "hv1"), domain("web", "2", "running", "hv2"), domain("db", "3", "stopped", "hv1")]
    named, warnings = name_hosts(same, "name")
    assert list(named) == ["web.hv1", "web.hv2", "db"] and len(warnings) == 1
    assert list(name_hosts(same, "uuid")[0]) == ["1", "2", "3"]


def test_a_name_that_is_taken_is_that_of_its_hypervisor_too_and_the_others_stay() -> None:
    found = [domain(name, str(place), "running", "hv1") for place, name in enumerate(["all", "web", "localhost", "state_running"])]
    named, warnings = name_hosts(found, "name", {"state_running"})
    assert list(named) == ["all.hv1", "web", "localhost.hv1", "state_running.hv1"]
    assert [one["name"] for one in named.values()] == ["all", "web", "localhost", "state_running"]
    assert len(warnings) == 3 and all("in the inventory as" in one for one in warnings)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("Windows Server 2019 (prod)", "Windows_Server_2019_prod_"),
        ("a:b", "a_b"),
        ("web,db", "web_db"),
        ("vm[1:3]", "vm_1_3_"),
        ("!web", "_web"),
        ("-l", "_-l"),
        ("@file", "_file"),
        (".x", "_.x"),
        ("{{ lookup('pipe', 'id') }}", "_lookup_pipe_id_"),
        ("a\nb", "a_b"),
        ("büro", "büro"),
        ("web.lab.example", "web.lab.example"),
        ("5", "5"),
    ],
)
def test_a_host_has_a_name_that_a_pattern_can_name(name: str, host: str) -> None:
    named, warnings = name_hosts([domain(name, "1", "running", "hv1")], "name")
    assert list(named) == [host]
    assert len(warnings) == (name != host)


def test_names_that_become_the_same_or_are_taken_at_every_turn() -> None:
    found = [domain("a b", "1", "running", "hv1"), domain("a:b", "2", "running", "hv1"), domain("a_b.hv1", "3", "running", "hv2")]
    assert sorted(name_hosts(found, "name")[0]) == ["a_b.1", "a_b.2", "a_b.hv1.hv2"]
    named, warnings = name_hosts(found[2:], "name", {"a_b.hv1", "a_b.hv1.hv2", "a_b.hv1.3"})
    assert not named and "is not in the inventory" in warnings[0]


def test_a_hypervisor_that_is_given_twice_is_read_once() -> None:
    same = ("hv1", frozenset({("1", 7)}))
    found = [
        Hypervisor("qemu+tls://hv1/system", "hv1", ({},), identity=same),
        Hypervisor("qemu+tls://hv3/system", "hv3", error=EdgeError("x")),
        Hypervisor("qemu+ssh://192.0.2.1/system", "192.0.2.1", ({},), identity=same),
        Hypervisor("qemu+ssh://192.0.2.2/system", "192.0.2.2", ({},), identity=("hv1", frozenset({("1", 8)}))),
        Hypervisor("qemu+tls://hv4/system", "hv4", identity=("hv4", frozenset())),
    ]
    kept, warnings = once(found)
    assert kept == [found[0], found[1], found[3], found[4]]
    same_one = "uris: qemu+ssh://192.0.2.1/system is the same hypervisor as qemu+tls://hv1/system; its VMs are taken from there."
    assert warnings == [same_one]


def test_a_vm_that_runs_twice_is_a_warning() -> None:
    chosen, warnings = choose([domain("web", "1", "running", place) for place in ("hv1", "hv2")])
    assert chosen[0]["hypervisor"] == "hv1"
    assert warnings == ["Domain web (1) runs on hv1 and hv2 at the same time; hv1 is taken."]


def test_variables() -> None:
    assert variables({"address": None, "addresses": []}, "edge_", "lease") == {"edge_address": None, "edge_addresses": []}


@pytest.mark.parametrize(
    ("entries", "lease", "seen"),
    [
        ([("192.0.2.1", "agent")], "192.0.2.1", "192.0.2.1"),
        ([("192.0.2.9", "record"), ("192.0.2.1", "agent")], "192.0.2.9", "192.0.2.1"),
        ([("192.0.2.9", "agent"), ("192.0.2.1", "agent")], "192.0.2.9", "192.0.2.9"),
        ([("192.0.2.9", "record")], "192.0.2.9", "192.0.2.9"),
        ([("192.0.2.9", "record"), ("fe80::1", "agent")], "192.0.2.9", "192.0.2.9"),
    ],
)
def test_where_a_host_is_reached(entries: list[tuple[str, str]], lease: str, seen: str) -> None:
    known = {"address": entries[0][0], "addresses": [{"address": address, "source": source} for address, source in entries]}
    assert [variables(known, "edge_", by)["ansible_host"] for by in ("lease", "seen")] == [lease, seen]
