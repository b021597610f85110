# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""domain against libvirtd and QEMU (TCG) of a lab host, with a guest that boots, takes an address and powers off."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.digest import describe
from ansible_collections.edge.cloud.plugins.module_utils._storage.manifest import Manifest
from support.playbook import play
from support.small_guest import CMDLINE, READY, small_guest

pytestmark = [pytest.mark.integration, pytest.mark.lab]
LAB = Path(__file__).parents[3] / "lab" / "lab.py"
MIB = 2**20
GUEST = {
    "virt_type": "qemu",
    "memory": "128MiB",
    "vcpus": 1,
    "kernel": "/var/lib/edge/boot/vmlinuz",
    "initrd": "/var/lib/edge/boot/initrd.gz",
    "cmdline": CMDLINE,
    "nics": [{"network": "default"}],
    "cloud_init": {"user_data": {"packages": []}, "hostname": "small"},
    "timeout": 90,
}


def lab(*words: str, ok: bool = True) -> str:
    done = subprocess.run([sys.executable, str(LAB), *words], capture_output=True, text=True, check=False)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout.strip()


class Host:
    """A lab host with libvirtd; ``domain`` runs the module there and returns its result."""

    def __init__(self, name: str, inventory: str, digest: str) -> None:
        self.name = name
        self.digest = digest
        self.play = partial(play, inventory=inventory, hosts=name)

    def run(self, *argv: str, ok: bool = True) -> str:
        return lab("exec", self.name, "--", *argv, ok=ok)

    def domain(self, name: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        return self.play([{"edge.cloud.domain": {"name": name, **options}}], check=check, ok=ok)[-1]

    def guest(self, name: str, **options: Any) -> dict[str, Any]:
        return self.domain(name, **{**GUEST, "disks": [{"name": "root", "image": self.digest, "size": "1GiB"}], **options})

    def console(self, name: str, text: str, seconds: float = 90) -> str:
        """Return the console once it has ``text`` after the last start."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self.run("cat", f"/var/lib/edge/vms/{name}/console.log", ok=False)
            if text in said:
                return said
            time.sleep(1)  # between looks at a file of another host
        raise AssertionError(f"{text!r} is not on the console of {name}:\n{said}")

    def forget_console(self, name: str) -> None:
        self.run("truncate", "-s", "0", f"/var/lib/edge/vms/{name}/console.log")


def image(folder: Path) -> tuple[Path, Path, str]:
    """Return an image of 64 MiB, its manifest and its digest."""
    made = folder / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", made, "64M"], check=True)
    found = describe(made)
    about = Manifest(
        digest=found.digest,
        size=found.size,
        virtual_size=64 * MIB,
        piece_size=found.piece_size,
        pieces=found.pieces,
        checkpoints=found.checkpoints,
        name="small",
        version="1",
        created="2026-01-01T00:00:00Z",
    )
    path = folder / "image.json"
    path.write_bytes(about.to_json())
    return made, path, found.digest


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    name = f"dom-{request.param}"
    folder = tmp_path_factory.mktemp(name)
    lab("down", name, ok=False)
    lab("up", "--name", name, "--variant", "full", "--release", request.param)
    inventory = folder / "hosts.yml"
    inventory.write_text(lab("inventory"))
    made, about, digest = image(folder)
    lab("exec", name, "--", "mkdir", "-p", "/var/lib/edge/boot", "/var/lib/edge/images")
    for path, target in zip(small_guest(), ("vmlinuz", "initrd.gz"), strict=True):
        lab("push", name, str(path), f"/var/lib/edge/boot/{target}")
    for path in (made, about):
        lab("push", name, str(path), f"/var/lib/edge/images/{digest.removeprefix('sha256:')}{path.suffix}")
    lab("exec", name, "--", "virsh", "net-start", "default")
    yield Host(name, str(inventory), digest)
    lab("down", name)


def test_life_of_a_domain(host: Host) -> None:
    missing = host.play([{"edge.cloud.domain": {"memory": "1GiB"}}], ok=False)[-1]
    assert "missing required arguments: name" in missing["msg"]

    planned = host.guest("life", check=True)
    assert planned["changed"] and planned["domain"]["state"] == "running"
    assert host.run("virsh", "list", "--all", "--name") == ""

    created = host.guest("life", wait_address=True)
    assert created["actions"] == planned["actions"]
    assert created["diff"] == planned["diff"]
    domain = created["domain"]
    assert domain["addresses"][0]["mac"] == domain["nics"][0]["mac"]
    assert domain["address"].startswith("192.168.122.")
    assert domain["disks"][0]["backing"] == f"/var/lib/edge/images/{host.digest.removeprefix('sha256:')}.qcow2"
    console = host.console("life", READY)
    assert f"ADDRESS {domain['address']}" in console
    assert domain["uuid"] in console and '"local-hostname": "small"' in console
    assert f"DISK vda root {2**30 // 512}" in console

    again = host.guest("life")
    assert again["changed"] is False and again["domain"] == domain

    _change_and_restart(host)

    stopped = host.domain("life", state="stopped", timeout=60)
    assert stopped["domain"]["state"] == "stopped"
    assert host.domain("life", state="stopped")["changed"] is False

    gone = host.domain("life", state="absent")
    assert gone["actions"] == ["Undefine domain life"]
    assert host.domain("life", state="absent")["changed"] is False
    assert "root.qcow2" in host.run("ls", "/var/lib/edge/vms/life")
    emptied = host.domain("life", state="absent", delete_disks=True)
    assert emptied["diff"]["after"] == {}
    assert "life" not in host.run("ls", "/var/lib/edge/vms").split()


def _change_and_restart(host: Host) -> None:
    pending = host.domain("life", memory="192MiB", vcpus=2)
    assert pending["actions"] == ["Redefine domain life"]
    assert pending["diff"]["before"] == {"memory": 128 * MIB, "vcpus": 1, "pending_restart": []}
    assert pending["diff"]["after"] == {"memory": 192 * MIB, "vcpus": 2, "pending_restart": ["memory", "vcpus"]}
    assert host.domain("life", memory="192MiB", vcpus=2)["changed"] is False

    host.forget_console("life")
    restarted = host.domain("life", allow_restart=True, timeout=60)
    assert restarted["actions"] == ["Shut down domain life", "Start domain life"]
    assert restarted["domain"]["pending_restart"] == []
    assert "CPUS 2" in host.console("life", READY)
    assert host.domain("life", allow_restart=True)["changed"] is False
    (found,) = host.play([{"edge.cloud.domain_info": {"name": "life"}}])[-1]["domains"]
    assert found["managed"] is True and found["address"].startswith("192.168.122.")
    assert found["statistics"]["memory"] <= 192 * MIB and found["statistics"]["disks"]["vda"]["reads"] >= 0


def test_a_disk_grows_under_a_running_guest_and_a_restart_of_libvirtd_changes_nothing(host: Host) -> None:
    host.guest("grow")
    host.console("grow", READY)
    host.run("systemctl", "restart", "libvirtd")
    grown = host.domain("grow", disks=[{"name": "root", "size": "2GiB"}])
    assert grown["actions"] == ["Grow /var/lib/edge/vms/grow/root.qcow2 to 2GiB while it is in use", "Redefine domain grow"]
    assert host.domain("grow", disks=[{"name": "root", "size": "2GiB"}])["changed"] is False
    seen = json.loads(host.run("qemu-img", "info", "-U", "--output=json", "/var/lib/edge/vms/grow/root.qcow2"))
    assert seen["virtual-size"] == 2 * 2**30
    refused = host.domain("grow", disks=[{"name": "root", "size": "1GiB"}], ok=False)
    assert refused["msg"].startswith("disks[0].size: ") and "never shrinks" in refused["msg"]
    host.domain("grow", state="absent", delete_disks=True, timeout=60)


def test_a_guest_that_does_not_listen_is_only_powered_off_by_option(host: Host) -> None:
    host.domain("deaf", virt_type="qemu", memory="64MiB", disks=[{"name": "root", "size": "64MiB"}])
    refused = host.domain("deaf", state="stopped", timeout=3, ok=False)
    assert refused["error"]["code"] == "timed_out" and "force_stop" in refused["msg"]
    stopped = host.domain("deaf", state="stopped", timeout=3, force_stop=True)
    assert stopped["domain"]["state"] == "stopped"
    host.domain("deaf", state="absent", delete_disks=True)


def test_what_others_added_stays_and_what_others_made_is_not_touched(host: Host) -> None:
    host.guest("shared", state="stopped")
    host.run("virsh", "attach-disk", "shared", "/var/lib/edge/boot/initrd.gz", "vdb", "--config", "--mode", "readonly")
    host.run("virsh", "desc", "shared", "--config", "a note of somebody")
    changed = host.guest("shared", state="stopped", memory="160MiB")
    assert changed["actions"] == ["Redefine domain shared"]
    xml = host.run("virsh", "dumpxml", "--inactive", "shared")
    assert "a note of somebody" in xml and "/var/lib/edge/boot/initrd.gz'/>" in xml and "<target dev='vdb'" in xml
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


def test_bad_input_is_found_before_any_change(host: Host) -> None:
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
