# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that the host can give to a new guest: what tmpfs and shared memory hold cannot be dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.view import available_memory, free_memory

KIB = 1024
MEMINFO = "MemTotal: 8000000 kB\nMemFree:        1000000 kB\nMemAvailable:   {} kB\nCached: 6000000 kB\nShmem: 5000000 kB\n"


class Connection:
    """A connection to libvirt, which counts shared memory as cache."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def getURI(self) -> str:
        return self.uri

    def getMemoryStats(self, _cell: int, _flags: int) -> dict[str, int]:
        return {"total": 8000000, "free": 1000000, "buffers": 0, "cached": 6000000}


@pytest.mark.parametrize(("uri", "wanted"), [("qemu:///system", 1900000), ("qemu+ssh://hv2.example/system", 7000000)])
def test_shared_memory_is_not_free(tmp_path: Path, uri: str, wanted: int) -> None:
    """libvirt of another host tells no more than that."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(MEMINFO.format(1900000))
    assert free_memory(Connection(uri), meminfo) == wanted * KIB
    meminfo.write_text("MemTotal: 8000000 kB\n")
    assert free_memory(Connection(uri), meminfo) == 7000000 * KIB


def test_what_this_kernel_says() -> None:
    assert available_memory(Path("/proc/meminfo").read_text())
