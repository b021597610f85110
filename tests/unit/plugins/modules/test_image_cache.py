# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules image_cache, image_cache_info and image_scrub, on real stores and from the real nginx."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import nginx
from support.images import datastore, qcow2
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("origin")
    for version in ("1", "2"):
        datastore(folder / "store", qcow2(folder / f"{version}.qcow2", 2, int(version)), version=version)
    return folder / "store"


@pytest.fixture
def images(capsys: Capsys, tmp_path: Path, origin: Path) -> list[dict[str, Any]]:
    """A host cache that pulled two images, version 1 two days ago, version 2 one day ago."""
    (tmp_path / "vms").mkdir()
    options = {"root": str(tmp_path / "here"), "name": "debian", "sources": [str(origin)]}
    found = [run_module(capsys, "replica_image", version=version, **options)["image"] for version in ("1", "2")]
    for days, image in zip((2, 1), found, strict=True):
        for path in (Path(image["path"]).with_suffix(kind) for kind in (".qcow2", ".pieces", ".json")):
            os.utime(path, (time.time() - days * 86400,) * 2)
    return found


def run(capsys: Capsys, folder: Path, module: str = "image_cache", *, check: bool = False, **options: Any) -> dict[str, Any]:
    fixed = {"root": str(folder / "here")}
    if module != "image_scrub":
        fixed["disk_directories"] = [str(folder / "vms")]  # type: ignore[assignment]
    return run_module(capsys, module, check=check, **{**fixed, **options})


def test_down_to_the_quota_and_not_again(capsys: Capsys, tmp_path: Path, images: list[dict[str, Any]]) -> None:
    old, new = images
    options = {"quota_bytes": str(new["size"])}
    checked = run(capsys, tmp_path, check=True, **options)
    assert Path(old["path"]).exists()
    made = run(capsys, tmp_path, **options)
    for key in ("changed", "actions", "diff", "removed", "kept", "bytes_freed", "cache", "over", "quota"):
        assert made[key] == checked[key], key
    assert made["removed"] == [{"digest": old["digest"], "image": "debian 1", "size": old["size"]}]
    assert made["kept"] == [{"digest": new["digest"], "reason": "it fits the quota"}]
    assert made["diff"]["after"] == {"bytes": new["size"], "images": [new["digest"]]}
    again = run(capsys, tmp_path, **options)
    assert (again["changed"], again["removed"], again["cache"]) == (False, [], made["cache"])


def test_a_quota_that_cannot_be_met_is_a_warning(capsys: Capsys, tmp_path: Path, images: list[dict[str, Any]]) -> None:
    old, new = images
    disk = run_module(
        capsys, "qcow2_image", path=str(tmp_path / "vms" / "d"), backing_image=old["path"], disk_directories=[str(tmp_path / "vms")]
    )
    assert disk["changed"], disk
    made = run(capsys, tmp_path, quota_percent=0.0)
    assert [one["digest"] for one in made["removed"]] == [new["digest"]]
    assert made["kept"] == [{"digest": old["digest"], "reason": f"it is used by {tmp_path / 'vms' / 'd'}"}]
    assert (made["over"], made["quota"]) == (old["size"], 0)
    assert "over the quota" in str(made["warnings"])
    shown = run(capsys, tmp_path, "image_cache_info")
    assert [(one["version"], one["disks_made"], one["used_by"]) for one in shown["images"]] == [
        ("1", 1, [str(tmp_path / "vms" / "d")])
    ]
    assert (shown["bytes"], shown["bytes_saved"], shown["changed"]) == (old["size"], old["size"], False)
    assert shown["free_bytes"] > 0
    assert shown["last_collection"]["removed"] == [new["digest"]]


def test_a_task_that_wants_an_image_uses_it_and_check_mode_does_not(
    capsys: Capsys, tmp_path: Path, images: list[dict[str, Any]]
) -> None:
    options = {"name": "debian", "version": "1"}
    assert not run(capsys, tmp_path, "replica_image", check=True, **options)["changed"]
    assert {one["hits"] for one in run(capsys, tmp_path, "image_cache_info")["images"]} == {0}
    assert not run(capsys, tmp_path, "replica_image", **options)["changed"]
    made = run(capsys, tmp_path, quota_bytes="0")
    assert [one["image"] for one in made["removed"]] == ["debian 2"]


@pytest.mark.parametrize("options", [{"quota_bytes": "much"}, {"quota_percent": 101.0}, {"minimum_age": -1}])
def test_bad_input(capsys: Capsys, tmp_path: Path, options: dict[str, Any]) -> None:
    for check in (True, False):
        assert run(capsys, tmp_path, check=check, **options)["error"]["code"] == "invalid_input"
    assert not (tmp_path / "here").exists()


def test_an_empty_host_has_nothing_to_do(capsys: Capsys, tmp_path: Path) -> None:
    done = run(capsys, tmp_path, quota_bytes="1GiB", quota_percent=50.0)
    assert (done["changed"], done["removed"], done["kept"]) == (False, [], [])
    assert run(capsys, tmp_path, "image_scrub")["checked"] == 0
    assert list(tmp_path.iterdir()) == []


def flip(image: dict[str, Any]) -> None:
    data = bytearray(Path(image["path"]).read_bytes())
    data[len(data) // 2] ^= 1
    Path(image["path"]).chmod(0o644)
    Path(image["path"]).write_bytes(data)


def test_scrub_over_tls(capsys: Capsys, tmp_path: Path, images: list[dict[str, Any]], origin: Path) -> None:
    authority = Authority(tmp_path / "ca")
    client = authority.issue("host1.example")
    trust = {"ca_file": str(authority.ca_file), "cert_file": str(client.cert), "key_file": str(client.key)}
    assert run(capsys, tmp_path, "image_scrub")["damaged"] == []
    flip(images[0])
    piece = Path(images[0]["path"]).stat().st_size // 2 // 65536
    found = {"digest": images[0]["digest"], "image": "debian 1", "pieces": [piece], "used_by": [], "doubts": []}
    shown = run(capsys, tmp_path, "image_scrub", repair=False)
    assert (shown["changed"], shown["damaged"], shown["scrub"]) == (False, [found], {"damaged": [images[0]["digest"]]})
    failed = run(capsys, tmp_path, "image_scrub")
    assert failed["error"]["code"] == "corrupt"
    assert list(failed["error"]["unrepairable"]) == [images[0]["digest"]]
    with nginx(tmp_path / "nginx", origin, authority, authority.issue("127.0.0.1")) as server:
        checked = run(capsys, tmp_path, "image_scrub", check=True, sources=[server.url], **trust)
        made = run(capsys, tmp_path, "image_scrub", sources=["https://127.0.0.1:9/", server.url], **trust)
    assert (made["changed"], made["diff"], made["repaired"]) == (True, checked["diff"], checked["repaired"])
    assert made["bytes_fetched"] == 65536  # the damaged piece alone
    again = run(capsys, tmp_path, "image_scrub")
    assert (again["changed"], again["checked"], again["damaged"]) == (False, 2, [])
