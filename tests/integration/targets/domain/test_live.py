# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running guest takes changes at once, seen in libvirt's live XML and by the guest itself, and gives them back.

Bandwidth is not in here: libvirt makes it of sfq and police, which the kernel of a lab machine may lack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.small_guest import READY
from support.small_host import SmallHost
from support.stream_guest import wait_for
from support.vm_host import MIB

pytestmark = [pytest.mark.integration, pytest.mark.lab]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    with SmallHost.up("dom-live", "trixie", tmp_path_factory.mktemp("dom-live")) as found:
        yield found


def live_xml(host: SmallHost, name: str, inactive: bool = False) -> ET.Element:
    return ET.fromstring(host.run("virsh", "dumpxml", name, *(["--inactive"] if inactive else [])))


def device(root: ET.Element, alias: str) -> ET.Element | None:
    return next((one for one in root.iterfind("devices/*") if one.find(f"alias[@name='ua-edge-{alias}']") is not None), None)


def sees(host: SmallHost, name: str, pattern: str) -> None:
    """Wait until the last that the guest reports to see is ``pattern``."""

    def last(text: str) -> bool:
        found = re.findall(r"SEES (.*)", text)
        return bool(found) and re.search(pattern, found[-1]) is not None

    wait_for(lambda: host.console(name), last, pattern)


ROOT = {"name": "root"}
DATA = {"name": "data", "size": "96MiB", "limits": {"total_iops": 500, "write_bytes": "4MiB"}}
NIC = {"network": "default"}
MORE: dict[str, Any] = {
    "vcpus": 2,
    "memory": "192MiB",
    "disks": [ROOT, DATA],
    "nics": [NIC, {"name": "second", "network": "default"}],
}


def test_a_running_guest_grows_and_shrinks(host: SmallHost) -> None:
    host.guest("grows", max_vcpus=3, max_memory="256MiB")
    host.wait_text("grows", READY)
    sees(host, "grows", "cpus=1 disks=vda vdb nics=eth0 ")

    planned = host.domain("grows", check=True, timeout=300, **MORE)
    grown = host.domain("grows", timeout=300, **MORE)
    assert (
        grown["actions"]
        == planned["actions"]
        == [
            "Create /var/lib/edge/vms/grows/data.qcow2 (96MiB) as an empty disk",
            "Redefine domain grows: memory, vcpus, disks.data (new), nics.second (new)",
            "Attach disk data to running domain grows as vdb",
            "Attach interface second to running domain grows",
            "Give running domain grows 2 vCPUs",
            "Set the memory of running domain grows to 192MiB",
        ]
    )
    assert grown["domain"]["pending_restart"] == planned["domain"]["pending_restart"] == []
    assert host.domain("grows", timeout=300, **MORE)["changed"] is False
    sees(host, "grows", "cpus=2 disks=vda vdb vdc nics=eth0 eth1 memory=1[0-9][0-9]$")
    root, config = live_xml(host, "grows"), live_xml(host, "grows", inactive=True)
    assert root.find("vcpu").attrib["current"] == "2"  # type: ignore[union-attr]
    assert root.findtext("currentMemory") == str(192 * 1024)
    for alias in ("disk-data", "nic-second"):
        now, then = device(root, alias), device(config, alias)
        assert now is not None and then is not None
        assert now.find("address").attrib == then.find("address").attrib, "a restart would move it"  # type: ignore[union-attr]
    disk, nic = device(root, "disk-data"), device(root, "nic-second")
    assert disk is not None and nic is not None
    assert (disk.findtext("iotune/total_iops_sec"), disk.findtext("iotune/write_bytes_sec")) == ("500", str(4 * MIB))

    _change_in_place(host)

    less: dict[str, Any] = {"memory": "128MiB", "disks": [ROOT], "nics": [NIC], "timeout": 300}
    shrunk = host.domain("grows", **less)
    assert shrunk["actions"] == [
        "Redefine domain grows: memory, disks.data (removed), nics.second (removed)",
        "Detach disk data (vdb) from running domain grows",
        "Detach interface second from running domain grows",
        "Set the memory of running domain grows to 128MiB",
    ]
    assert host.domain("grows", **less)["changed"] is False
    sees(host, "grows", "cpus=2 disks=vda vdb nics=eth0 ")
    assert device(live_xml(host, "grows"), "disk-data") is None
    assert "data.qcow2" in host.run("ls", "/var/lib/edge/vms/grows")


def _change_in_place(host: SmallHost) -> None:
    """Limits, link and network of what is attached; a disk that grows; what waits for a restart."""
    options: dict[str, Any] = {
        "disks": [ROOT, {**DATA, "size": "128MiB", "limits": {"read_iops": 100}}],
        "nics": [NIC, {"name": "second", "network": "default", "link": False}],
        "timeout": 300,
    }
    changed = host.domain("grows", **options)
    assert changed["actions"] == [
        "Grow /var/lib/edge/vms/grows/data.qcow2 to 128MiB while it is in use",
        "Redefine domain grows: disks.data.limits, nics.second.link",
        "Set the limits of disk data of running domain grows",
        "Change interface second of running domain grows",
    ]
    assert changed["domain"]["pending_restart"] == []
    assert host.domain("grows", **options)["changed"] is False
    root = live_xml(host, "grows")
    disk, nic = device(root, "disk-data"), device(root, "nic-second")
    assert disk is not None and nic is not None
    assert [one.tag for one in disk.findall("iotune/*")] == ["read_iops_sec"]
    assert nic.find("link").attrib == {"state": "down"}  # type: ignore[union-attr]
    waits = host.domain("grows", cmdline="console=ttyS0 quiet panic=1", timeout=300)
    assert waits["domain"]["pending_restart"] == ["cmdline"]


def test_paused_saved_and_back(host: SmallHost) -> None:
    for state in ("paused", "saved"):
        refused = host.guest("halts", state=state, ok=False)
        assert refused["error"]["code"] == "refused" and refused["msg"].startswith("state: domain halts is absent")
    host.guest("halts", max_memory="160MiB")
    host.wait_text("halts", READY)
    begun = host.run("virsh", "qemu-monitor-command", "halts", "--hmp", "info uuid")
    for state, action in (("paused", "Pause domain halts"), ("saved", "Save domain halts")):
        assert host.domain("halts", state=state)["actions"] == [action]
        again = host.domain("halts", state=state)
        assert again["changed"] is False and again["domain"]["state"] == state
    assert host.run("virsh", "domstate", "halts") == "shut off"
    refused = host.domain("halts", state="saved", disks=[{"name": "root", "size": "2GiB"}], ok=False)
    assert refused["error"]["code"] == "refused" and "cannot grow" in refused["msg"]

    waits = host.domain("halts", state="saved", memory="160MiB")
    assert waits["actions"] == ["Redefine domain halts: memory"] and waits["domain"]["pending_restart"] == ["memory"]
    back = host.domain("halts", state="paused")
    assert back["actions"] == ["Restore domain halts from its saved state and leave it paused"]
    assert host.run("virsh", "domstate", "halts") == "paused"
    on = host.domain("halts", timeout=300)
    assert on["actions"] == ["Resume domain halts", "Set the memory of running domain halts to 160MiB"]
    assert host.domain("halts")["changed"] is False
    assert begun and host.run("cat", "/var/lib/edge/vms/halts/console.log").count(READY) == 1, "it went on and did not boot again"

    host.domain("halts", state="saved")
    stopped = host.domain("halts", state="stopped", timeout=300)
    assert stopped["actions"] == ["Restore domain halts from its saved state", "Shut down domain halts"]
    refused = host.domain("halts", state="paused", ok=False)
    assert refused["msg"].startswith("state: domain halts is stopped and cannot become paused")
