# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.batch import (
    Need,
    clashes,
    memory_short,
    memory_warning,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DomainSpec, Nic, stable_mac, stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from hypothesis import given
from hypothesis import strategies as st
from support.compute import GIB, root_disk, spec

unique = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), max_size=6, unique=True)


def one(name: str) -> DomainSpec:
    nic = Nic("nic0", stable_mac(name, "nic0"), network="edge")
    return spec(name=name, uuid=stable_uuid(name), nics=(nic,), disks=(root_disk(path=f"/vms/{name}/root.qcow2"),))


@given(unique)
def test_domains_of_their_own_names_do_not_clash(names: list[str]) -> None:
    assert clashes({name: VmState(name, config=one(name)) for name in names}) == {}


@given(unique.filter(bool), st.sampled_from(["uuid", "nics", "disks"]))
def test_what_one_takes_of_another_is_found_and_named(names: list[str], field: str) -> None:
    states = {name: VmState(name, config=one(name)) for name in names}
    thief = spec(name="thief!", uuid=stable_uuid("thief!"))
    states["thief!"] = VmState("thief!", config=DomainSpec(**{**vars(thief), field: getattr(one(names[-1]), field)}))
    found = clashes(states)
    assert list(found) == ["thief!"] and found["thief!"].message.endswith(f"is already wanted by {names[-1]}.")
    assert clashes({**states, names[-1]: VmState(names[-1])}) == {}, "an absent one wants nothing"


@given(st.lists(st.integers(0, 8), max_size=8), st.integers(0, 20))
def test_the_vms_that_a_task_starts_fit_together_or_are_named(sizes: list[int], free: int) -> None:
    needs = {f"domains[{place}]": Need(size * GIB) for place, size in enumerate(sizes)}
    found = memory_short(needs, free * GIB, {})
    assert bool(found) == (sum(sizes) > free and any(sizes))
    assert sum(need.memory for where, need in needs.items() if where not in found) <= free * GIB
    assert all(needs[where].memory and error.message.startswith("memory: with the VMs before it") for where, error in found.items())
    assert memory_short(needs, None, {}) == {}


def test_huge_pages_are_counted_by_their_size_and_whole() -> None:
    mib = 2**20
    needs = {"a": Need(3 * mib, 2 * mib), "b": Need(GIB), "c": Need(3 * mib, 2 * mib), "d": Need(GIB, GIB)}
    assert list(memory_short(needs, GIB, {2 * mib: 3, GIB: 1})) == ["c"]
    assert memory_short(needs, GIB, {2 * mib: 3})["c"].message == (
        "hugepages: with the VMs before it in this task it would take 8MiB of memory in pages of 2MiB together, and this host has "
        "6MiB left; start fewer, or give them less."
    )


def test_memory_is_enough_or_a_warning() -> None:
    assert memory_warning([GIB, GIB], 2 * GIB) is None
    assert memory_warning([GIB, 2 * GIB], 2 * GIB) == (
        "The running domains of this host have 3GiB of memory together, the host has 2GiB."
    )
