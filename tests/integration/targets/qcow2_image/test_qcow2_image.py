# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.qcow2_image by ansible-playbook, with the real qemu-img."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.images import qcow2, qemu_img
from support.playbook import play

pytestmark = pytest.mark.integration
MIB = 1024 * 1024


def task(**options: Any) -> dict[str, Any]:
    return {"edge.cloud.qcow2_image": options}


def test_missing_arguments() -> None:
    (result,) = play([task()], ok=False)
    assert "missing required arguments: path" in result["msg"]


def test_a_disk_from_nothing_to_nothing(tmp_path: Path) -> None:
    base = qcow2(tmp_path / "base.qcow2", 2)
    disk = str(tmp_path / "disk.qcow2")
    create = task(path=disk, backing_image=str(base))
    grow = task(path=disk, backing_image=str(base), size="1G")
    absent = task(path=disk, state="absent")

    (predicted,) = play([create], check=True)
    assert not Path(disk).exists()
    created, again, grown, grown_again, info, removed, removed_again = play(
        [create, create, grow, grow, {"edge.cloud.qcow2_image_info": {"path": disk}}, absent, absent]
    )
    assert (predicted["changed"], predicted["diff"]) == (True, created["diff"])
    assert created["image"]["backing_file"] == str(base)
    assert not again["changed"]
    assert grown["diff"] == {"before": {"virtual_size": 2 * MIB}, "after": {"virtual_size": 1024 * MIB}}
    assert not grown_again["changed"]
    assert [link["path"] for link in info["chain"]] == [disk, str(base)]
    assert removed["diff"]["before"]["path"] == disk
    assert not removed_again["changed"]
    assert [path.name for path in tmp_path.iterdir()] == ["base.qcow2"]


def test_an_overlay_reads_as_its_image(tmp_path: Path) -> None:
    base = qcow2(tmp_path / "base.qcow2", 2)
    play([task(path=str(tmp_path / "disk"), backing_image=str(base))])
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", base, tmp_path / "disk")
