# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.image_cache, image_cache_info and image_scrub by ansible-playbook: damage, what dead pulls left, the quota."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from support.images import datastore, qcow2
from support.playbook import play

pytestmark = pytest.mark.integration
DAY = 86400
FLIP = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(1 << 20); b = f.read(1); f.seek(1 << 20); f.write(bytes([b[0] ^ 1]))"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """An image datastore with two versions of an image, and a folder for the host cache."""
    for version in ("1", "2"):
        datastore(tmp_path / "store", qcow2(tmp_path / f"{version}.qcow2", 2, int(version)), version=version)
    (tmp_path / "vms").mkdir()
    return tmp_path / "store", tmp_path / "here"


def pulled(store: Path, here: Path) -> list[dict[str, Any]]:
    options = {"name": "debian", "root": str(here), "sources": [str(store)], "disk_directories": [str(here.parent / "vms")]}
    return [row["image"] for row in play([{"edge.cloud.replica_image": {**options, "version": version}} for version in ("1", "2")])]


def test_damage_is_found_and_repaired(folders: tuple[Path, Path]) -> None:
    store, here = folders
    one, _two = pulled(store, here)

    def scrub(**options: Any) -> dict[str, Any]:
        return {"edge.cloud.image_scrub": {"root": str(here), **options}, "ignore_errors": True}

    flip = {"ansible.builtin.command": {"argv": ["python3", "-c", FLIP, one["path"]]}}
    whole, _flipped, looked, failed, repaired, again = play(
        [scrub(), flip, scrub(repair=False), scrub(), scrub(sources=[str(store)]), scrub()]
    )
    assert (whole["changed"], whole["checked"], whole["damaged"]) == (False, 2, [])
    assert (looked["changed"], [found["digest"] for found in looked["damaged"]]) == (False, [one["digest"]])
    assert failed["failed"] and list(failed["error"]["unrepairable"]) == [one["digest"]]
    assert (repaired["changed"], repaired["repaired"]) == (True, [one["digest"]])
    assert 0 < repaired["bytes_fetched"] < one["size"], "its good pieces were fetched, too"
    assert (again["changed"], again["damaged"]) == (False, [])


def test_what_goes_and_what_stays(folders: tuple[Path, Path]) -> None:
    store, here = folders
    one, two = pulled(store, here)
    (young, old), now = (here / "partial" / f"{letter * 64}.qcow2" for letter in "ab"), time.time()
    for path, days in ((young, 1), (old, 3)):
        path.write_bytes(b"what arrived")
        os.utime(path, (now - days * DAY,) * 2)
    disk = {"path": str(here.parent / "vms/d.qcow2"), "backing_image": one["path"], "disk_directories": [str(here.parent / "vms")]}
    fixed = {"root": str(here), "disk_directories": [str(here.parent / "vms")], "minimum_age": 0}

    def cache(**options: Any) -> dict[str, Any]:
        return {"edge.cloud.image_cache": {**fixed, **options}}

    info = {"edge.cloud.image_cache_info": {"root": fixed["root"], "disk_directories": fixed["disk_directories"]}}
    quota = cache(quota_bytes="0")
    _laid, stale, fresh, planned, done, shown, again = play(
        [
            {"edge.cloud.qcow2_image": disk},
            cache(stale_age=2 * DAY),
            cache(stale_age=2 * DAY),
            {**quota, "check_mode": True},
            quota,
            info,
            quota,
        ]
    )
    assert (stale["changed"], fresh["changed"]) == (True, False)
    assert young.exists() and not old.exists()
    assert {row["digest"] for row in fresh["kept"]} == {one["digest"], two["digest"]}
    assert (planned["actions"], planned["removed"], planned["diff"]) == (done["actions"], done["removed"], done["diff"])
    assert [row["digest"] for row in done["removed"]] == [two["digest"]] and not Path(two["path"]).exists()
    assert done["over"] == one["size"] and "over the quota" in str(done["warnings"])
    assert (again["changed"], again["removed"]) == (False, [])
    assert [(row["digest"], row["used_by"]) for row in shown["images"]] == [(one["digest"], [disk["path"]])]
    assert shown["last_collection"]["removed"] == [two["digest"]]
