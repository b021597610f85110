# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new raw disk under a guest that runs: grown, under a snapshot, and with the header of a qcow2 that its guest wrote into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.small_guest import READY
from support.small_host import SmallHost
from support.vm_host import MIB, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
NAME, SECRET = "raw", "/srv/secret"
RAW = f"{VMS}/{NAME}/data.raw"
NOTED = f"import os; print(os.getxattr('{RAW}', 'security.edge.format').decode())"
HOSTILE = f"""
set -e
head -c 1M /dev/urandom > {SECRET} && chmod 644 {SECRET}
qemu-img create -q -f qcow2 -u -b {SECRET} -F raw /srv/evil 1M
dd if=/srv/evil of={RAW} conv=notrunc status=none
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    name = f"raw-{request.param}"
    with SmallHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def disks(host: SmallHost, size: str) -> list[dict[str, Any]]:
    data = {"name": "data", "format": "raw", "size": size, "preallocation": "falloc"}
    return [{"name": "root", "image": host.digest, "size": "1GiB"}, data]


def opened(host: SmallHost) -> set[str]:
    return set(host.run("sh", "-c", f"readlink /proc/$(cat /run/libvirt/qemu/{NAME}.pid)/fd/*").splitlines())


def test_a_guest_has_it_grown_and_never_decides_what_it_is(host: SmallHost) -> None:
    made = host.guest(NAME, disks=disks(host, "64MiB"))
    assert f"Create {RAW} (64MiB) as an empty raw disk, preallocated by falloc" in made["actions"]
    assert f"DISK vdb data {64 * MIB // 512}" in host.wait_text(NAME, READY)
    assert host.run("python3", "-c", NOTED) == "raw"
    assert int(host.run("stat", "-c", "%b", RAW)) * 512 >= 64 * MIB
    grown = host.guest(NAME, disks=disks(host, "96MiB"))
    assert grown["actions"][0] == f"Grow {RAW} to 96MiB while it is in use"
    assert str(96 * MIB) in host.run("virsh", "domblkinfo", NAME, "vdb")

    assert host.module("domain_snapshot", name=NAME, snapshot="a")["changed"]
    assert host.active(NAME, "vdb") == f"{VMS}/{NAME}/data.a.qcow2"
    assert host.module("domain_snapshot", name=NAME, snapshot="a", state="absent")["changed"]
    assert host.active(NAME, "vdb") == RAW
    assert host.guest(NAME, disks=disks(host, "96MiB"))["changed"] is False

    host.guest(NAME, state="stopped", disks=disks(host, "96MiB"))
    host.run("sh", "-c", HOSTILE)
    host.forget_console(NAME)
    host.guest(NAME, disks=disks(host, "96MiB"))
    assert f"DISK vdb data {96 * MIB // 512}" in host.wait_text(NAME, READY)
    found = opened(host)
    assert RAW in found and SECRET not in found, found

    host.guest(NAME, state="absent")
    host.forget_console(NAME)
    refused = host.guest(NAME, disks=[{"name": "data", "size": "96MiB"}], ok=False)
    assert refused["error"]["code"] == "conflict" and "Give format: raw" in refused["msg"]
    host.guest(NAME, disks=disks(host, "96MiB"))
    host.wait_text(NAME, READY)
    assert RAW in opened(host) and SECRET not in opened(host)
    host.guest(NAME, state="absent", delete_disks=True)
    assert host.run("ls", f"{VMS}/{NAME}", ok=False) == ""
