# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue parsers: entries as marketplaces really write them, and entries by people who mean no good."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace import (
    checksum_files,
    index,
    opennebula,
    simplestreams,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.appliance import Catalogue, File
from hypothesis import given
from hypothesis import strategies as st

BASE = "https://market.example"
SHA = "a" * 64
IMAGE = {
    "_id": {"$oid": "4bea23af-09c2-4520-8f3a-ce902eb5157c"},
    "name": "Alpine Router",
    "version": "1.31.3-6.10.0-2",
    "os-id": "Alpine",
    "os-release": "3.18",
    "os-arch": "x86_64",
    "format": "qcow2",
    "tags": ["alpine", "service"],
    "files": [
        {
            "url": "https://cdn.example/router.qcow2",
            "driver": "qcow2",
            "size": "2147483648",
            "checksum": {"md5": "b" * 32, "sha256": SHA},
        }
    ],
}


def opennebula_of(*entries: Any) -> Catalogue:
    return opennebula.parse(json.dumps({"appliances": entries}).encode(), "here", BASE)


def test_an_opennebula_image() -> None:
    (found,) = opennebula_of(IMAGE).appliances
    assert (found.name, found.version, found.os, found.arch, found.kind) == (
        "Alpine Router",
        "1.31.3-6.10.0-2",
        "alpine 3.18",
        "x86_64",
        "IMAGE",
    )
    checksums = (("md5", "b" * 32), ("sha256", SHA))
    assert found.files == (File("https://cdn.example/router.qcow2", None, 2**31, checksums, "qcow2"),)
    assert found.files[0].proof == f"sha256:{SHA}"


def test_opennebula_entries_that_omit_fields() -> None:
    template = {"_id": "abc", "name": "OneKE", "type": "VMTEMPLATE", "disks": ["OneKE OS disk"], "tags": None, "version": None}
    service = {"_id": {"$oid": "x1"}, "name": "S", "type": "service_template", "roles": {}}
    old = {
        "_id": {"$oid": "x2"},
        "name": "Old",
        "version": 1.1,
        "files": [{"os-id": "Debian", "os-arch": "amd64", "md5": "c" * 32}],
    }
    images = {"_id": {"$oid": "x3"}, "name": "I", "images": [{"url": "http://x.example/a", "sha256": SHA.upper()}]}
    found = opennebula_of(template, service, old, images)
    assert found.skipped == ()
    assert [(one.kind, one.version, len(one.files)) for one in found.appliances] == [
        ("VMTEMPLATE", "0", 0),
        ("SERVICE_TEMPLATE", "0", 0),
        ("IMAGE", "1.1", 1),
        ("IMAGE", "0", 1),
    ]
    third, fourth = found.appliances[2:]
    assert (third.os, third.arch) == ("debian", "x86_64")
    assert third.files[0].url == f"{BASE}/appliance/x2/download/0"
    assert third.files[0].proof is None
    assert fourth.files[0].proof == f"sha256:{SHA}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"_id": {"$oid": "../../etc"}}, "id"),
        ({"_id": None}, "_id"),
        ({"_id": []}, "_id"),
        ({"name": ""}, "name"),
        ({"name": {}}, "name"),
        ({"name": "a\x1b[2J"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"version": "1\n2"}, "version"),
        ({"version": "ä"}, "version"),
        ({"type": "WORM"}, "type"),
        ({"files": "x"}, "files"),
        ({"files": [7]}, "object"),
        ({"files": [{"url": "file:///etc/shadow"}]}, "URL"),
        ({"files": [{"url": "https://u:p@x.example/"}]}, "URL"),
        ({"files": [{"url": "http://[x/"}]}, "URL"),
        ({"files": [{"size": -1}]}, "size"),
        ({"files": [{"size": 2**70}]}, "size"),
        ({"files": [{"size": True}]}, "size"),
        ({"files": [{"checksum": {"sha256": "zz"}}]}, "sha256"),
        ({"tags": {}}, "tags"),
    ],
)
def test_a_bad_opennebula_entry_is_reported_and_hides_no_other(change: dict[str, Any], reason: str) -> None:
    found = opennebula_of({**IMAGE, **change}, IMAGE)
    assert len(found.appliances) == 1
    (skipped,) = found.skipped
    assert skipped.entry.startswith("0")
    assert reason in skipped.reason
    assert "here" in skipped.reason
    assert json.dumps([skipped.entry, skipped.reason], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b"{}", b'{"appliances": {}}', b"[" * 100_000, b"\xff\xfe", b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_catalogue_names_itself(data: bytes) -> None:
    for parse in (opennebula.parse, index.parse, simplestreams.parse_products):
        with pytest.raises(InvalidInput, match="The catalogue here"):
            parse(data, "here", BASE)
    with pytest.raises(InvalidInput, match="The catalogue here"):
        simplestreams.parse_index(data, "here")


def test_too_much_of_a_catalogue_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="larger than 33554432"):
        opennebula.parse(b" " * (32 * 1024 * 1024 + 1), "here", BASE)
    with pytest.raises(InvalidInput, match="more than 100000 entries"):
        opennebula.parse(b'{"appliances": [' + b"0," * 100_000 + b"0]}", "here", BASE)


def test_our_own_index() -> None:
    image = {
        "name": "debian",
        "version": "13.1",
        "digest": f"sha256:{SHA}",
        "size": 5,
        "virtual_size": 9,
        "format": "qcow2",
        "os": "debian 13",
        "arch": "amd64",
        "min_disk": 0,
        "created": "2026-01-02T03:04:05Z",
    }
    data = json.dumps({"images": [image, {**image, "digest": "sha256:../x"}, {"name": "debian"}, None]}).encode()
    found = index.parse(data, "here", "https://market.example/images/")
    (one,) = found.appliances
    assert (one.name, one.version, one.arch) == ("debian", "13.1", "x86_64")
    assert one.files == (File(f"https://market.example/images/{SHA}.qcow2", 5, 9, (("image", SHA),), "qcow2"),)
    assert [skipped.entry for skipped in found.skipped] == ["1", "2", "3"]
    assert index.parse(data, "here", "/srv/x").appliances[0].files[0].url == f"/srv/x/{SHA}.qcow2"


UBUNTU = {
    "com.ubuntu.cloud:server:24.04:amd64": {
        "aliases": "24.04,n,noble",
        "arch": "amd64",
        "os": "ubuntu",
        "release": "noble",
        "version": "24.04",
        "versions": {
            "20260101": {
                "items": {
                    "manifest": {"ftype": "manifest", "path": "server/x.manifest", "sha256": SHA},
                    "disk1.img": {
                        "ftype": "disk1.img",
                        "path": "server/noble-amd64.img",
                        "sha256": SHA,
                        "md5": "b" * 32,
                        "size": 7,
                    },
                    "uefi1.img": {"ftype": "uefi1.img", "path": "server/uefi.img", "sha256": SHA},
                }
            },
            "20260102": {"items": {"root.tar.xz": {"ftype": "root.tar.xz", "path": "server/root.tar.xz"}}},
        },
    }
}
LINUXCONTAINERS = {
    "alpine:3.20:arm64:cloud": {
        "arch": "arm64",
        "os": "Alpine",
        "release": "3.20",
        "variant": "cloud",
        "versions": {
            "20260101_13:00": {
                "items": {
                    "incus.tar.xz": {"ftype": "incus.tar.xz", "path": "images/alpine/incus.tar.xz", "sha256": SHA},
                    "disk.qcow2": {
                        "ftype": "disk-kvm.img",
                        "path": "images/alpine/20260101_13:00/disk.qcow2",
                        "sha256": SHA,
                        "size": 8,
                    },
                }
            }
        },
    }
}


def products(value: Any) -> Catalogue:
    return simplestreams.parse_products(json.dumps({"products": value}).encode(), "here", BASE)


def test_simplestreams_of_ubuntu_and_linuxcontainers() -> None:
    found = products({**UBUNTU, **LINUXCONTAINERS})
    assert found.skipped == ()
    ubuntu, alpine = found.appliances
    assert (ubuntu.name, ubuntu.version, ubuntu.os, ubuntu.arch) == ("ubuntu-noble", "20260101", "ubuntu 24.04", "x86_64")
    assert (ubuntu.files[0].url, ubuntu.files[0].size) == (f"{BASE}/server/noble-amd64.img", 7)
    assert ubuntu.tags == ("24.04", "n", "noble")
    assert (alpine.name, alpine.version, alpine.arch) == ("alpine-3.20-cloud", "20260101_13:00", "aarch64")
    assert alpine.files[0].url == f"{BASE}/images/alpine/20260101_13:00/disk.qcow2"
    assert alpine.files[0].proof == f"sha256:{SHA}"


PATHS = ["../x.img", "/etc/passwd", "a/../../x", "a//b", "a\\b", "%2e%2e/x", "a%2Fb", "a\x00b", "", ".", "http://evil/x", "a/./b"]


@pytest.mark.parametrize("path", [*PATHS, None, 7.5 * 10**300, ["x"]])
def test_a_path_that_leads_out_is_skipped(path: Any) -> None:
    item = {"ftype": "disk1.img", "path": path, "sha256": SHA}
    evil = {"evil": {"os": "x", "versions": {"1": {"items": {"disk1.img": item}}, "2": {"items": 7}, "3": None}}, "odd": 3}
    found = products({**evil, **UBUNTU})
    if isinstance(path, float):
        assert found.appliances[0].files[0].url == f"{BASE}/7.5e+300"
        return
    assert [one.name for one in found.appliances] == ["ubuntu-noble"]
    assert [one.entry for one in found.skipped] == ["evil/1", "evil/2", "evil/3", "odd"]


def test_the_index_of_simplestreams() -> None:
    index = {"a": {"datatype": "image-downloads", "path": "streams/v1/a.json"}, "b": {"datatype": "image-ids", "path": "x"}, "c": 4}
    assert simplestreams.parse_index(json.dumps({"index": index}).encode(), "here") == (["streams/v1/a.json"], [])
    odd = {**index, "d": {"datatype": "image-downloads", "path": "/streams/v1/a.json"}, "e": {"datatype": "image-downloads"}}
    paths, skipped = simplestreams.parse_index(json.dumps({"index": odd}).encode(), "here")
    assert (paths, [one.entry for one in skipped]) == (["streams/v1/a.json"], ["d", "e"])
    many = {str(number): index["a"] for number in range(17)}
    paths, skipped = simplestreams.parse_index(json.dumps({"index": many}).encode(), "here")
    assert (len(paths), [one.reason for one in skipped]) == (16, ["At most 16 documents are read."])


def test_checksum_files() -> None:
    lines = [
        f"{'d' * 128}  debian-13-genericcloud-amd64.qcow2",
        f"{'d' * 128}  debian-13-genericcloud-amd64.tar.xz",
        "# a comment",
        f"{SHA} *noble-server-cloudimg-arm64.img",
        f"SHA256 (Fedora-Cloud-Base-40-1.14.x86_64.qcow2) = {SHA}",
        f"{'e' * 32}  old-1-i386.raw.xz",
        f"{SHA}  ../../etc/shadow.img",
        f"{SHA}  ./plain.img",
        "-----BEGIN PGP SIGNATURE-----",
    ]
    found = checksum_files.parse("\n".join(lines).encode(), "here", "https://x.example/a")
    assert [(one.name, one.version, one.os, one.arch) for one in found.appliances] == [
        ("debian-genericcloud", "13", "debian 13", "x86_64"),
        ("noble-server-cloudimg", "0", "noble", "aarch64"),
        ("Fedora-Cloud-Base", "40-1.14", "fedora 40", "x86_64"),
        ("old", "1", "old 1", "i686"),
        ("plain", "0", "plain", ""),
    ]
    assert [one.files[0].format for one in found.appliances] == ["qcow2", None, "qcow2", "raw", None]
    assert found.appliances[0].files[0].proof == f"sha512:{'d' * 128}"
    assert found.appliances[3].files[0].proof is None
    assert found.appliances[4].files[0].url == "https://x.example/a/plain.img"
    assert [one.entry for one in found.skipped] == ["../../etc/shadow.img", "debian-13-genericcloud-amd64.tar.xz"]
    assert "is a tar archive, not a disk image; unpack it" in found.skipped[1].reason


@pytest.mark.parametrize("data", [b"<html>no sums</html>", b"\xff\xff", b"", b" " * (32 * 1024 * 1024 + 1)])
def test_what_is_no_checksum_file_names_itself(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="The catalogue here"):
        checksum_files.parse(data, "here", BASE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                [
                    "_id",
                    "$oid",
                    "name",
                    "type",
                    "files",
                    "images",
                    "url",
                    "path",
                    "ftype",
                    "items",
                    "versions",
                    "sha256",
                    "size",
                    "digest",
                    "version",
                    "tags",
                    "os",
                    "arch",
                ]
            )
            | st.text(),
            inner,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=6))
def test_no_json_breaks_a_parser(entries: list[Any]) -> None:
    found = opennebula_of(*entries, IMAGE)
    assert len(found.appliances) + len(found.skipped) == len(entries) + 1
    assert index.parse(json.dumps({"images": entries}).encode(), "here", BASE)
    assert products({str(number): entry for number, entry in enumerate(entries)})
    for one in found.appliances:
        assert all(file.url.startswith(("https://", "http://")) for file in one.files)


@given(st.text(max_size=40))
def test_no_name_leads_out_of_a_folder(name: str) -> None:
    line = f"{SHA}  {name}.img".encode("utf-8", "ignore")
    try:
        found = checksum_files.parse(line, "here", "/srv/images")
    except InvalidInput:
        return
    for one in found.appliances:
        parts = one.files[0].url.split("/")
        assert parts[:3] == ["", "srv", "images"]
        assert not {"", ".", ".."} & set(parts[3:])
