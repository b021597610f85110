# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""domain_snapshot under a running guest that streams checked blocks, on libvirt 9 and 11. Kills midway are in tests/faults.

The guest's agent is the small one of support/stream_guest.py, which freezes the writer of the stream and not a file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from edge_lab.api import unusable
from support.stream_guest import wait_for
from support.stream_host import StreamHost
from support.vm_host import VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamHost]:
    if reason := unusable():
        pytest.skip(reason)
    name = f"snap-{request.param[:4]}"
    with StreamHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def task(domain: str, snapshot: str, **options: Any) -> dict[str, Any]:
    """Return a task of domain_snapshot; tasks of one play cost little more than one."""
    keywords = {key: options.pop(key) for key in ("check_mode", "ignore_errors") if key in options}
    return {"edge.cloud.domain_snapshot": {"name": domain, "snapshot": snapshot, **options}, **keywords}


def wait_again(host: StreamHost, name: str, block: int) -> None:
    """Wait until a guest that was taken back has written a block for the second time."""
    wait_for(lambda: host.console(name), lambda text: len(re.findall(rf"STREAM {block}\b", text)) == 2, f"block {block} again")


def gone(host: StreamHost, name: str) -> None:
    host.module("domain", name=name, state="absent", force_stop=True, delete_disks=True, timeout=1)
    assert name not in host.run("ls", VMS).split()


def test_disks_taken_gone_back_to_and_removed(host: StreamHost) -> None:
    host.guest("web", disks=2, agent="")
    host.wait_more("web")
    ping = ("virsh", "qemu-agent-command", "web", '{"execute": "guest-ping"}')
    wait_for(lambda: host.run(*ping, ok=False), lambda text: "return" in text, "the guest's agent")
    first: dict[str, Any] = {"quiesce": "required", "description": "as shipped"}
    planned, taken, again = host.play(
        [task("web", "first", check_mode=True, **first), task("web", "first", **first), task("web", "first", **first)]
    )
    assert planned["changed"] and taken["changed"] and not again["changed"]
    assert (taken["actions"], taken["diff"]) == (planned["actions"], planned["diff"])
    (snapshot,) = taken["snapshots"]["snapshots"]
    assert snapshot["quiesced"] and snapshot["description"] == "as shipped" and snapshot["children"] == []
    host.wait_text("web", "AGENT-THAWED")
    blocks = host.written("web", snapshot["disks"]["data"])

    known = host.wait_more("web")
    found = host.snapshot("web", "second", quiesce="never")["snapshots"]
    host.wait_more("web")
    tree = {one["name"]: (one["parent"], one["children"], one["quiesced"]) for one in found["snapshots"]}
    assert tree == {"first": (None, ["second"], True), "second": ("first", [], False)}
    assert host.chain(host.active("web")) == ["data.second.qcow2", "data.first.qcow2", "data.qcow2"]
    assert host.written("web", f"{VMS}/web/data.first.qcow2") > known
    assert host.verify("web") > known

    _go_back(host, blocks)
    _remove_all(host)


def _go_back(host: StreamHost, blocks: int) -> None:
    """Only with the option that stops the guest; what was written since stays, and the guest boots from the first snapshot."""
    back: dict[str, Any] = {"state": "reverted", "allow_restart": True}
    refused, unknown, planned = host.play(
        [
            task("web", "first", state="reverted", ignore_errors=True),
            task("web", "third", ignore_errors=True, **back),
            task("web", "first", check_mode=True, **back),
        ]
    )
    assert refused["error"]["code"] == "refused" and "allow_restart" in refused["msg"]
    assert unknown["error"]["code"] == "not_found" and "first, second" in unknown["msg"]
    known = host.acked("web")
    done = host.snapshot("web", "first", **back)
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"])
    host.wait_text("web", f"STREAM-FROM {blocks - 1}")
    wait_again(host, "web", blocks + 2)
    (left,) = done["snapshots"]["orphans"]
    assert left["snapshot"] == "first" and host.written("web", left["disks"]["data"]) > known
    assert host.verify("web") >= blocks


def _remove_all(host: StreamHost) -> None:
    """Overlays are committed under the running guest, which goes on, and in the end each disk is one file again."""
    for name in ("second", "first"):
        tasks = [task("web", name, state="absent", check_mode=check) for check in (True, False, False)]
        known = host.acked("web")
        planned, removed, again = host.play(tasks)
        assert (removed["actions"], removed["diff"]) == (planned["actions"], planned["diff"])
        assert not again["changed"] and host.verify("web") > known
    assert sum("Commit" in one for one in removed["actions"]) == 2, "one for each disk"
    found = host.module("domain_snapshot_info", name="web")
    assert found["snapshots"] == found["orphans"] == [] and found["interrupted"] is None
    assert host.state("web") == "running" and host.files("web") == {"data.qcow2", "more1.qcow2"}
    assert host.chain(host.active("web")) == ["data.qcow2"]
    assert host.guest("web", disks=2, agent="")["changed"] is False
    host.wait_more("web")
    gone(host, "web")


def test_memory_goes_on_where_it_was(host: StreamHost) -> None:
    host.guest("deep")
    host.wait_more("deep")
    refused, taken = host.play([task("deep", "work", quiesce="required", ignore_errors=True), task("deep", "work", memory=True)])
    assert refused["error"]["code"] == "not_found" and "agent" in refused["msg"]
    (snapshot,) = taken["snapshots"]["snapshots"]
    assert snapshot["memory"] == f"{VMS}/deep/work.memory" and not snapshot["quiesced"]
    blocks = host.written("deep", snapshot["disks"]["data"])
    host.wait_more("deep")

    host.snapshot("deep", "work", state="reverted", allow_restart=True, discard=True)
    wait_again(host, "deep", blocks + 2)
    assert host.console("deep").count("STREAM-FROM") == 1, "it booted, and did not go on from its memory"
    assert host.verify("deep") > blocks
    assert host.files("deep") == {"data.qcow2", "work.memory", "data.work-2.qcow2"}

    known = host.acked("deep")
    host.snapshot("deep", "work", state="absent")
    assert host.files("deep") == {"data.qcow2"} and host.verify("deep") > known
    gone(host, "deep")
