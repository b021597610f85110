# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.datastore_image by ansible-playbook, with real images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.images import qcow2, qemu_img, raw
from support.playbook import play

pytestmark = pytest.mark.integration


def test_missing_arguments() -> None:
    (result,) = play([{"edge.cloud.datastore_image": {"name": "debian"}}], ok=False)
    assert "missing required arguments: version" in result["msg"]


def test_an_image_from_nothing_to_nothing(tmp_path: Path) -> None:
    source = raw(tmp_path / "a.raw", 3)
    defaults = {"edge.cloud.datastore_image": {"name": "debian", "version": "1", "root": str(tmp_path / "store")}}

    def task(**options: Any) -> dict[str, Any]:
        return {"edge.cloud.datastore_image": options}

    present, described, absent = task(source=str(source)), task(source=str(source), os="debian 13"), task(state="absent")
    (predicted,) = play([present], check=True, module_defaults=defaults)
    made, again, shown, shown_again = play([present, present, described, described], module_defaults=defaults)
    assert (predicted["changed"], predicted["diff"]) == (True, made["diff"])
    assert not again["changed"]
    assert shown["diff"] == {"before": {"os": ""}, "after": {"os": "debian 13"}}
    assert not shown_again["changed"]
    qemu_img("compare", "-f", "raw", "-F", "qcow2", source, made["image"]["path"])
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert index["images"][0]["digest"] == made["image"]["digest"]

    removed, removed_again = play([absent, absent], module_defaults=defaults)
    assert removed["diff"]["before"]["digest"] == made["image"]["digest"]
    assert not removed_again["changed"]


def test_an_image_with_a_backing_file_does_not_come_in(tmp_path: Path) -> None:
    qcow2(tmp_path / "base.qcow2", 1)
    qemu_img("create", "-f", "qcow2", "-b", tmp_path / "base.qcow2", "-F", "qcow2", tmp_path / "evil.qcow2")
    options = {"name": "evil", "version": "1", "root": str(tmp_path / "store"), "source": str(tmp_path / "evil.qcow2")}
    (result,) = play([{"edge.cloud.datastore_image": options}], ok=False)
    assert result["error"]["code"] == "refused"
    assert "backing file" in result["msg"]
    assert not list(tmp_path.glob("store/*.qcow2"))
