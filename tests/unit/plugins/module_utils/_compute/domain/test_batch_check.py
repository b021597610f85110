# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.batch_check import clashes, memory_warning
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


def test_memory_is_enough_or_a_warning() -> None:
    assert memory_warning([GIB, GIB], 2 * GIB) is None
    assert memory_warning([GIB, 2 * GIB], 2 * GIB) == (
        "The running domains of this host have 3GiB of memory together, the host has 2GiB."
    )
