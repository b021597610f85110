# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.kinds import (
    coarse_files,
    direct_block,
    has_address,
    without_writing,
)


def test_an_end_that_direct_io_does_not_reach() -> None:
    sizes = {"/512": 1024, "/4096": 8192, "/odd": 10240}
    assert coarse_files(sizes, lambda path: 512 if path == "/512" else 4096) == {"/odd"}


@pytest.fixture
def large_blocks(tmp_path: Path) -> Iterator[str]:
    """A block device that has sectors of 4096 bytes, and cannot be written."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a loop device")
    image = tmp_path / "image"
    image.write_bytes(bytes(2**20))
    made = subprocess.run(["losetup", "-f", "--show", "-r", "-b", "4096", image], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    yield made.stdout.strip()
    subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)


def test_what_the_kernel_says_of_a_device(large_blocks: str, tmp_path: Path) -> None:
    file = tmp_path / "image"
    assert direct_block(large_blocks) == 4096
    assert direct_block(str(tmp_path / "none")) == 512
    assert without_writing([large_blocks, str(file)]) == {large_blocks}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "0.0.0.0"])
def test_an_address_of_the_host(address: str) -> None:
    assert has_address(address)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_of_another_host(address: str) -> None:
    assert not has_address(address)
