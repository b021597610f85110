# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many VMs in one task, read back in one, and as an inventory, against libvirtd and QEMU (TCG) of a lab host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from edge_lab.api import Lab, LabHost, unusable
from support.images import datastore, qemu_img
from support.playbook import TREE, play
from support.small_guest import CMDLINE, small_guest
from support.vm_host import BOOT, MACHINE
from support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.lab]
MIB = 2**20
NAMES = ["many1", "many2", "many3", "many4"]


@dataclass(frozen=True)
class Hypervisor:
    host: LabHost
    inventory: Path
    digest: str

    def task(self, module: str, *, check: bool = False, ok: bool = True, **options: Any) -> dict[str, Any]:
        return play([{f"edge.cloud.{module}": options}], inventory=str(self.inventory), hosts=self.host.name, check=check, ok=ok)[
            -1
        ]

    def domains(self, *names: str, check: bool = False, ok: bool = True, **defaults: Any) -> dict[str, Any]:
        return self.task("domains", check=check, ok=ok, domains=[{"name": name} for name in names], defaults=defaults)

    @property
    def guest(self) -> dict[str, Any]:
        return {
            **MACHINE,
            "cmdline": CMDLINE,
            "disks": [{"name": "root", "image": self.digest, "size": "1GiB"}],
            "nics": [{"network": "default"}],
            "timeout": 300,
        }

    def uri(self) -> str:
        settings = self.host.settings
        return f"qemu+ssh://root@{self.host.address}/system?keyfile={settings.key}&no_verify=1&no_tty=1"


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def hypervisor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hypervisor]:
    if reason := unusable():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(request.param)
    qemu_img("create", "-q", "-f", "qcow2", folder / "image.qcow2", "64M")
    store, image = datastore(folder / "images", folder / "image.qcow2")
    lab, name = Lab(), f"many-{request.param}"
    (host,) = lab.up(names=[name], release=request.param, variant="full")
    host.run(["mkdir", "-p", BOOT, "/var/lib/edge/images"])
    for path, target in zip(small_guest(), ("vmlinuz", "initrd.gz"), strict=True):
        host.put(path, f"{BOOT}/{target}")
    for path in (store.image_path(image.digest), store.pieces_path(image.digest), store.manifest_path(image.digest)):
        host.put(path, f"/var/lib/edge/images/{path.name}")
    host.run(["virsh", "net-start", "default"])
    yield Hypervisor(host, lab.inventory, image.digest)
    lab.down(name)


def states(result: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in result["domains"]}


def test_many_are_made_kept_read_listed_and_removed(hypervisor: Hypervisor, tmp_path: Path) -> None:
    planned = hypervisor.domains(*NAMES, check=True, **hypervisor.guest)
    assert hypervisor.host.run(["virsh", "list", "--all", "--name"]).stdout.strip() == ""

    created = hypervisor.domains(*NAMES, wait_for_address=True, **hypervisor.guest)
    assert (created["actions"], created["diff"]) == (planned["actions"], planned["diff"])
    assert states(created) == dict.fromkeys(NAMES, "running")
    addresses = [one["address"] for one in created["domains"]]
    assert len(set(addresses)) == len(NAMES) and all(one.startswith("192.168.122.") for one in addresses)
    assert hypervisor.domains(*NAMES, **hypervisor.guest)["changed"] is False

    _read_all(hypervisor)
    _list_all(hypervisor, tmp_path, dict(zip(NAMES, addresses, strict=True)))

    kept = hypervisor.task("domains", domains=[{"name": NAMES[0]}], unlisted="absent", defaults={"force_stop": True, "timeout": 30})
    assert states(kept) == {NAMES[0]: "running", **dict.fromkeys(NAMES[1:], "absent")}
    assert hypervisor.host.run(["ls", f"/var/lib/edge/vms/{NAMES[1]}"]).stdout.split() == ["console.log", "root.qcow2"]
    hypervisor.domains(*NAMES, state="absent", delete_disks=True, timeout=300)
    assert hypervisor.host.run(["ls", "/var/lib/edge/vms"]).stdout.strip() == ""


def _read_all(hypervisor: Hypervisor) -> None:
    found = {one["name"]: one for one in hypervisor.task("domain_info")["domains"]}
    assert list(found) == NAMES
    for name, one in found.items():
        assert one["statistics"]["cpu_time"] > 0 and one["statistics"]["disks"]["vda"]["read_bytes"] >= 0
        assert [(overlay["path"], overlay["format"], overlay["size"]) for overlay in one["disks"][0]["chain"]] == [
            (f"/var/lib/edge/vms/{name}/root.qcow2", "qcow2", 1024 * MIB),
            (f"/var/lib/edge/images/{hypervisor.digest.removeprefix('sha256:')}.qcow2", "qcow2", 64 * MIB),
        ]


def _list_all(hypervisor: Hypervisor, folder: Path, addresses: dict[str, str]) -> None:
    """By ansible-inventory over ssh, with one more hypervisor that is not there."""
    source = folder / "vms.libvirt.yml"
    closed = "qemu+tcp://127.0.0.1:1/system"
    options = {"plugin": "edge.cloud.libvirt", "uris": [hypervisor.uri(), closed], "keyed_groups": [{"key": "edge_virt_type"}]}
    source.write_text(yaml.safe_dump(options))
    done = listing(source)
    assert done.returncode == 0 and closed in " ".join(done.stderr.split())
    shown = json.loads(done.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))
    found = shown["_meta"]["hostvars"]
    assert {name: values["ansible_host"] for name, values in found.items()} == addresses
    assert {values["edge_images"]["root"] for values in found.values()} == {hypervisor.digest}
    assert {values["edge_memory"] for values in found.values()} == {128 * MIB}
    place = "hypervisor_" + hypervisor.host.address.replace(".", "_")
    for group in ("state_running", place, "_qemu"):
        assert sorted(shown[group]["hosts"]) == NAMES
    source.write_text(yaml.safe_dump({**options, "unreachable": "fail"}))
    refused = listing(source, "--export")
    assert "Could not connect to libvirt" in refused.stderr


def listing(source: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(source), "--list", *more],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_that_qemu_refuses_does_not_stop_the_others_and_waits_overlap(hypervisor: Hypervisor) -> None:
    deaf = {"virt_type": "qemu", "memory": "64MiB", "disks": [{"name": "root", "size": "64MiB"}], "nics": []}
    names = [f"deaf{number}" for number in range(4)]
    items: list[dict[str, Any]] = [{"name": name} for name in names]
    hypervisor.host.run(["python3", "-c", CUT_KERNEL, f"{BOOT}/cut"])
    items[1] |= {"kernel": f"{BOOT}/cut"}
    failed = hypervisor.task("domains", ok=False, domains=items, defaults=deaf)
    assert failed["msg"].startswith("1 of 4 domains failed; the others are done.")
    assert "domains[1] (deaf1): Could not start domain deaf1" in failed["msg"]
    assert states(failed) == {**dict.fromkeys(names, "running"), "deaf1": "stopped"}
    assert failed["changed"] is True and "deaf1" in failed["diff"]["after"]
    mended = hypervisor.task("domains", domains=[*items[:1], {"name": "deaf1", "kernel": ""}, *items[2:]], defaults=deaf)
    assert mended["actions"] == ["Redefine domain deaf1: kernel", "Start domain deaf1"]

    with heard(hypervisor.host, names[0]) as events:
        gone = hypervisor.domains(*names, state="absent", delete_disks=True, timeout=10, force_stop=True)
        assert states(gone) == dict.fromkeys(names, "absent")
        until(lambda: len([what for what, _name in events() if what == "SHUTDOWN"]) == len(names), "the end of all guests")
        what, whose = zip(*events(), strict=True)
    asked = {name for name, _event in zip(whose, what[: what.index("SHUTDOWN")], strict=False)}
    assert asked == set(names), "guests that do not listen were waited for one after the other"


CUT_KERNEL = """
import sys
data = bytearray(1024)
data[0x1F1], data[0x202:0x208] = 255, b"HdrS\\x0c\\x02"  # the header of a kernel whose 255 sectors of set-up are not there
open(sys.argv[1], "wb").write(data)
"""


@contextmanager
def heard(host: LabHost, name: str) -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """Listen to QEMU: give a function that tells of the power buttons pressed and the guests ended so far, and whose they were."""
    listen = ["virsh", "qemu-monitor-event", "--loop"]
    host.run(["systemd-run", "--quiet", "--unit=heard", "--property=StandardOutput=file:/root/events", "stdbuf", "-oL", *listen])

    def events(kinds: str = "POWERDOWN|SHUTDOWN") -> list[tuple[str, str]]:
        answer = host.run(["cat", "/root/events"], check=False).stdout
        return re.findall(rf"event ({kinds}) (?:at \S+ )?for domain '?([a-z0-9]+)", answer)

    def listens() -> bool:
        """It says nothing when it begins to listen, so have something happen until it hears that."""
        host.run(["virsh", "suspend", name])
        host.run(["virsh", "resume", name])
        return bool(events("RESUME"))

    try:
        until(listens, "that it listens", every=0.5)
        yield events
    finally:
        host.run(["systemctl", "stop", "heard"], check=False)


@pytest.mark.parametrize("hypervisor", ["trixie"], indirect=True)
def test_every_error_is_reported_before_any_change(hypervisor: Hypervisor) -> None:
    wrong = [
        {"name": "fine"},
        {"name": "large", "memory": "64TiB"},
        {"name": "lost", "nics": [{"network": "nowhere"}]},
        {"name": "double", "uuid": "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f"},
        {"name": "twice", "uuid": "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f"},
    ]
    failed = hypervisor.task("domains", ok=False, domains=wrong, defaults=hypervisor.guest)
    assert failed["changed"] is False
    for text in ("domains[1] (large): memory: 64TiB", "domains[2] (lost): nics[0].network: ", "domains[4] (twice): uuid: "):
        assert text in failed["msg"]
    assert hypervisor.host.run(["virsh", "list", "--all", "--name"]).stdout.strip() == ""
