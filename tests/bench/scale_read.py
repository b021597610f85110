# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(c) The first 4 KiB that a VM reads of an image that is not on its host, and (d) the scan of what an interrupted pull left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.partial_file import Assembly
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.read_through import ReadThrough
from report import Goal, Row, row, seconds
from scale_made import GIB, put_image
from storage_served import Cluster, served

TIB = 1024 * GIB
LEFT = 2 * GIB  # bytes that an interrupted pull left
MIB = 1024**2


def cold_read(folder: Path, share: int) -> Iterator[Row]:
    """Count the bytes that an image server sent for the first read in the middle of an image of ``share`` percent of 1 TiB."""
    origin = Store(folder / "origin")
    origin.prepare()
    image = put_image(origin, "cold", TIB * share // 100 // MIB * MIB)
    here = Store(folder / "here")
    here.prepare()

    def read(cluster: Cluster) -> list[Row]:
        reader = ReadThrough(here, image.digest, [cluster.source()])
        middle = image.size // 2 // 4096 * 4096
        assert reader.read(middle, 4096) == bytes(4096)
        case = f"(c) 4 KiB of an image of {image.size / GIB:.4g} GiB"
        goal = Goal("ours", MIB, "B")
        return [row(case, "sent", "B", cluster.bytes_sent(), image.size, other_name="the whole image", goal=goal, runs=1)]

    yield from served(folder / "web", origin.root, read)


def scan(folder: Path, share: int) -> Iterator[Row]:
    """Compare the longest silence while an interrupted pull's file is scanned with the time of the scan."""
    store = Store(folder)
    store.prepare()
    left = LEFT * share // 100 // MIB * MIB
    image = put_image(store, "left", 4 * LEFT)
    path = store.partial_path(image.digest)
    with path.open("wb") as file:
        block = os.urandom(MIB)
        for _any in range(left // MIB):
            file.write(block)
    told = [time.perf_counter()]
    with Assembly(path, image) as assembly:
        took = seconds(lambda: assembly.scan(lambda _done, _total: told.append(time.perf_counter())))
    silence = max(after - before for before, after in zip(told, [*told[1:], time.perf_counter()], strict=True))
    case = f"(d) {left // MIB} MiB that an interrupted pull left"
    yield row(case, "longest silence", "s", silence, took, other_name="the whole scan", goal=Goal("ratio", 0.5), runs=1)
