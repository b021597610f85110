# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is copied of a disk at rest by its bitmap, and by comparison with its image, reads as the disk when it is stacked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk import daemon, deltas
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.delta_file import judge_delta
from support import qemu as guests

pytestmark = pytest.mark.integration
QEMU = QemuImg(SubprocessRunner())
SIZE, CLUSTER = 32 * 2**20, 65536
CHANGES = ("write -P 2 64k 64k", "write -z 1M 64k", "discard 2M 128k", "write -P 3 20M 4k")


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


def write(path: Path, *commands: str) -> None:
    for command in commands:
        run("qemu-io", "-d", "unmap", "-f", "qcow2", "-c", command, str(path))


def require_same(disk: Path, image: Path, *stack: Path) -> None:
    node = {"driver": "qcow2", "file": {"driver": "file", "filename": str(image)}}
    for path in stack:
        node = {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}, "backing": node}
    assert "identical" in run("qemu-img", "compare", f"json:{json.dumps(node)}", str(disk))


def noted(path: Path) -> int:
    rows = json.loads(run("qemu-img", "map", "--output=json", "-f", "qcow2", str(path)))
    return sum(row["length"] for row in rows if row["present"] or (row["zero"] and row.get("offset") is not None))


@pytest.fixture
def disk(tmp_path: Path) -> tuple[Path, Path]:
    """An image and an overlay over it."""
    image, path = tmp_path / "image.qcow2", tmp_path / "root.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", str(image), "16M")
    write(image, "write -P 1 0 4M")
    QEMU.create(path, SIZE, (image, "qcow2"))
    return image, path


def test_points_by_bitmaps_stack_to_the_disk(disk: tuple[Path, Path], tmp_path: Path) -> None:
    image, path = disk
    first, second = tmp_path / "first", tmp_path / "second"
    QEMU.add_bitmap(path, "birth", CLUSTER)
    write(path, *CHANGES)
    assert daemon.dirty_bytes(path, "birth") == 5 * CLUSTER
    assert daemon.dirty_bytes(path, "other") is None
    QEMU.create_delta(first, SIZE)
    daemon.copy_noted({path: first}, "birth", "one", CLUSTER)
    assert judge_delta(QEMU, first, "it") == SIZE
    require_same(path, image, first)
    assert daemon.dirty_bytes(path, "one") == 0
    write(path, "write -P 4 64k 4k", "discard 0 128k")
    QEMU.create_delta(second, SIZE)
    daemon.copy_noted({path: second}, "one", "two", CLUSTER)
    require_same(path, image, first, second)
    assert QEMU.bitmaps(path) == {"birth": True, "one": True, "two": True}


def test_a_comparison_has_what_differs_from_the_image_in_all_files_above_it(disk: tuple[Path, Path], tmp_path: Path) -> None:
    image, path = disk
    top, delta = tmp_path / "root.snapshot.qcow2", tmp_path / "delta"
    write(path, *CHANGES)
    QEMU.create(top, SIZE, (path, "qcow2"))
    write(top, "write -P 1 64k 64k", "write -P 5 5M 64k")  # the first is as in the image again
    deltas.compare(QEMU, delta, SIZE, top, image)
    assert judge_delta(QEMU, delta, "it") == SIZE
    require_same(top, image, delta)
    alone = tmp_path / "alone"
    deltas.compare(QEMU, alone, SIZE, top, None)
    assert judge_delta(QEMU, alone, "it") == SIZE
    assert "identical" in run("qemu-img", "compare", str(alone), str(top))


def test_bitmaps_of_a_qemu_that_was_killed_are_not_believed(disk: tuple[Path, Path]) -> None:
    _image, path = disk
    QEMU.add_bitmap(path, "birth", CLUSTER)
    with guests.running(path), pytest.raises(Busy):
        daemon.copy_noted({path: path.with_name("never")}, "birth", "one", CLUSTER)
    assert QEMU.bitmaps(path) == {"birth": False}
    assert daemon.dirty_bytes(path, "birth") is None
