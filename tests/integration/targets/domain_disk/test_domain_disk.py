# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""domain_disk under a running guest that streams checked blocks, on libvirt 9 and 11; stopped VMs are in the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_lab.api import unusable
from support import stream_guest
from support.disk_host import EXPORTS, DiskHost
from support.outcomes import ATTEMPTS
from support.playbook import start_play
from support.vm_host import IMAGES, MIB, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]


def task(name: str, **options: Any) -> dict[str, Any]:
    keywords = {key: options.pop(key) for key in ("check_mode", "ignore_errors") if key in options}
    return {"edge.cloud.domain_disk": {"name": name, "disk": "data", **options}, **keywords}


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiskHost]:
    if reason := unusable():
        pytest.skip(reason)
    name = f"disk-{request.param[:4]}"
    with DiskHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def test_flattened_while_it_runs(host: DiskHost) -> None:
    host.guest("flat", disks=[host.data()])
    host.wait_more("flat")
    below = f"{IMAGES}/{host.digest.removeprefix('sha256:')}.qcow2"
    for overlay in ("alien", "foreign"):
        host.with_overlay("flat", overlay)
    known = host.acked("flat")
    planned, done, again = host.play([task("flat", state="flattened", check_mode=True), *[task("flat", state="flattened")] * 2])
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"]) and not again["changed"]
    assert [Path(one).name for one in done["diff"]["before"]["chain"]] == [
        "data.foreign.qcow2", "data.alien.qcow2", "data.qcow2", Path(below).name,
    ]  # fmt: skip
    assert done["disk"]["chain"] == planned["disk"]["chain"] == [f"{VMS}/flat/data.qcow2", below]
    assert host.files("flat") == {"data.qcow2"} and host.active("flat") == f"{VMS}/flat/data.qcow2"
    assert host.verify("flat") > known

    _refused_for_a_snapshot(host)
    _alone(host)
    host.gone("flat")


def _refused_for_a_snapshot(host: DiskHost) -> None:
    _taken, refused, _removed = host.play(
        [
            {"edge.cloud.domain_snapshot": {"name": "flat", "snapshot": "precious"}},
            task("flat", state="flattened", depth="all", ignore_errors=True),
            {"edge.cloud.domain_snapshot": {"name": "flat", "snapshot": "precious", "state": "absent"}},
        ]
    )
    assert refused["error"]["code"] == "refused" and refused["error"]["snapshots"] == ["precious"]
    assert refused["msg"].startswith("state: ") and "precious" in refused["msg"]


def _alone(host: DiskHost) -> None:
    """A copy that takes too long is ended and goes on in the next run; the guest and the domain's options do not notice."""
    late, _kept, done, again = host.play(
        [
            task("flat", state="flattened", depth="all", bandwidth="2MiB", timeout=2, ignore_errors=True),
            {"ansible.builtin.command": {"argv": ["virsh", "blockjob", "flat", "vda"]}},
            task("flat", state="flattened", depth="all", progress_file="/run/edge-disk.progress"),
            task("flat", state="flattened", depth="all"),
        ]
    )
    assert late["error"]["code"] == "timed_out" and "nothing is lost" in late["msg"]
    assert done["disk"]["chain"] == [f"{VMS}/flat/data.qcow2"] and not again["changed"]
    assert "disk data of domain flat: " in host.run("cat", "/run/edge-disk.progress")
    assert host.chain(f"{VMS}/flat/data.qcow2") == ["data.qcow2"] and host.marked(f"{VMS}/flat/data.qcow2")
    known = host.acked("flat")
    assert host.verify("flat") > known and host.guest("flat", disks=[host.data()])["changed"] is False


@pytest.mark.slow  # test_save_image exports one, too
def test_exported_while_it_runs(host: DiskHost) -> None:
    disks = [host.data(), {"name": "bulk", "size": "1GiB"}]
    host.guest("copied", disks=disks, agent="", state="stopped")
    host.run("qemu-io", "-f", "qcow2", "-c", "write -q -P 0x5a 0 768M", f"{VMS}/copied/bulk.qcow2")
    host.guest("copied", agent="", disks=disks)
    host.wait_more("copied")
    ping = ("virsh", "qemu-agent-command", "copied", '{"execute": "guest-ping"}')
    stream_guest.wait_for(lambda: host.run(*ping, ok=False), lambda text: "return" in text, "the guest's agent")
    one = {"state": "exported", "dest": f"{EXPORTS}/one.qcow2", "quiesce": "required"}
    known = host.acked("copied")
    planned, done, again, other = host.play(
        [
            task("copied", check_mode=True, **one),
            *[task("copied", **one)] * 2,
            task("copied", state="exported", dest=f"{VMS}/copied/data.x.qcow2", ignore_errors=True),
        ]
    )
    assert (done["actions"], done["diff"]) == (planned["actions"], planned["diff"]) and not again["changed"]
    assert done["disk"]["exported"] == {"path": one["dest"], "format": "qcow2", "virtual_size": 64 * MIB, "quiesced": True}
    assert other["msg"].startswith("dest: ")
    assert host.chain(one["dest"]) == ["one.qcow2"] and host.marked(one["dest"])
    assert stream_guest.written(host.run, one["dest"]) > known
    host.wait_text("copied", "AGENT-THAWED")
    assert host.run("ls", "-A", EXPORTS) == "one.qcow2"
    _interrupted(host)
    host.wait_more("copied")
    host.verify("copied")
    host.gone("copied")


def _interrupted(host: DiskHost) -> None:
    """A run is killed while QEMU copies: the next one ends that copy and makes a whole one."""
    two = {"disk": "bulk", "state": "exported", "dest": f"{EXPORTS}/two.qcow2", "quiesce": "never"}
    assert any(_killed(host, two) for _attempt in range(ATTEMPTS)), "no copy lasted until its run was killed"
    (done,) = host.play([task("copied", **two)])
    assert done["changed"] and host.run("ls", "-A", EXPORTS).split() == ["one.qcow2", "two.qcow2"]
    compared = host.run("qemu-img", "compare", "-U", two["dest"], f"{VMS}/copied/bulk.qcow2")
    assert "identical" in compared


def _killed(host: DiskHost, order: dict[str, Any]) -> bool:
    """Copy slowly, kill the run, and return whether the copy goes on; one may end before the limit holds, on a busy machine."""
    running = start_play([task("copied", bandwidth="2MiB", **order)], inventory=host.inventory, hosts=host.host.name)
    query = ("virsh", "qemu-monitor-command", "copied", '{"execute": "query-block-jobs"}')
    stream_guest.wait_for(
        lambda: host.run(*query) + str(running.poll()), lambda text: '"speed":2097152' in text or "None" not in text, "the job"
    )
    host.run("sh", "-c", "kill -KILL $(lslocks -n -o PID,PATH | awk '/domain-copied$/ {print $1}')", ok=False)
    running.wait()
    if "two.qcow2" in host.run("ls", EXPORTS).split():
        host.run("rm", str(order["dest"]))
        return False
    return "Backup" in host.run("virsh", "domjobinfo", "copied")
