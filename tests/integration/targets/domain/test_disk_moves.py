# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk goes from one running guest to another with all that is on it, and no two tasks work on a VM while its disks go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_lab.api import Lab, unusable
from support import stream_guest
from support.playbook import start_play
from support.stream_host import StreamHost
from support.vm_host import VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]
NAME = "dom-moves"
ROOT = {"name": "root", "size": "1MiB"}


@pytest.fixture(scope="module")
def inventory() -> Path:
    return Lab().inventory


@pytest.fixture(scope="module")
def host(inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamHost]:
    if reason := unusable():
        pytest.skip(reason)
    lab = Lab()
    if any(one.name == NAME for one in lab.hosts()):
        lab.down(NAME)
    try:
        (made,) = lab.up(names=[NAME], release="trixie", variant="full")
        yield StreamHost(made, inventory, tmp_path_factory.mktemp(NAME))
    finally:
        lab.down(NAME)


@pytest.mark.slow
def test_a_disk_goes_from_one_running_guest_to_another(host: StreamHost) -> None:
    """Each guest streams to its second disk, the second from the moment that it has one."""
    path = f"{VMS}/giver/data.qcow2"
    stream: dict[str, Any] = {"cmdline": stream_guest.cmdline("vdb")}
    host.guest("giver", disks=[ROOT, {"name": "data", "size": "64MiB"}], **stream)
    host.guest("taker", disks=[ROOT], **stream)
    host.wait_more("giver", 10)
    host.wait_text("taker", "GUEST-READY")
    taken = [ROOT, {"name": "data", "path": path}]

    refused = host.guest("taker", disks=taken, ok=False, **stream)
    assert refused["error"]["code"] == "conflict" and refused["error"]["used_by"] == "giver"
    assert refused["msg"].startswith("disks[1].path: ") and "domain taker" in refused["msg"]
    known = host.acked("giver")
    detached = host.guest("giver", disks=[ROOT], **stream)
    assert detached["actions"][-1] == "Detach disk data (vdb) from running domain giver"
    blocks = stream_guest.written(host.run, path)
    assert blocks > known
    attached = host.guest("taker", disks=taken, **stream)
    assert attached["actions"][-1] == "Attach disk data to running domain taker as vdb"
    host.wait_text("taker", f"STREAM-FROM {blocks - 1}")
    assert host.wait_more("taker") > blocks

    gone = host.module("domain", name="giver", state="absent", delete_disks=True, force_stop=True, timeout=1)
    assert path not in " ".join(gone["actions"]) and "root.qcow2" in gone["actions"][-1]
    host.wait_more("taker")
    assert host.active("taker", "vdb") == path
    host.module("domain", name="taker", state="stopped", force_stop=True, timeout=1)
    assert stream_guest.written(host.run, path) > host.acked("taker")
    for name in ("taker", "giver"):
        host.module("domain", name=name, state="absent", delete_disks=True)
    assert host.run("ls", VMS) == ""


def test_no_other_task_works_on_a_vm_whose_disks_are_being_deleted(host: StreamHost, inventory: Path) -> None:
    """The guest does not react to the shutdown, so the removal takes a while; it holds the VM's lock all along."""
    host.module("domain", name="deaf", virt_type="qemu", memory="64MiB", disks=[ROOT])
    remove = {"name": "deaf", "state": "absent", "delete_disks": True, "timeout": 600}
    running = start_play([{"edge.cloud.domain": remove}], inventory=inventory, hosts=host.host.name)
    lock = ("flock", "--nonblock", "/run/edge/locks/domain-deaf", "echo", "free")
    stream_guest.wait_for(lambda: host.run(*lock, ok=False) or "held", lambda found: found == "held", "the lock")
    snapshot = {"name": "deaf", "snapshot": "late"}
    flattened = {"name": "deaf", "disk": "root", "state": "flattened", "timeout": 0}
    found = host.play(
        [
            {"edge.cloud.domain_snapshot": snapshot, "ignore_errors": True},
            {"edge.cloud.domain_disk": flattened, "ignore_errors": True},
        ]
    )
    assert [one["error"]["code"] for one in found] == ["busy", "busy"]
    assert "another task" in found[0]["msg"] and running.poll() is None
    host.run("virsh", "destroy", "deaf")
    assert running.wait() == 0 and host.run("ls", VMS) == ""
