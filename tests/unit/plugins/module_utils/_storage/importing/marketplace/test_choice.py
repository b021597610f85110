# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing among appliances: laws that hold for any catalogue."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._storage import names
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.appliance import Appliance, File
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.choice import Query, choose, select
from hypothesis import given
from hypothesis import strategies as st

VERSIONS = st.sampled_from(["12.9", "12.10", "13", "13~rc1", "20260101", "0"])
ONES = st.builds(
    Appliance,
    id=st.text("abc", min_size=1, max_size=3),
    name=st.sampled_from(["debian", "Debian-cloud", "alpine", "router"]),
    version=VERSIONS,
    os=st.sampled_from(["debian 13", "alpine 3.20", ""]),
    arch=st.sampled_from(["x86_64", "aarch64", ""]),
    files=st.just((File("https://x.example/a"),)) | st.just(()),
)
QUERIES = st.builds(
    Query,
    name=st.sampled_from([None, "debian", "deb*", "*"]),
    os=st.sampled_from([None, "debian*"]),
    arch=st.sampled_from([None, "amd64", "x86_64", "arm64"]),
    version=st.none() | st.just("newest") | VERSIONS,
)


@given(st.lists(ONES), QUERIES)
def test_a_selection_is_an_ordered_part_that_a_second_one_keeps(ones: list[Appliance], query: Query) -> None:
    found = select(ones, query)
    assert all(one in ones and query.matches(one) for one in found)
    assert select(found, query) == found
    assert select(reversed(ones), query) == found
    if query.version != "newest":
        assert len(found) == sum(query.matches(one) for one in ones)


@given(st.lists(ONES))
def test_the_newest_is_one_of_each_and_none_is_newer(ones: list[Appliance]) -> None:
    found = select(ones, Query(version="newest"))
    assert {(one.name, one.arch) for one in found} == {(one.name, one.arch) for one in ones}
    assert len(found) == len({(one.name, one.arch) for one in found})
    for best in found:
        same = [one for one in ones if (one.name, one.arch) == (best.name, best.arch)]
        assert max(names.version_key(one.version) for one in same) == names.version_key(best.version)


def test_a_choice_is_one_or_an_error() -> None:
    disk = (File("https://x.example/a"),)
    old, new = (Appliance(version, "debian", version, arch="x86_64", files=disk) for version in ("12.9", "12.10"))
    other = Appliance("x", "debian", "13", arch="aarch64", files=disk)
    template = Appliance("t", "debian", "99", arch="x86_64", kind="VMTEMPLATE")
    everything = [old, new, other, template]
    assert choose(everything, Query(name="debian", arch="amd64"), "here") is new
    assert choose(everything, Query(name="DEB*", arch="amd64", version="12.9"), "here") is old
    assert choose(everything, Query(id="x"), "here") is other
    with pytest.raises(InvalidInput, match=r"several .* debian \(aarch64\), debian \(x86_64\)"):
        choose(everything, Query(name="debian"), "here")
    with pytest.raises(NotFound, match="it has debian"):
        choose(everything, Query(name="router"), "here")
