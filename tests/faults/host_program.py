# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host of a fault run: a real module, a pull that keeps count, or a look at a store; JSON in, one line of JSON out.

Usage: host_program.py VERB JSON. With ``stop_at`` the work stops for ever before that call which changes the disk, and says so:
then the plug is pulled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import struct
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.pieces import reader_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest, parse
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.pull import pull_image
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.https import HttpsSource

STEPS = {"os.rename", "os.remove", "os.rmdir", "os.chmod", "os.mkdir", "os.truncate"}


def say(**words: Any) -> None:
    print(json.dumps(words), file=sys.__stdout__, flush=True)


def stop_at(call: int, below: str) -> None:
    """Stop before the ``call``-th change of a name under ``below``, with the change still to be done."""
    left = [call]

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event in STEPS and any(str(arg).startswith(below) for arg in args):
            left[0] -= 1
            if left[0] == 0:
                say(stopped=event, path=[str(arg) for arg in args])
                signal.pause()

    sys.addaudithook(watch)


def module(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Run a module of ours in this process and return its result."""
    from ansible.module_utils.testing import patch_module_args

    printed = io.StringIO()
    found = import_module(f"ansible_collections.edge.cloud.plugins.modules.{name}")
    with patch_module_args(options), contextlib.suppress(SystemExit), contextlib.redirect_stdout(printed):
        found.main()
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result


def pull(*, root: str, digest: str, sources: list[str], tls: list[str], seconds: float, tally: str) -> dict[str, Any]:
    """Pull, and add every byte that comes to the file ``tally``, which outlives this process."""
    file = os.open(tally, os.O_RDWR | os.O_CREAT, 0o600)
    count = [int.from_bytes(os.pread(file, 8, 0), "little")]

    def add(length: int) -> None:
        count[0] += length
        os.pwrite(file, struct.pack("<Q", count[0]), 0)

    trust = Trust(*(Path(name) for name in tls))
    say(begun=True)
    done = pull_image(Store(Path(root)), digest, [HttpsSource(url, trust, seconds) for url in sources], now=0, limit=add)
    return {"bytes_fetched": done.bytes_fetched, "sources": done.sources}


def good_bytes(store: Store, image: Manifest) -> int:
    """Return the bytes of right pieces that an interrupted pull left, under its scratch or its final name."""
    there = [path for path in (store.partial_path(image.digest), store.image_path(image.digest)) if path.exists()]
    if not there:
        return 0
    total = 0
    with there[0].open("rb") as file:
        for wanted in image.pieces:
            piece = file.read(image.piece_size)
            total += len(piece) if hashlib.sha256(piece).hexdigest() == wanted else 0
    return total


def look(root: str, manifest: str = "", disks: str = "") -> dict[str, Any]:
    """Read every visible image and disk whole and tell what is wrong, what is there and what is left over."""
    store = Store(Path(root))
    wrong = [one.digest for one in store.images() if store.verify(one.digest)] + store.broken()
    left = sorted(path.name for path in store.partial.iterdir() if path.suffix != ".lock") if store.partial.is_dir() else []
    good = (
        good_bytes(store, parse(Path(manifest).read_bytes(), manifest, None, reader_of(Path(manifest).with_suffix(".pieces"))))
        if manifest
        else 0
    )
    found = sorted(path for path in Path(disks).rglob("*") if path.is_file()) if disks else []
    broken = [str(path) for path in found if not path.name.startswith(".") and not sound(path)]
    return {
        "images": [one.digest for one in store.images()],
        "wrong": wrong,
        "left": left,
        "good": good,
        "disks": [str(path) for path in found],
        "broken": broken,
    }


def sound(disk: Path) -> bool:
    """Tell whether a disk is qcow2 and its image is there; what only waits for libvirt (a seed, a log) is not asked."""
    if disk.suffix != ".qcow2":
        return True
    try:
        backing = qcow2.read_header(disk).backing_file
    except EdgeError:
        return False
    return backing is not None and Path(backing).is_file()


def main() -> None:
    verb, options = sys.argv[1], json.loads(sys.argv[2])
    if call := options.pop("stop_at", 0):
        stop_at(call, options.pop("below"))
    else:
        options.pop("below", None)
    if verb == "module":
        say(begun=True)
        say(**module(options["name"], options["options"]))
        return
    try:
        say(**(pull(**options) if verb == "pull" else look(**options)))
    except EdgeError as error:
        say(failed=True, **error.as_result())


if __name__ == "__main__":
    main()
