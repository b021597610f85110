# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw disk with the header of a qcow2 in it, whose backing file is a file of the host: no QEMU opens that, whatever is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from edge_lab.api import unusable
from support.vm_host import VMS, VmHost

pytestmark = [pytest.mark.integration, pytest.mark.lab]
SECRET, RAW, COPY = "/srv/secret", f"{VMS}/format/data.raw", "/srv/copy.qcow2"
WRITE = f"""
set -e
mkdir -p {VMS}/format && chmod 711 {VMS}/format
head -c 1M /dev/urandom > {SECRET} && chmod 644 {SECRET}
truncate -s 4M {RAW}
qemu-img create -q -f qcow2 -u -b {SECRET} -F raw /srv/evil 1M
dd if=/srv/evil of={RAW} conv=notrunc status=none
"""

LOOPS = """
truncate -s 4M /srv/loop
[ -e /dev/loop-control ] || mknod -m 600 /dev/loop-control c 10 237
for number in $(seq 0 15); do [ -e /dev/loop$number ] || mknod -m 600 /dev/loop$number b 7 $number; done
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmHost]:
    if reason := unusable():
        pytest.skip(reason)
    name = f"form-{request.param[:4]}"
    with VmHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def domain(name: str, *disks: dict[str, Any], **options: Any) -> dict[str, Any]:
    keywords = {"ignore_errors": True} if options.pop("fails", False) else {}
    asked = {
        "name": name,
        "virt_type": "qemu",
        "memory": "64MiB",
        "disks": list(disks),
        "force_stop": True,
        "timeout": 1,
        **options,
    }
    return {"edge.cloud.domain": asked, **keywords}


def opened(host: VmHost, name: str) -> set[str]:
    """Return the files that the QEMU of a domain has open, and see that its own disk is among them."""
    shown = host.run("sh", "-c", f"readlink /proc/$(cat /run/libvirt/qemu/{name}.pid)/fd/*", ok=False)
    return set(shown.splitlines())


def require_raw(host: VmHost, name: str) -> None:
    found = opened(host, name)
    assert RAW in found and SECRET not in found, found


def test_the_file_of_the_host_is_never_opened(host: VmHost) -> None:
    host.run("sh", "-c", WRITE)
    disk = {"name": "data", "path": RAW}
    refused, given, again = host.play(
        [domain("format", disk, fails=True), domain("format", {**disk, "format": "raw"}), domain("format", disk)]
    )
    assert refused["error"]["code"] == "refused" and "format: raw" in refused["msg"]
    assert given["changed"] and not again["changed"]
    require_raw(host, "format")

    snapshot = {"edge.cloud.domain_snapshot": {"name": "format", "snapshot": "a"}}
    exported = {"edge.cloud.domain_disk": {"name": "format", "disk": "data", "state": "exported", "dest": COPY}}
    restart = [domain("format", disk, state="stopped"), domain("format", disk)]
    host.play([snapshot, exported, *restart])
    require_raw(host, "format")
    assert host.active("format") == f"{VMS}/format/data.a.qcow2"
    assert host.run("sh", "-c", f"qemu-io -f qcow2 -c 'read -v 0 4' {COPY} | grep -c '51 46 49 fb'") == "1"

    flattened = {"edge.cloud.domain_snapshot": {"name": "format", "snapshot": "a", "state": "absent"}}
    host.play([flattened, *restart])
    require_raw(host, "format")
    host.play([domain("format", state="absent"), domain("other", disk, fails=True), domain("other", {**disk, "format": "raw"})])
    require_raw(host, "other")
    host.play([domain("other", state="absent")])


@pytest.mark.slow
def test_a_block_device_is_a_disk_of_that_type(host: VmHost) -> None:
    host.run("sh", "-c", LOOPS)
    device = host.run("losetup", "--find", "--show", "/srv/loop", ok=False)
    if not device:
        pytest.skip("this lab host has no loop devices")
    try:
        host.run("ln", "-sf", device, "/srv/block")
        disk = {"name": "data", "path": "/srv/block"}
        made, again, _taken, back, _gone = host.play(
            [
                domain("block", disk),
                domain("block", disk),
                {"edge.cloud.domain_snapshot": {"name": "block", "snapshot": "a"}},
                {"edge.cloud.domain_snapshot": {"name": "block", "snapshot": "a", "state": "absent"}},
                domain("block", disk),
            ]
        )
        assert made["changed"] and not again["changed"] and back["changed"]
        shown = host.run("virsh", "dumpxml", "block", "--inactive")
        assert "<disk type='block' device='disk'>" in shown and "<source dev='/srv/block'" in shown
        assert device in opened(host, "block")
    finally:
        host.play([domain("block", state="absent")])
        host.run("losetup", "--detach", device, ok=False)
