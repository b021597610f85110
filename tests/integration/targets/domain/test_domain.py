# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""domain against libvirtd and QEMU (TCG) of a lab host, with a guest that boots, takes an address and powers off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from support.small_guest import READY
from support.small_host import SmallHost
from support.vm_host import MIB, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    name = f"dom-{request.param}"
    with SmallHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def test_life_of_a_domain(host: SmallHost) -> None:
    missing = host.play([{"edge.cloud.domain": {"memory": "1GiB"}}], ok=False)[-1]
    assert "missing required arguments: name" in missing["msg"]

    planned = host.guest("life", check=True)
    assert planned["changed"] and planned["domain"]["state"] == "running"
    assert host.run("virsh", "list", "--all", "--name") == ""

    created = host.guest("life", wait_for_address=True)
    assert created["actions"] == planned["actions"]
    assert created["diff"] == planned["diff"]
    domain = created["domain"]
    assert domain["addresses"][0]["mac"] == domain["nics"][0]["mac"]
    assert domain["address"].startswith("192.168.122.")
    assert domain["disks"][0]["backing"] == f"/var/lib/edge/images/{host.digest.removeprefix('sha256:')}.qcow2"
    console = host.wait_text("life", READY)
    assert f"ADDRESS {domain['address']}" in console
    assert domain["uuid"] in console and '"local-hostname": "small"' in console
    assert f"DISK vda root {2**30 // 512}" in console

    again = host.guest("life")
    assert again["changed"] is False and again["domain"] == domain

    _change_and_restart(host)

    stopped = host.domain("life", state="stopped", timeout=300)
    assert stopped["domain"]["state"] == "stopped"
    assert host.domain("life", state="stopped")["changed"] is False

    gone = host.domain("life", state="absent")
    assert gone["actions"] == ["Undefine domain life"]
    assert host.domain("life", state="absent")["changed"] is False
    assert "root.qcow2" in host.run("ls", "/var/lib/edge/vms/life")
    emptied = host.domain("life", state="absent", delete_disks=True)
    assert emptied["diff"]["after"] == {}
    assert "life" not in host.run("ls", "/var/lib/edge/vms").split()


def _change_and_restart(host: SmallHost) -> None:
    pending = host.domain("life", memory="192MiB", vcpus=2)
    assert pending["actions"] == ["Redefine domain life: memory, vcpus, max_memory, max_vcpus"]
    assert pending["diff"]["before"] == {
        "memory": 128 * MIB,
        "max_memory": 128 * MIB,
        "vcpus": 1,
        "max_vcpus": 1,
        "pending_restart": [],
    }
    assert pending["diff"]["after"] == {
        "memory": 192 * MIB,
        "max_memory": 192 * MIB,
        "vcpus": 2,
        "max_vcpus": 2,
        "pending_restart": ["memory", "vcpus", "max_memory", "max_vcpus"],
    }
    assert host.domain("life", memory="192MiB", vcpus=2)["changed"] is False

    host.forget_console("life")
    restarted = host.domain("life", allow_restart=True, timeout=300)
    assert restarted["actions"] == ["Shut down domain life", "Start domain life"]
    assert restarted["domain"]["pending_restart"] == []
    assert "CPUS 2" in host.wait_text("life", READY)
    assert host.domain("life", allow_restart=True)["changed"] is False
    (found,) = host.play([{"edge.cloud.domain_info": {"name": "life"}}])[-1]["domains"]
    assert found["managed"] is True and found["address"].startswith("192.168.122.")
    assert found["statistics"]["memory"] <= 192 * MIB and found["statistics"]["disks"]["vda"]["reads"] >= 0


PLACED: dict[str, Any] = {
    "memory": "192MiB",
    "vcpus": 2,
    "numa": [{"cpus": "0", "memory": "128MiB"}, {"cpus": "1", "memory": "64MiB"}],
    "emulator_pinning": "0",
    "boot_order": ["data", "nic0"],
    "xml_override": "<domain><title>said by hand</title></domain>",
}
PINNED = {"vcpu_pinning": ["0", "0-1"], "nics": [{"network": "default", "inbound": "1MiB", "outbound": "2MiB"}]}
FREE = {"vcpu_pinning": [], "nics": [{"network": "default", "inbound": "0", "outbound": "0"}]}


@pytest.mark.slow
def test_placement_limits_and_what_no_option_says(host: SmallHost) -> None:
    """What libvirt keeps of them, and what QEMU does, as far as it can: an emulated CPU is not pinned, a kernel may not shape."""
    root = {"name": "root", "image": host.digest, "size": "1GiB", "limits": {"total_bytes": "10MiB"}}
    disks = [root, {"name": "data", "size": "64MiB", "limits": {"write_iops": 500}}]
    network = {"version": 2, "ethernets": {"eth0": {"addresses": ["192.0.2.17/24"]}}}
    options = {**PLACED, "disks": disks, "cloud_init": {"network_config": network}}
    _kept_by_libvirt(host, {**options, **PINNED, "state": "stopped"})
    _done_by_qemu(host, {**options, **FREE})
    plain = {"xml_override": "", "numa": [], "emulator_pinning": ""}
    host.guest("placed", **{**options, **FREE, **plain, "state": "stopped", "force_stop": True, "timeout": 1})
    xml = ElementTree.fromstring(host.run("virsh", "dumpxml", "--inactive", "placed"))
    assert [xml.find(path) for path in ("title", "cpu/numa", "cputune/emulatorpin", "devices/interface/bandwidth")] == [None] * 4
    host.domain("placed", state="absent", delete_disks=True)


def _kept_by_libvirt(host: SmallHost, options: dict[str, Any]) -> None:
    kept = host.guest("placed", **options)
    xml = ElementTree.fromstring(host.run("virsh", "dumpxml", "--inactive", "placed"))
    pins = {pin.get("vcpu"): pin.get("cpuset") for pin in xml.iterfind("cputune/vcpupin")}
    cells = [(cell.get("cpus"), cell.get("memory"), cell.get("unit")) for cell in xml.iterfind("cpu/numa/cell")]
    assert pins == {"0": "0", "1": "0-1"}
    assert cells == [("0", "131072", "KiB"), ("1", "65536", "KiB")]
    assert [xml.find(f"devices/interface/bandwidth/{way}").get("average") for way in ("inbound", "outbound")] == ["1024", "2048"]
    orders = [(device.tag, device.find("boot").get("order")) for device in xml.iterfind("devices/*[boot]")]
    assert orders == [("disk", "1"), ("interface", "2")]
    assert xml.find("devices/disk[boot]/target").get("dev") == "vdb"
    assert xml.findtext("title") == "said by hand"
    again = host.guest("placed", **options)
    assert (again["changed"], again["domain"]) == (False, kept["domain"])
    assert host.run("grep", "-ac", "192.0.2.17", f"{VMS}/placed/seed.iso") == "1"


def _done_by_qemu(host: SmallHost, options: dict[str, Any]) -> None:
    """QEMU itself is asked: the guest need not boot on CPUs that an emulator gives it where its own threads are pinned."""
    host.guest("placed", **options)
    nodes = host.run("virsh", "qemu-monitor-command", "--hmp", "placed", "info numa")
    assert re.findall(r"^node \d (?:cpus|size): (.+?)\s*$", nodes, re.MULTILINE) == ["0", "128 MB", "1", "64 MB"]
    tuned = {disk: host.run("virsh", "blkdeviotune", "placed", disk) for disk in ("vda", "vdb")}
    limits = {disk: dict(re.findall(r"^(\w+) *: (\d+)$", answer, re.MULTILINE)) for disk, answer in tuned.items()}
    assert limits["vda"]["total_bytes_sec"] == str(10 * MIB) and limits["vdb"]["write_iops_sec"] == "500"
    assert limits["vdb"]["total_bytes_sec"] == limits["vda"]["write_iops_sec"] == "0"
    assert host.run("virsh", "emulatorpin", "placed").splitlines()[-1].split()[-1] == "0"
    process = host.run("cat", "/run/libvirt/qemu/placed.pid")
    assert host.run("taskset", "-cp", process).endswith(": 0")
    assert host.run("sh", "-c", f"tr '\\0' ' ' < /proc/{process}/cmdline").count("-numa node") == 2
    again = host.guest("placed", **options)
    assert (again["changed"], again["domain"]["pending_restart"]) == (False, [])


@pytest.mark.slow
def test_a_disk_grows_under_a_running_guest_and_a_restart_of_libvirtd_changes_nothing(host: SmallHost) -> None:
    host.guest("grow")
    host.wait_text("grow", READY)
    host.run("systemctl", "restart", "libvirtd")
    grown = host.domain("grow", disks=[{"name": "root", "size": "2GiB"}])
    assert grown["actions"] == ["Grow /var/lib/edge/vms/grow/root.qcow2 to 2GiB while it is in use", "Redefine domain grow"]
    assert host.domain("grow", disks=[{"name": "root", "size": "2GiB"}])["changed"] is False
    seen = json.loads(host.run("qemu-img", "info", "-U", "--output=json", "/var/lib/edge/vms/grow/root.qcow2"))
    assert seen["virtual-size"] == 2 * 2**30
    refused = host.domain("grow", disks=[{"name": "root", "size": "1GiB"}], ok=False)
    assert refused["msg"].startswith("disks[0].size: ") and "never shrinks" in refused["msg"]
    host.domain("grow", state="absent", delete_disks=True, timeout=300)


@pytest.mark.slow
def test_a_guest_whose_qemu_dies_is_not_waited_for(host: SmallHost) -> None:
    """The error has the last words of QEMU."""
    kill = 'until [ "$(virsh domstate dies)" = running ]; do sleep 0.2; done; kill -ABRT "$(cat /run/libvirt/qemu/dies.pid)"'
    host.run("sh", "-c", f"({kill}) > /dev/null 2>&1 &")
    deaf: dict[str, Any] = {"virt_type": "qemu", "memory": "64MiB", "nics": [{"network": "default"}], "timeout": 3600}
    failed = host.domain("dies", **deaf, disks=[{"name": "root", "size": "64MiB"}], wait_for_address=True, ok=False)
    assert failed["msg"].startswith("wait_for_address: domain dies ended, as its QEMU died (the log of QEMU ends with:\n")
    assert "reason=crashed\n)" in failed["msg"]
    host.domain("dies", state="absent", delete_disks=True)


@pytest.mark.slow
def test_a_guest_that_does_not_listen_is_only_powered_off_by_option(host: SmallHost) -> None:
    host.domain("deaf", virt_type="qemu", memory="64MiB", disks=[{"name": "root", "size": "64MiB"}])
    refused = host.domain("deaf", state="stopped", timeout=3, ok=False)
    assert refused["error"]["code"] == "timed_out" and "force_stop" in refused["msg"]
    stopped = host.domain("deaf", state="stopped", timeout=3, force_stop=True)
    assert stopped["domain"]["state"] == "stopped"
    host.domain("deaf", state="absent", delete_disks=True)


@pytest.mark.slow
def test_what_others_added_stays_and_what_others_made_is_not_touched(host: SmallHost) -> None:
    host.guest("shared", state="stopped")
    host.run("virsh", "attach-disk", "shared", "/var/lib/edge/boot/initrd.gz", "vdb", "--config", "--mode", "readonly")
    host.run("virsh", "desc", "shared", "--config", "a note of others")
    changed = host.guest("shared", state="stopped", memory="160MiB")
    assert changed["actions"] == ["Redefine domain shared: memory, max_memory"]
    xml = host.run("virsh", "dumpxml", "--inactive", "shared")
    assert "a note of others" in xml and "/var/lib/edge/boot/initrd.gz'/>" in xml and "<target dev='vdb'" in xml
    taken = [{"name": "root"}, {"name": "data", "size": "1GiB", "target": "vdb"}]
    clash = host.domain("shared", state="stopped", disks=taken, ok=False)
    assert clash["msg"].startswith("disks[1].target: vdb is used by a disk that is not ours")

    host.run("sh", "-c", "virsh dumpxml --inactive shared | sed -e 's/<name>shared/<name>foreign/' -e '/<uuid>/d' "
             "-e '/<edge:spec/d' -e '/mac address/d' > /root/foreign.xml && virsh define /root/foreign.xml")  # fmt: skip
    for options in ({"memory": "64MiB"}, {"state": "absent"}):
        refused = host.domain("foreign", **options, ok=False)
        assert refused["error"]["code"] == "conflict" and "adopt" in refused["msg"]
    adopted = host.domain("foreign", state="stopped", adopt=True)
    assert adopted["domain"]["managed"] is True
    assert host.domain("foreign", state="stopped")["changed"] is False
    for name in ("foreign", "shared"):
        host.domain(name, state="absent")


def test_bad_input_is_found_before_any_change(host: SmallHost) -> None:
    unknown = "sha256:" + "0" * 64
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"disks": [{"name": "root", "image": unknown}]}, "disks[0].image: ", "replica_image"),
        ({"disks": [{"name": "root", "image": host.digest, "size": "32MiB"}]}, "disks[0].size: ", "64MiB"),
        ({"disks": [{"name": "a", "path": "/nowhere.qcow2"}]}, "disks[0].path: ", "/nowhere.qcow2"),
        ({"disks": [{"name": name, "size": "1G", "target": "vda"} for name in ("a", "b")]}, "disks[1].target: ", "vda"),
        ({"memory": "64TiB"}, "memory: ", "64TiB"),
        ({"memory": "512"}, "memory: ", "unit"),
        ({"nics": [{"network": "nowhere"}]}, "nics[0].network: ", "nowhere"),
        ({"nics": [{"bridge": "br-nowhere"}]}, "nics[0].bridge: ", "br-nowhere"),
        ({"nics": [{"network": "default", "mac": "01:00:5e:00:00:01"}]}, "nics[0].mac: ", "unicast"),
        ({"cpu": {"mode": "custom", "model": "Z80"}}, "cpu.model: ", "Z80"),
        ({"kernel": "/nowhere"}, "kernel: ", "/nowhere"),
        ({"cloud_init": {"user_data": "echo"}}, "cloud_init.user_data: ", "#cloud-config"),
    ]
    common = {"name": "bad", "virt_type": "qemu"}
    tasks = [{"edge.cloud.domain": {**common, **options}, "ignore_errors": True} for options, _any, _any in cases]
    for (_any, begin, has), result in zip(cases, host.play(tasks), strict=True):
        assert result["failed"] and result["msg"].startswith(begin), result["msg"]
        assert has in result["msg"]
    assert "bad" not in host.run("virsh", "list", "--all", "--name").split()
    assert "bad" not in host.run("sh", "-c", "ls /var/lib/edge/vms || true").split()
