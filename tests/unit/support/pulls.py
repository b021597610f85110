# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls in processes of their own, which can be killed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.processes import python
from support.waiting import LIMIT

PULL = """
import os, signal, sys
from pathlib import Path
from LIBRARY._storage.cluster import replica
from LIBRARY._storage.transfer.http_client import Trust
from LIBRARY._storage.transfer.pull import pull_image
from LIBRARY._storage.store.store import Store

root, digest, source, ca_file, call, tally = sys.argv[1:]
left = int(call)
received = 0
file = os.open(tally, os.O_RDWR | os.O_CREAT) if tally else None

def count(length):
    global received
    received += length
    if file is not None:
        os.pwrite(file, received.to_bytes(8, "little"), 0)

def watch(event, args):
    global left
    changes = event in {"os.rename", "os.remove", "os.chmod", "os.mkdir", "fcntl.flock", "os.truncate"}
    if changes or (event == "open" and str(args[0]).startswith(root)):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

if left:
    sys.addaudithook(watch)
print("begin", flush=True)
trust = Trust(Path(ca_file) if ca_file else None)
done = pull_image(Store(Path(root)), digest, replica.sources_of([source], trust), now=0, limit=count)
print(done.bytes_fetched, flush=True)
"""


def separate(
    store: Store, image: Manifest, source: object, ca_file: object = "", *, call: int = 0, tally: Path | str = ""
) -> subprocess.Popen[str]:
    """Pull in a process of its own; with ``call`` it kills itself at that call that changes anything on the disk.

    The file ``tally`` tells, whatever becomes of the process, how many bytes it took from its source.
    """
    process = python(PULL, store.root, image.digest, source, ca_file, call, tally)
    assert process.stdout
    assert process.stdout.readline() == "begin\n"
    return process


def fetched_by(process: subprocess.Popen[str]) -> int:
    """Wait for a pull that ends well and return the bytes that it fetched.

    Not by communicate(): what ``separate`` read ahead of ``begin`` would be missing.
    """
    assert process.stdout
    text = process.stdout.read()
    assert process.wait(LIMIT) == 0
    return int(text)


def received(tally: Path) -> int:
    """Return what a pull noted in its tally."""
    return int.from_bytes(tally.read_bytes(), "little") if tally.exists() else 0
