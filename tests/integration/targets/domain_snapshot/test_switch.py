# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest is switched from a committed overlay to the file below it, and libvirtd or the task ends in the middle of that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from edge_lab.api import unusable
from support.stream_guest import wait_for
from support.stream_host import StreamHost
from support.vm_host import VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
NOTE = f"{VMS}/web/switching.json"
UNITS = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service"
COMPLETE = """
import glob, json, socket, time
(path,) = glob.glob("/var/lib/libvirt/qemu/domain-*-web/monitor.sock")
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(path)
lines = monitor.makefile("rw")
lines.readline()
def ask(command, **arguments):
    lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\\n")
    lines.flush()
    while True:
        answer = json.loads(lines.readline())
        if "error" in answer:
            raise SystemExit(answer)
        if "return" in answer:
            return answer["return"]
ask("qmp_capabilities")
(job,) = ask("query-jobs")
ask("job-complete", id=job["id"])
while (found := ask("query-jobs"))[0]["status"] != "concluded":
    time.sleep(0.05)
ask("job-dismiss", id=job["id"])
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamHost]:
    if reason := unusable():
        pytest.skip(reason)
    name = f"swit-{request.param[:4]}"
    with StreamHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def test_libvirt_forgets_a_switch_and_the_next_start_has_all_that_the_guest_wrote(host: StreamHost) -> None:
    host.guest("web")
    host.wait_more("web")
    host.snapshot("web", "s")
    host.wait_more("web")
    top, base = host.active("web"), f"{VMS}/web/data.qcow2"
    host.run("virsh", "blockcommit", "web", "vda", "--active", "--top", top, "--base", base)
    wait_for(lambda: host.run("virsh", "dumpxml", "web"), lambda text: "ready='yes'" in text, "the job")
    host.run("sh", "-c", f"systemctl stop {UNITS}")
    host.run("python3", "-c", COMPLETE)
    host.run("sh", "-c", f"systemctl start {UNITS}")
    known = host.wait_more("web")
    assert f"file='{top}'" in host.run("virsh", "dumpxml", "--inactive", "web"), "it is not as libvirt leaves it"

    failed = host.snapshot("web", "s", state="absent", ok=False)
    assert failed["error"]["code"] == "conflict" and "restart it first" in failed["msg"], failed
    assert f"file='{base}'" in host.run("virsh", "dumpxml", "--inactive", "web")
    assert "restart it first" in host.snapshot("web", "s", state="absent", ok=False)["msg"], "and as long as it is not"
    known = max(known, host.wait_more("web"))
    assert top.rsplit("/", 1)[-1] in host.files("web")

    host.run("virsh", "destroy", "web")
    assert host.written("web") > known
    host.run("virsh", "start", "web")
    host.wait_more("web")
    done = host.snapshot("web", "s", state="absent")
    assert done["changed"] and done["snapshots"]["interrupted"] is None
    assert {name for name in host.files("web") if name.endswith(".qcow2")} == {"data.qcow2"}
    assert host.verify("web") > known
    assert host.snapshot("web", "s", state="absent")["changed"] is False


@pytest.mark.parametrize("module", ["domain", "domains", "domain_snapshot"])
def test_a_guest_that_a_killed_task_paused_for_its_switch_goes_on(host: StreamHost, module: str) -> None:
    host.guest("web")
    host.wait_more("web", 1)
    host.run("virsh", "suspend", "web")
    host.run("sh", "-c", f"echo '{json.dumps({'target': 'vda', 'resume': True})}' > {NOTE}")
    options = {
        "domain": {"name": "web"},
        "domains": {"domains": [{"name": "web"}]},
        "domain_snapshot": {"name": "web", "snapshot": "none", "state": "absent"},
    }[module]
    host.module(module, **options)
    host.wait_more("web")
    assert "switching.json" not in host.files("web")
