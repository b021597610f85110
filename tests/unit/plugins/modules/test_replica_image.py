# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module replica_image, from stores of this host and from the real nginx."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import nginx
from support.images import datastore, qcow2, qemu_img
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("origin")
    for version, seed in (("12.9", 1), ("12.10", 2)):
        datastore(folder / "store", qcow2(folder / f"{seed}.qcow2", 5, seed), version=version)
    return folder / "store"


def run(capsys: Capsys, folder: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    (folder / "vms").mkdir(exist_ok=True)
    fixed = {"root": str(folder / "here"), "disk_directories": [str(folder / "vms")]}
    return run_module(capsys, "replica_image", check=check, **{**fixed, **options})


def test_missing_arguments(capsys: Capsys, tmp_path: Path) -> None:
    assert "one of the following is required: digest, name" in run(capsys, tmp_path)["msg"]


def test_from_nothing_to_an_image_and_back(capsys: Capsys, tmp_path: Path, origin: Path) -> None:
    options = {"name": "debian", "version": "12.9", "sources": [str(origin)]}
    checked = run(capsys, tmp_path, check=True, **options)
    assert not (tmp_path / "here").exists()
    made = run(capsys, tmp_path, progress_file=str(tmp_path / "progress"), **options)
    assert (made["actions"], made["diff"], made["image"]) == (checked["actions"], checked["diff"], checked["image"])
    assert (made["bytes_fetched"], made["sources"]) == (made["image"]["size"], [str(origin)])
    assert (tmp_path / "progress").read_text() == "Pulling debian 12.9: 100 % (5 of 5 MiB)\n"

    again = run(capsys, tmp_path, name="debian", version="12.9")
    assert (again["changed"], again["bytes_fetched"], again["image"]) == (False, 0, made["image"])

    checked = run(capsys, tmp_path, check=True, digest=made["image"]["digest"], pinned=True)
    pinned = run(capsys, tmp_path, digest=made["image"]["digest"], pinned=True)
    assert checked["diff"] == pinned["diff"] == {"before": {"pinned": False}, "after": {"pinned": True}}
    assert not run(capsys, tmp_path, digest=made["image"]["digest"], pinned=True)["changed"]
    for options in ({}, {"state": "present"}, {"sources": [str(origin)]}):
        kept = run(capsys, tmp_path, digest=made["image"]["digest"], **options)
        assert (kept["changed"], kept["image"]["pinned"]) == (False, True), "a pin went that nobody asked to end"
    assert run(capsys, tmp_path, digest=made["image"]["digest"], pinned=False)["actions"] == ["Unpin the image."]

    assert run(capsys, tmp_path, check=True, digest=made["image"]["digest"], state="absent")["changed"]
    assert run(capsys, tmp_path, digest=made["image"]["digest"], state="absent")["image"] == {}
    assert not run(capsys, tmp_path, digest=made["image"]["digest"], state="absent")["changed"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["partial"]


def test_without_a_version_the_highest_is_meant(capsys: Capsys, tmp_path: Path, origin: Path) -> None:
    assert run(capsys, tmp_path, name="debian", sources=[str(origin)])["image"]["version"] == "12.10"
    assert run(capsys, tmp_path, name="debian", state="absent")["error"]["code"] == "invalid_input"


def test_an_image_below_a_disk_stays(capsys: Capsys, tmp_path: Path, origin: Path) -> None:
    image = run(capsys, tmp_path, name="debian", version="12.9", sources=[str(origin)])["image"]
    qemu_img("create", "-f", "qcow2", "-b", image["path"], "-F", "qcow2", tmp_path / "vms" / "d")
    for check in (True, False):
        refused = run(capsys, tmp_path, check=check, name="debian", version="12.9", state="absent")
        assert refused["error"]["used_by"] == [str(tmp_path / "vms" / "d")]
    listed = run_module(
        capsys, "replica_image_info", root=str(tmp_path / "here"), disk_directories=[str(tmp_path / "vms")], verify=True
    )
    assert [(one["used_by"], one["damaged_pieces"]) for one in listed["images"]] == [([str(tmp_path / "vms" / "d")], [])]


def test_a_damaged_image_is_reported_and_pulled_again(capsys: Capsys, tmp_path: Path, origin: Path) -> None:
    options = {"name": "debian", "version": "12.9", "sources": [str(origin)]}
    image = run(capsys, tmp_path, **options)["image"]
    os.truncate(image["path"], 1000)
    assert run_module(capsys, "replica_image_info", root=str(tmp_path / "here"))["broken"] == [image["digest"]]
    assert run(capsys, tmp_path, **options)["image"] == image
    assert run_module(capsys, "replica_image_info", root=str(tmp_path / "here"), verify=True)["images"][0]["damaged_pieces"] == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"name": "none", "version": "1"}, "not_found"), ({"name": "debian", "version": "99"}, "not_found"),
        ({"digest": "x"}, "invalid_input"), ({"name": "debian", "version": "12.9", "rate_limit": 0}, "invalid_input"),
        ({"digest": "sha256:" + "0" * 64}, "not_found"), ({"name": "../x", "version": "1"}, "invalid_input"),
        ({"name": "debian", "version": "12.9", "sources": ["http://frontend.example/"]}, "invalid_input"),
        ({"name": "debian", "version": "12.9", "sources": ["https://127.0.0.1:9/"]}, "unreachable"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("check", [True, False])
def test_bad_input(capsys: Capsys, tmp_path: Path, origin: Path, *, options: dict[str, Any], code: str, check: bool) -> None:
    assert run(capsys, tmp_path, check=check, **{"sources": [str(origin)], **options})["error"]["code"] == code
    assert not list(tmp_path.glob("here/*.qcow2"))


def test_over_tls_with_the_next_source_when_one_is_away(capsys: Capsys, tmp_path: Path, origin: Path) -> None:
    authority = Authority(tmp_path / "ca")
    client = authority.issue("host1.example")
    trust = {"ca_file": str(authority.ca_file), "cert_file": str(client.cert), "key_file": str(client.key)}
    with nginx(tmp_path / "nginx", origin, authority, authority.issue("127.0.0.1")) as server:
        options = {"name": "debian", "version": "12.10", "sources": ["https://127.0.0.1:9/", server.url]}
        stranger = run(capsys, tmp_path, **options, ca_file=str(authority.ca_file))
        assert stranger["error"]["code"] == "unreachable"
        made = run(capsys, tmp_path, **options, **trust)
        assert made["sources"] == [server.url]
        assert not run(capsys, tmp_path, **options, **trust)["changed"]
