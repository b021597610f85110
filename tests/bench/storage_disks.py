# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(a) A VM's disk from a warm host cache against copies: on this disk, and to another host over ssh.

Images have at most 1 GiB of data, and the larger ones holes for the rest, which favours the copies. What is copied is in the page
cache. The copies of the larger images, and those over ssh, are made fewer times; ``runs`` says how many. ``qemu-img create and
resize`` makes the same overlay in two processes, without our checks and our lease. ``the library alone`` is the time of what makes
the overlay; ``a task`` is what a user waits for: ansible-playbook with its start, on both sides. What takes milliseconds goes
before other programs of the machine, as on an idle one.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from edge_lab.api import Lab, LabHost, unusable
from report import RUNS, Row, by_turns, not_run, row
from scale_made import put_image
from storage_parts import FAST, GIB, SMALL, SOONER, filled, shell, used
from support.images import MIB, datastore, qemu_img
from support.playbook import play

TARGET = "bencha"
TASK_RUNS = 3
Copy = tuple[str, Callable[[], None], Callable[[], float], int]


@contextmanager
def at_once() -> Iterator[None]:
    """Let this process and those that it starts go before all others, where it may."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def copies(path: Path, copy: Path, gib: int, host: LabHost | None) -> Iterator[Copy]:
    """Yield what a user would do: a name, the copy, the bytes that it made or moved, and how often it is measured."""

    def sparse() -> None:
        subprocess.run(["cp", "--sparse=always", path, copy], check=True)
        subprocess.run(["sync", copy], check=True)

    def convert() -> None:
        qemu_img("convert", "-O", "qcow2", path, copy)
        subprocess.run(["sync", copy], check=True)

    runs = RUNS if gib == 1 else 3
    yield "cp --sparse=always", sparse, lambda: used(copy), runs
    yield "qemu-img convert", convert, lambda: used(copy), runs
    if host:
        there = shlex.join(host.ssh_command(["sh", "-ec", f"tar -C /srv -xSf - && sync /srv/{path.name}"]))

        def over_ssh() -> None:
            shell(f"tar -C {path.parent} -cSf - {path.name} | {there}")

        def received() -> float:
            return 512 * float(host.run(["stat", "--format=%b", f"/srv/{path.name}"]).stdout)

        yield "tar -S | ssh, another host", over_ssh, received, 2


def disks(folder: Path, gibs: list[int]) -> Iterator[Row]:
    """Yield the rows of each size."""
    yield from of_any_size(folder)
    with ExitStack() as stack:
        host = None
        if not unusable():
            (host,) = Lab().up(names=[TARGET])
            stack.callback(Lab().down, TARGET)
        for gib in gibs:
            yield from of_size(folder, gib, host)


def as_task(image: Path, mine: Path, copy: Path, gib: int) -> Row:
    """Return the row of a task that makes the disk, against a task that copies the image."""
    ours = {"edge.cloud.qcow2_image": {"path": str(mine), "backing_image": str(image), "size": f"{gib}GiB"}}
    other = {"ansible.builtin.shell": f"cp --sparse=always {image} {copy} && sync {copy}"}

    def run(task: dict[str, Any], made: Path) -> None:
        made.unlink(missing_ok=True)
        (result,) = play([task])
        assert result["changed"] and made.exists(), result

    found = by_turns(lambda: run(ours, mine), lambda: run(other, copy), TASK_RUNS)
    name = "cp --sparse=always, a task"
    return row(f"(a) disk, {gib} GiB, a task", "time", "s", *found, other_name=name, goal=SOONER, runs=TASK_RUNS)


def by_hand(image: Path, made: Path, gib: int) -> None:
    """Make the same overlay by qemu-img alone: with its first tables, then at its size."""
    made.unlink(missing_ok=True)
    how = "cluster_size=128k,extended_l2=on,preallocation=metadata"
    qemu_img("create", "-q", "-f", "qcow2", "-o", how, "-b", image, "-F", "qcow2", made, f"{min(gib, 4)}G")
    alone = {"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": str(made)}}
    qemu_img("resize", "-q", f"json:{json.dumps(alone)}", f"{gib}G")
    subprocess.run(["sync", made], check=True)


def of_any_size(folder: Path) -> Iterator[Row]:
    """Yield a row for each size of an image whose bytes, all but its header and tables, are a hole."""
    for gib in (1, 16, 1024):
        store, mine = Store(folder / f"holes{gib}"), folder / f"overlay{gib}"
        store.prepare()
        path = store.image_path(put_image(store, "hole", GIB).digest)
        path.unlink()
        qemu_img("create", "-q", "-f", "qcow2", path, f"{gib}G")
        os.truncate(path, GIB)
        tool = DiskFiles(SubprocessRunner(), Folders(images=str(store.root)))

        def overlay(tool: DiskFiles = tool, mine: Path = mine, image: Path = path, gib: int = gib) -> None:
            mine.unlink(missing_ok=True)
            with at_once():
                tool.create_overlay(str(mine), f"sha256:{image.stem}", gib * GIB)

        def two_processes(image: Path = path, gib: int = gib) -> None:
            with at_once():
                by_hand(image, folder / "copy", gib)

        found = by_turns(overlay, two_processes, 3 * RUNS)
        what = {"other_name": "qemu-img create and resize", "goal": FAST, "runs": 3 * RUNS}
        yield row(f"(a) disk over an image of {gib} GiB with no data", "time", "s", *found, **what)


def of_size(folder: Path, gib: int, host: LabHost | None) -> Iterator[Row]:
    root, mine, copy = folder / f"images{gib}", folder / "overlay", folder / "copy"
    source = filled(folder / "source.qcow2", gib * GIB, min(gib, 1) * GIB - 8 * MIB)
    store, image = datastore(root, source)
    source.unlink()
    tool = DiskFiles(SubprocessRunner(), Folders(images=str(root)))

    def overlay() -> None:
        mine.unlink(missing_ok=True)
        with at_once():
            tool.create_overlay(str(mine), image.digest, gib * GIB)

    def two_processes() -> None:
        with at_once():
            by_hand(store.image_path(image.digest), copy, gib)

    found = by_turns(overlay, two_processes, 3 * RUNS)
    case = f"(a) disk, {gib} GiB, the library alone"
    yield row(case, "time", "s", *found, other_name="qemu-img create and resize", goal=FAST, runs=3 * RUNS)
    for name, other, size, runs in copies(store.image_path(image.digest), copy, gib, host):
        copy.unlink(missing_ok=True)
        ours, theirs = by_turns(overlay, other, runs)
        yield row(case, "time", "s", ours, theirs, other_name=name, goal=FAST, runs=runs)
        yield row(case, "bytes", "B", used(mine), size(), other_name=name, goal=SMALL, runs=1)
    if host is None:
        yield not_run(f"(a) disk, {gib} GiB, against a copy to another host", unusable())
    yield as_task(store.image_path(image.digest), mine, copy, gib)
    copy.unlink(missing_ok=True)
    shutil.rmtree(root)
