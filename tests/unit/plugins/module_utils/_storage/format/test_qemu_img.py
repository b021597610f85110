# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits under which qemu-img runs: they end a hostile image, and never one of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import READING, Limits, QemuImg

MIB = 2**20


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """Return the top of a chain of four files."""
    below: list[str] = []
    for name in "abcd":
        path = tmp_path / f"{name}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *below, str(path), *([] if below else ["64M"])], check=True)
        below = ["-b", str(path), "-F", "qcow2"]
    return path


def ends_well(limits: Limits, image: Path) -> bool:
    argv = [*limits.prefix(), "qemu-img", "map", "--output=json", "-f", "qcow2", "-U", str(image)]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def test_threads_do_not_use_up_the_address_space(chain: Path) -> None:
    """A heap and a large stack for each thread fitted into 200 MiB and 300, and not into 250: how many there are is luck."""
    least = next(size for size in range(50, 1024, 10) if ends_well(Limits(memory=size * MIB), chain))
    failed = [size for size in range(least + 20, least + 300, 10) if not ends_well(Limits(memory=size * MIB), chain)]
    assert failed == []
    assert least * MIB < READING.memory // 2


def test_a_delta_is_readable_by_root_alone(tmp_path: Path) -> None:
    QemuImg(SubprocessRunner()).create_delta(tmp_path / "delta", 2**20)
    assert (tmp_path / "delta").stat().st_mode & 0o777 == 0o600
