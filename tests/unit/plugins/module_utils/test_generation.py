# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A generation's document: what it says comes back, what it must not say is refused by its place, and states tell contents."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, InvalidInput, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._generation import (
    Delta,
    Disk,
    File,
    Generation,
    Vm,
    first_state,
    parse,
    point_of,
    state_after,
)

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"


def digest(character: str) -> str:
    return "sha256:" + character * 64


def generation() -> Generation:
    disk = Disk("vda", digest("1"), 10 * 2**30)
    disk = disk.followed_by(File(digest("a"), 300000), 1, 10 * 2**30).followed_by(File(digest("b"), 200000), 2, 12 * 2**30)
    data = Disk("vdb", None, 2**20).begun_again(File(digest("c"), 262144), (1, 2), 2**20)
    files = {"nvram": File(digest("d"), 540672)}
    return Generation(Vm("web", UUID), 3, 2, "2026-05-01T10:00:00.25Z", True, False, {"memory": "1GiB"}, files, (disk, data), 1)


def document() -> dict[str, Any]:
    return dict(json.loads(generation().to_json()))


def as_bytes(found: object) -> bytes:
    return json.dumps(found).encode()


def test_what_is_written_comes_back() -> None:
    found = parse(generation().to_json(), "here")
    assert found == generation()
    assert (found.point, found.name, point_of(found.name)) == ((3, 2), "3.2", (3, 2))
    assert [file.digest[-1] for file in found.needs] == ["d", "a", "b", "c"]
    assert found.disks[0].virtual_size == 12 * 2**30


def test_keys_of_a_newer_version_are_kept_where_they_were() -> None:
    newer = document()
    newer["witness"] = {"kept": 1}
    newer["kept"] = "no key of ours"
    newer["disks"][0]["cache"] = "none"
    newer["disks"][0]["chain"][1]["pieces"] = [1, 2]
    found = json.loads(parse(as_bytes(newer), "here").to_json())
    newer.pop("kept")
    assert found == newer


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(Unsupported, match="here has schema 2"):
        parse(as_bytes({**document(), "schema": 2}), "here")


Change = Callable[[dict[str, Any]], object]
WRONG: list[tuple[str, Change]] = [
    ("vm: ", lambda d: d.pop("vm")),
    ("vm.uuid: ", lambda d: d["vm"].update(uuid="../../etc")),
    ("vm.name: ", lambda d: d["vm"].update(name="a\nb")),
    ("epoch: ", lambda d: d.update(epoch=-1)),
    ("epoch: ", lambda d: d.update(epoch=True)),
    ("number: ", lambda d: d.update(number=0)),
    ("number: ", lambda d: d.update(number=2.0)),
    ("instant: ", lambda d: d.update(instant="2026-13-01T10:00:00Z")),
    ("instant: ", lambda d: d.update(instant="2026-05-01T10:00:00+02:00")),
    ("quiesced: ", lambda d: d.update(quiesced=1)),
    ("final: ", lambda d: d.pop("final")),
    ("spec: ", lambda d: d.update(spec=[])),
    ("spec: it has more than 64 levels", lambda d: d.update(spec={"x": json.loads("[" * 90 + "]" * 90)})),
    ("it has more than 64 levels", lambda d: d["disks"][0].update(x=json.loads("[" * 90 + "]" * 90))),
    ("files.nvram.digest: ", lambda d: d["files"]["nvram"].update(digest="../nvram")),
    ("disks: ", lambda d: d.update(disks={})),
    ("disks: a target is there twice", lambda d: d["disks"].append(d["disks"][0])),
    ("disks[0].target: ", lambda d: d["disks"][0].update(target="../vda")),
    ("disks[0].virtual_size: ", lambda d: d["disks"][0].update(virtual_size=0)),
    ("disks[0].image: ", lambda d: d["disks"][0].update(image="/etc/shadow")),
    ("disks[0].image: it is missing", lambda d: d["disks"][0].pop("image")),
    ("disks[0].chain[1].of: ", lambda d: d["disks"][0]["chain"][1].update(of=[2, 1])),
    ("disks[0].chain[1].of: ", lambda d: d["disks"][0]["chain"][1].update(of=[2])),
    ("disks.vda.chain: its points are not in order", lambda d: d["disks"][0]["chain"][1].update(of=[1, 1])),
    ("disks.vda.chain: it ends after", lambda d: d["disks"][0]["chain"][1].update(of=[2, 3])),
    ("disks.vda.chain[1].state: ", lambda d: d["disks"][0]["chain"][1].update(state="0" * 64)),
    ("disks.vda.chain[0].state: ", lambda d: d["disks"][0].update(image=digest("2"))),
    ("disks.vdb: it has neither", lambda d: d["disks"][1].update(chain=[])),
    ("disks: sha256:dddd", lambda d: d["disks"][1]["chain"][0].update(digest=digest("d"))),
    ("previous: ", lambda d: d.update(previous=2)),
]


@pytest.mark.parametrize(("place", "change"), WRONG)
def test_what_is_wrong_is_refused_by_its_place(place: str, change: Change) -> None:
    found = document()
    change(found)
    with pytest.raises(Corrupt) as caught:
        parse(as_bytes(found), "here")
    assert caught.value.message.startswith("here is not a generation: ")
    assert place in caught.value.message


def test_numbers_that_are_none_in_json_are_refused() -> None:
    with pytest.raises(Corrupt):
        parse(as_bytes({**document(), "spec": {"x": float("nan")}}), "here")


@pytest.mark.parametrize("name", ["", "1", "1.0", "01.1", "1.01", "-1.1", "1.1\n", "1.1.json", None, 1.1])
def test_what_is_not_a_name_of_a_generation(name: object) -> None:
    with pytest.raises(InvalidInput):
        point_of(name)


def test_a_merged_delta_has_the_same_state() -> None:
    disk = generation().disks[0]
    merged = Delta(digest("e"), 400000, (1, 2), disk.chain[-1].state)
    assert replace(disk, chain=(merged,)).state == disk.state
    grown = disk.followed_by(File(digest("f"), 200000), 3, 12 * 2**30)
    assert replace(disk, chain=(merged,)).followed_by(File(digest("f"), 200000), 3, 12 * 2**30).state == grown.state
    assert grown.state != disk.state
    assert disk.state == state_after(state_after(first_state(digest("1")), digest("a")), digest("b"))
