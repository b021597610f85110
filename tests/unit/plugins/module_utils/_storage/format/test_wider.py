# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new overlay gets its size by its header: QEMU takes it for what qemu-img resize would have made, at each size and cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.wider import widen
from support.images import MIB, qemu_img

KIB, GIB = 1024, 1024 * MIB
TIB = 1024 * GIB


class Counting(SubprocessRunner):
    """Notes what is run."""

    def __init__(self) -> None:
        super().__init__()
        self.verbs: list[str] = []

    def run(self, argv: Sequence[str], **how: Any) -> Completed:
        self.verbs.append(argv[argv.index("qemu-img") + 1])
        return super().run(argv, **how)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An image of 6 GiB with data at its start, on both sides of where tables are made ahead, and at its end."""
    path = tmp_path / "base.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", path, "6G")
    writes = [f"write -P 7 {at} 64k" for at in (0, 4 * GIB - 64 * KIB, 4 * GIB, 6 * GIB - 64 * KIB)]
    subprocess.run(
        ["qemu-io", "-f", "qcow2", *[part for one in writes for part in ("-c", one)], path], check=True, capture_output=True
    )
    return path


def reads(path: Path, at: int, byte: int, length: int = 64 * KIB) -> bool:
    asked = ["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {byte} {at} {length}", str(path)]
    return "Pattern verification failed" not in subprocess.run(asked, check=True, capture_output=True, text=True).stdout


def shown(path: Path) -> dict[str, Any]:
    done = subprocess.run(["qemu-img", "info", "--output=json", path], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return {key: found.get(key) for key in ("virtual-size", "cluster-size", "backing-filename", "format-specific")}


@pytest.mark.parametrize("size", [4 * GIB, 4 * GIB + 512, 5 * GIB + 777, 6 * GIB, 7 * GIB, 100 * GIB, TIB, 16 * TIB])
def test_one_process_makes_an_overlay_of_any_size(tmp_path: Path, base: Path, size: int) -> None:
    runner, path = Counting(), tmp_path / "disk.qcow2"
    QemuImg(runner).create(path, size, (base, "qcow2"))
    assert runner.verbs == ["create"]
    size = -(-size // 512) * 512
    assert shown(path)["virtual-size"] == size
    found = QemuImg(runner).check(path)
    assert (found.corruptions, found.leaks, found.check_errors) == (0, 0, 0)
    for at in (0, 4 * GIB - 64 * KIB, 4 * GIB, 6 * GIB - 64 * KIB):
        assert at + 64 * KIB > size or reads(path, at, 7), at
    end = (size - 64 * KIB) // 512 * 512
    written = ["qemu-io", "-f", "qcow2", "-c", f"write -P 9 {end} 64k", "-c", "write -P 8 1M 4k", str(path)]
    subprocess.run(written, check=True, capture_output=True)
    assert reads(path, end, 9) and reads(path, MIB, 8, 4 * KIB)
    assert QemuImg(runner).check(path).corruptions == QemuImg(runner).check(path).leaks == 0


@pytest.mark.parametrize("cluster", [16 * KIB, 64 * KIB, 128 * KIB, 2 * MIB])
def test_it_is_what_a_resize_makes(tmp_path: Path, base: Path, cluster: int) -> None:
    size, made = 31 * GIB, [tmp_path / "ours.qcow2", tmp_path / "theirs.qcow2"]
    how = ["-o", f"cluster_size={cluster},extended_l2=on,preallocation=metadata", "-b", base, "-F", "qcow2"]
    for path in made:
        qemu_img("create", "-q", "-f", "qcow2", *how, path, "512M")
    alone = {"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": str(made[1])}}
    qemu_img("resize", "-q", f"json:{json.dumps(alone)}", str(size))
    assert widen(made[0], size)
    assert shown(made[0]) == shown(made[1])
    qemu_img("compare", "-q", *made)


@pytest.mark.parametrize("size", [40 * TIB, 900 * TIB])
def test_where_the_header_is_not_enough_qemu_img_does_it(tmp_path: Path, base: Path, size: int) -> None:
    runner, path = Counting(), tmp_path / "disk.qcow2"
    QemuImg(runner).create(path, size, (base, "qcow2"))
    assert runner.verbs == ["create", "resize"]
    assert shown(path)["virtual-size"] == size and reads(path, 6 * GIB - 64 * KIB, 7)


def test_what_is_no_new_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", path, "1G")
    qemu_img("snapshot", "-c", "one", path)
    before = path.read_bytes()
    assert not widen(path, 2 * GIB), "a snapshot has a size of its own"
    assert path.read_bytes() == before
    small = tmp_path / "small.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", small, "1G")
    before = small.read_bytes()
    assert not widen(small, MIB), "nothing is cut off"
    with small.open("r+b") as file:  # what lies after the table is something else
        (table,) = qcow2.struct.unpack_from(">Q", before, 40)
        file.seek(table + 2 * 8)
        file.write(b"x")
    before = small.read_bytes()
    assert not widen(small, 4 * GIB) and small.read_bytes() == before
