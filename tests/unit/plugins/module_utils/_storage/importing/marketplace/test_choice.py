# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing among appliances: laws that hold for any catalogue."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._storage import names
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace import checksum_files
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.appliance import Appliance, File, Skipped
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
    with pytest.raises(NotFound, match="debian of the marketplace here is a VMTEMPLATE without disks"):
        choose(everything, Query(id="t"), "here")


def listed(*names: str) -> tuple[Appliance, ...]:
    lines = [f"{number:064x}  {name}" for number, name in enumerate(names, 1)]
    return checksum_files.parse("\n".join(lines).encode(), "here", "https://x.example").appliances


DEBIAN = "debian-13-genericcloud-amd64"
FORMATS = {
    ("qcow2", "raw", "vmdk"): "qcow2",
    ("json", "qcow2", "raw", "tar.xz"): "qcow2",
    ("img", "raw", "vmdk", "vhd"): "img",
    ("img", "qcow2"): "qcow2",
    ("qcow2.xz", "raw.xz", "vmdk.xz"): "qcow2.xz",
    ("qcow2.gz", "qcow2.xz", "qcow2"): "qcow2",
    ("QCOW2", "RAW"): "QCOW2",
    ("img.xz", "raw"): "img.xz",
    ("raw",): "raw",
    ("raw", "raw.xz"): "raw",
    ("vmdk.gz", "vmdk.xz"): "vmdk.xz",
}


@pytest.mark.parametrize("suffixes", FORMATS)
def test_the_best_format_is_taken(suffixes: tuple[str, ...]) -> None:
    for order in (suffixes, suffixes[::-1]):
        everything = (*listed(*(f"{DEBIAN}.{suffix}" for suffix in order)), *listed("debian-12-genericcloud-amd64.qcow2"))
        wanted = f"{DEBIAN}.{FORMATS[suffixes]}"
        for version in (None, "13", "newest"):
            assert choose(everything, Query(name="debian-genericcloud", version=version), "here").id == wanted
        assert [one.id for one in select(everything, Query(version="newest"))] == [wanted]


@pytest.mark.parametrize("suffixes", [("raw", "vmdk"), ("vhd", "raw.xz"), ("vmdk", "vdi", "vhdx")])
def test_formats_of_which_none_is_better_are_refused_with_their_names(suffixes: tuple[str, ...]) -> None:
    names = [f"{DEBIAN}.{suffix}" for suffix in suffixes]
    everything = listed(*names)
    with pytest.raises(InvalidInput, match="give the id of one") as refused:
        choose(everything, Query(name="debian*"), "here")
    assert all(name in refused.value.message for name in names)
    assert choose(everything, Query(id=names[1]), "here").id == names[1]
    assert {one.id for one in select(everything, Query(version="newest"))} == set(names)


def test_a_format_that_is_said_is_taken_and_no_other() -> None:
    everything = listed(f"{DEBIAN}.qcow2", f"{DEBIAN}.raw", f"{DEBIAN}.vmdk")
    assert choose(everything, Query(), "here", image_format="raw").id == f"{DEBIAN}.raw"
    assert choose(listed(f"{DEBIAN}.img"), Query(), "here", image_format="raw").id == f"{DEBIAN}.img"
    with pytest.raises(InvalidInput, match=r"^format: vdi .*\.vmdk"):
        choose(everything, Query(), "here", image_format="vdi")


def test_two_files_of_one_name_are_refused_unless_they_are_the_same() -> None:
    names = (f"a/{DEBIAN}.qcow2", f"b/{DEBIAN}.qcow2")
    with pytest.raises(InvalidInput, match=f"{names[0]}.*{names[1]}"):
        choose(listed(*names), Query(), "here")
    same = "".join(f"{'a' * 64}  {name}\n" for name in names)
    assert choose(checksum_files.parse(same.encode(), "here", "https://x.example").appliances, Query(), "here").id in names


SKIPPED = (
    Skipped("3 (Two disks - KVM)", "its size is '1 GB'.", "abc4"),
    Skipped("debian-14-genericcloud-amd64.tar.xz", "It is a tar archive.", archive=True),
    Skipped("line 7", "not understood"),
)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(name="Two disks*"), "its size is '1 GB'"),
        (Query(name="two disks - kvm", arch="x86_64"), "its size is '1 GB'"),
        (Query(id="abc4"), "its size is '1 GB'"),
        (Query(name="debian-genericcloud", version="14"), "It is a tar archive"),
        (Query(id="debian-14-genericcloud-amd64.tar.xz"), "It is a tar archive"),
        (Query(name="alpine"), "3 of its entries cannot be used, such as 3 .Two disks - KVM.: its size is '1 GB'"),
    ],
)
def test_an_entry_that_was_skipped_is_told_to_who_asks_for_it(query: Query, words: str) -> None:
    with pytest.raises(NotFound, match=words):
        choose(listed("debian-13-genericcloud-amd64.qcow2"), query, "here", SKIPPED)


def test_an_id_of_two_entries_of_which_one_cannot_be_used_is_refused() -> None:
    other = Appliance("abc4", "same id", "2", files=(File("https://x.example/a"),))
    with pytest.raises(NotFound, match="its size is '1 GB'"):
        choose([other], Query(id="abc4"), "here", SKIPPED)
    assert choose([other], Query(name="same id"), "here", SKIPPED) is other
