# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(a) Many images and disks on one host: whole modules in processes of their own, the CPU that they take and their memory.

CPU, since all of it is work in memory and other programs of the machine must not count; it is the time on a machine that is idle.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from report import NO_GOAL, Goal, Row, row
from scale_made import put_host
from support.processes import TREE

IMAGES, DISKS = 1000, 10_000
RUNS = 3
SAMPLE = 50  # disks that qemu-img is measured with
MODULE = """
import json, sys
from importlib import import_module
from pathlib import Path
from ansible.module_utils.testing import patch_module_args
name, options = sys.argv[1], json.loads(sys.argv[2])
with patch_module_args(options):
    try:
        import_module(f"ansible_collections.edge.cloud.plugins.modules.{name}").main()
    except SystemExit:
        print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr)
        raise
"""


def cpu(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that the processes took which ``work`` started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def module(name: str, /, **options: Any) -> tuple[float, int, dict[str, Any]]:
    """Run a module and return the median of its seconds of CPU and of its KiB of memory, and its result."""
    times, ended = [], []
    argv = [sys.executable, "-c", MODULE, name, json.dumps(options)]
    environment = {"PYTHONPATH": str(TREE / "collections")}
    for _run in range(RUNS):
        run = partial(subprocess.run, argv, capture_output=True, text=True, check=True, env=environment)
        times.append(cpu(lambda: ended.append(run())))  # noqa: B023 - it is called at once
    memory = statistics.median(int(one.stderr.split()[-1]) for one in ended)
    return statistics.median(times), int(memory), json.loads(ended[-1].stdout)


def store(folder: Path, share: int) -> Iterator[Row]:
    """Measure a host with ``share`` percent of the images and disks."""
    one, _vms = put_host(_new(folder / "one"), 1, 0)
    images, disks = IMAGES * share // 100, DISKS * share // 100
    many, vms = put_host(_new(folder / str(share)), images, disks)
    case = f"(a) {images} images, {disks} disks"
    small = module("datastore_image", name="image0", version="1", root=str(one.root), disk_directories=[])
    big = module("datastore_image", name="image0", version="1", root=str(many.root), disk_directories=[str(vms)])
    assert not big[2]["changed"] and big[2]["image"]["name"] == "image0"
    what = {"other_name": "a store of one image", "runs": RUNS}
    yield row(case, "datastore_image, no change, CPU", "s", big[0], small[0], goal=Goal("ours", 1, "s"), **what)
    memory = Goal("ours", 100, "MiB")
    yield row(case, "datastore_image, no change, memory", "MiB", big[1] / 1024, small[1] / 1024, goal=memory, **what)
    told = module("datastore_image_info", root=str(many.root), disk_directories=[str(vms)])
    assert sum(len(image["used_by"]) for image in told[2]["images"]) == disks
    looked = module("image_cache", root=str(many.root), disk_directories=[str(vms)], _ansible_check_mode=True)
    sample = [vms / f"vm{number}" / "root.qcow2" for number in range(min(SAMPLE, disks))]
    each = cpu(lambda: [_info(path) for path in sample]) / len(sample)
    other = {"other_name": f"qemu-img info of each disk, by {len(sample)}", "runs": RUNS}
    goal = Goal("ratio", 0.1) if share == 100 else NO_GOAL  # of a few disks, the start of Python is most of it
    yield row(case, "datastore_image_info, all users, CPU", "s", told[0], each * disks, goal=goal, **other)
    yield row(case, "image_cache, nothing to remove, CPU", "s", looked[0], each * disks, goal=goal, **other)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _info(path: Path) -> None:
    subprocess.run(["qemu-img", "info", "-f", "qcow2", "--output=json", path], check=True, stdout=subprocess.DEVNULL)
