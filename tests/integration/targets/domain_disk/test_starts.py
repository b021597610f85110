# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that somebody starts with virsh while its disk is replaced, one that is saved, and one that sleeps, on a real host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_lab.api import unusable
from support import stream_guest
from support.disk_host import DiskHost
from support.stream_guest import wait_for
from support.vm_host import VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]
TREE = Path(__file__).resolve().parents[4]
RACE = "/root/race"
RACER = """
import json, subprocess, sys
from pathlib import Path
from module_utils._compute.disk.reconcile import DiskRequest, Disks
from module_utils._compute.host.events import EventLoop
from module_utils._compute.job.block_job import JobLimits
from module_utils._compute.model.host_facts import Folders
from module_utils._disks.files import DiskFiles
from module_utils._libvirt import connection
from module_utils._runner import SubprocessRunner
name, depth = sys.argv[1:]
starts = []
def raced(owner, attribute, when):
    original = getattr(owner, attribute)
    def start():
        done = subprocess.run(["virsh", "start", name], capture_output=True, text=True)
        starts.append([when, done.returncode, done.stderr])
    def call(*arguments):
        mine = attribute != "rename" or str(arguments[0]).endswith(".flat")
        mine and start()
        result = original(*arguments)
        mine and start()
        return result
    setattr(owner, attribute, call)
raced(DiskFiles, "convert", "while it is copied")
raced(Path, "rename", "while it is renamed")
raced(DiskFiles, "commit", "while it is committed")
with EventLoop(), connection() as opened:
    tool = DiskFiles(SubprocessRunner(), Folders())
    plan, _view, _result = Disks(opened, tool, Folders(), name, "data", JobLimits(300)).run(DiskRequest("flattened", depth), False)
print(json.dumps({"starts": starts, "actions": plan.actions}))
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiskHost]:
    if reason := unusable():
        pytest.skip(reason)
    name = f"race-{request.param[:4]}"
    folder = tmp_path_factory.mktemp(name)
    with DiskHost.up(name, request.param, folder) as found:
        found.run("mkdir", "-p", RACE)
        found.host.put(TREE / "plugins/module_utils", f"{RACE}/module_utils")
        racer = folder / "racer.py"
        racer.write_text(RACER)
        found.host.put(racer, f"{RACE}/racer.py")
        yield found


def race(host: DiskHost, name: str, depth: str) -> dict[str, Any]:
    """Flatten the disk while virsh starts the VM at every moment of it."""
    printed = host.run("env", f"PYTHONPATH={RACE}", "python3", f"{RACE}/racer.py", name, depth)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.slow
def test_virsh_starts_no_vm_on_a_disk_that_is_being_replaced(host: DiskHost) -> None:
    host.guest("late", disks=[host.data()])
    host.wait_more("late")
    host.with_overlay("late", "alien")
    host.run("virsh", "destroy", "late")
    known = host.acked("late")
    found = race(host, "late", "all")
    assert len(found["starts"]) == 6, found
    for when, code, printed in found["starts"]:
        assert code != 0 and "Failed to get" in printed, (when, printed)
    assert host.state("late") == "shut off" and host.chain(host.active("late")) == ["data.qcow2"]
    host.run("virsh", "start", "late")
    wait_for(lambda: host.console("late"), lambda text: stream_guest.acked(text) > known + 5, "the stream goes on")
    assert host.verify("late") > known and host.marked(f"{VMS}/late/data.qcow2")
    host.gone("late")


@pytest.mark.slow
def test_a_saved_vm_finds_its_disk_as_its_memory_knows_it(host: DiskHost) -> None:
    host.guest("dream", disks=[host.data()])
    host.wait_more("dream")
    host.run("virsh", "managedsave", "dream")
    known, files = host.acked("dream"), host.files("dream")
    for module, options in (
        ("domain_snapshot", {"snapshot": "a"}),
        ("domain_disk", {"disk": "data", "state": "flattened", "depth": "all"}),
        ("domain", {"state": "absent"}),
    ):
        refused = host.module(module, ok=False, name="dream", **options)
        assert refused["error"]["code"] == "refused" and "saved" in refused["msg"], refused
    assert host.files("dream") == files
    host.guest("dream", disks=[host.data()])
    wait_for(lambda: host.console("dream"), lambda text: stream_guest.acked(text) > known + 5, "the stream goes on")
    assert host.console("dream").count("STREAM-FROM") == 1, "it booted, and did not go on from its memory"
    host.verify("dream")
    host.gone("dream")


@pytest.mark.slow
def test_a_guest_that_sleeps_is_woken_and_can_be_stopped(host: DiskHost) -> None:
    asleep = {"cmdline": f"{stream_guest.cmdline('vda')} edge.sleep", "disks": [{"name": "data", "size": "64MiB"}]}
    host.guest("sleeper", **asleep)
    wait_for(lambda: host.state("sleeper"), lambda state: state == "pmsuspended", "the guest's sleep")
    refused = host.snapshot("sleeper", "a", ok=False)
    assert refused["error"]["code"] == "refused" and "sleeps" in refused["msg"]
    woken = host.guest("sleeper", **asleep)
    assert woken["actions"] == ["Wake domain sleeper, whose guest sleeps"] and host.state("sleeper") == "running"
    host.wait_text("sleeper", "GUEST-WOKE")
    assert host.guest("sleeper", **asleep)["changed"] is False

    host.guest("sleeper", **asleep, state="stopped", force_stop=True, timeout=1)
    host.guest("sleeper", **asleep)
    wait_for(lambda: host.state("sleeper"), lambda state: state == "pmsuspended", "the guest's sleep")
    stopped = host.guest("sleeper", **asleep, state="stopped", force_stop=True, timeout=1)
    assert stopped["domain"]["state"] == "stopped" and host.state("sleeper") == "shut off"
    host.gone("sleeper")
