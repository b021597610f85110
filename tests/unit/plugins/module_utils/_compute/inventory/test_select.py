# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.select import choose, name_hosts, variables
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


def test_a_vm_that_runs_twice_is_a_warning() -> None:
    chosen, warnings = choose([domain("web", "1", "running", place) for place in ("hv1", "hv2")])
    assert chosen[0]["hypervisor"] == "hv1"
    assert warnings == ["Domain web (1) runs on hv1 and hv2 at the same time; hv1 is taken."]


def test_variables() -> None:
    assert variables({"address": None}, "edge_") == {"edge_address": None}
    assert variables({"address": "192.0.2.1"}, "edge_")["ansible_host"] == "192.0.2.1"
