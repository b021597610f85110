# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery point may be forged: a VM restored from it reaches no more of the host than before, unless a user says so."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    SEED,
    Cpu,
    Disk,
    DomainSpec,
    Filesystem,
    NetworkSource,
    Nic,
    Record,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.host_access import Reach, check_host_access
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.model import RestoreRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, Refused
from ansible_collections.edge.cloud.plugins.module_utils._generation import Generation, Vm

HOME = "/vms/web"
UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
POINT = Generation(Vm("web", UUID), 0, 41, "2026-01-01T00:00:00Z", True, False, {}, {}, ())
OVERRIDE = "<domain><devices><graphics type='vnc' passwd='{}'/></devices></domain>"
OWN = Disk("root", f"{HOME}/root.qcow2", "qcow2", "vda", "virtio")
SECRET = Disk("data", "/etc/shadow", "raw", "vdb", "virtio")
FAR = NetworkSource("rbd", "pool/db", ("192.0.2.1:6789",), "libvirt", UUID)
REMOTE = "nbds://replica9.example:10809/" + "0123456789abcdef" * 4
REACHED: list[tuple[dict[str, Any], str]] = [
    ({"xml_override": OVERRIDE.format("edge-secret-1")}, "whatever its xml_override names"),
    ({"filesystems": (Filesystem("etc", "/etc"),)}, "the folder /etc"),
    ({"pci_devices": ("0000:01:00.0",)}, "the PCI device 0000:01:00.0"),
    ({"nics": (Nic("vf", "52:54:00:00:00:01", hostdev="0000:02:00.1"),)}, "the PCI device 0000:02:00.1"),
    ({"disks": (SECRET,)}, "the disk vdb, which is /etc/shadow, to write"),
    ({"disks": (replace(SECRET, read_only=True, device="cdrom"),)}, "the cdrom vdb, which is /etc/shadow"),
    ({"disks": (replace(SECRET, name=SEED, read_only=True),)}, "the disk vdb, which is /etc/shadow"),
    ({"disks": (replace(SECRET, path="/no/such/file"),)}, "the disk vdb, which is /no/such/file, to write"),
    ({"disks": (replace(SECRET, path=f"{HOME}/../db/root"),)}, f"the disk vdb, which is {HOME}/../db/root, to write"),
    ({"disks": (replace(SECRET, path=f"{HOME}2/root"),)}, f"the disk vdb, which is {HOME}2/root, to write"),
    ({"disks": (replace(SECRET, path="/dev/sda", block=True),)}, "the disk vdb, which is /dev/sda, to write"),
    ({"disks": (replace(SECRET, path="", source=FAR),)}, "the disk vdb, which is rbd:pool/db at 192.0.2.1, to write"),
    ({"disks": (replace(OWN, source=FAR),)}, "the disk vda, which is rbd:pool/db at 192.0.2.1, to write"),
]


def vm(**options: Any) -> DomainSpec:
    return DomainSpec("web", UUID, "qemu", "x86_64", "pc-q35-7.2", 2**25, 1, Cpu("custom", "qemu64"), **options)


def xml(spec: DomainSpec) -> Element:
    return emit(spec, Record(spec))


def check(spec: DomainSpec, own: Element | None, made: Element | None = None, *afar: str) -> None:
    check_host_access(xml(spec) if made is None else made, own, Reach(HOME, afar), POINT, spec.xml_override)


def reached(spec: DomainSpec, own: Element | None, made: Element | None = None) -> list[str]:
    with pytest.raises(Refused, match=r"^generation: 0\.41 of the VM web says .* set allow_host_access to true") as found:
        check(spec, own, made)
    named: list[str] = found.value.details["reached"]
    return named


@pytest.mark.parametrize(("options", "named"), REACHED)
def test_what_the_vm_does_not_have_here_takes_a_word(options: dict[str, Any], named: str) -> None:
    for own in (None, xml(vm())):
        assert reached(vm(**options), own) == [named]


@pytest.mark.parametrize("options", [options for options, _named in REACHED])
def test_what_the_vm_has_here_already_is_believed(options: dict[str, Any]) -> None:
    check(vm(**options), xml(vm(**options)))


def test_what_it_may_read_it_may_not_write_and_the_other_way_round_it_may() -> None:
    writable, readable = vm(disks=(SECRET,)), vm(disks=(replace(SECRET, read_only=True),))
    assert reached(writable, xml(readable)) == ["the disk vdb, which is /etc/shadow, to write"]
    check(readable, xml(writable))


def test_an_override_with_another_password_is_the_same_and_one_of_another_device_is_not() -> None:
    own = xml(vm(xml_override=OVERRIDE.format("c4n4ry")))
    check(vm(xml_override=OVERRIDE.format("edge-secret-1")), own)
    assert reached(vm(xml_override=OVERRIDE.replace("vnc", "spice").format("x")), own) == ["whatever its xml_override names"]


def test_an_image_of_another_server_than_the_users_takes_a_word() -> None:
    spec = vm(disks=(replace(OWN, remote=REMOTE),))
    assert reached(spec, None) == ["what the disk vda is laid over, nbd:" + "0123456789abcdef" * 4 + " at replica9.example"]
    check(spec, None, None, "vda")


@pytest.mark.parametrize(
    ("tag", "kind", "source", "named"),
    [
        ("hostdev", "usb", {"dev": "/dev/bus/usb/1"}, "the device hostdev usb /dev/bus/usb/1"),
        ("interface", "direct", {"dev": "eth0"}, "the device interface direct eth0"),
        ("shmem", "", {}, "the device shmem"),
        ("parallel", "dev", {"path": "/dev/parport0"}, "the device parallel dev /dev/parport0"),
        ("later", "", {}, "the device later"),
        ("serial", "file", {"path": "/etc/cron.d/x"}, "/etc/cron.d/x by its serial"),
        ("channel", "unix", {"path": "/run/docker.sock"}, "/run/docker.sock by its channel"),
        ("tpm", "", {}, "the TPM of this host by its tpm"),
    ],
)
def test_a_device_that_is_not_known_as_harmless_takes_a_word(tag: str, kind: str, source: dict[str, str], named: str) -> None:
    made = xml(vm())
    devices = made.find("devices")
    assert devices is not None
    device = SubElement(devices, tag, {"type": kind} if kind else {})
    if source:
        SubElement(device, "source", source)
    assert [one.strip().replace(" of a kind that is not known", "") for one in reached(vm(), None, made)] == [named]


def test_what_can_be_no_secret_needs_no_word() -> None:
    nics = (Nic("net", "52:54:00:00:00:01", bridge="br0"),)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101
        image = Path(folder, "debian.iso")
        image.touch(mode=0o644)
        drive = Disk("cd", str(image), "raw", "sda", "sata", read_only=True, device="cdrom")
        check(
            vm(disks=(OWN, drive, replace(drive, name="empty", path="", target="sdb")), nics=nics, console_log=f"{HOME}/log"), None
        )
        image.chmod(0o640)
        assert reached(vm(disks=(drive,)), None) == [f"the cdrom sda, which is {image}"]


def test_only_a_point_that_was_looked_at_can_be_allowed_more() -> None:
    assert RestoreRequest("web", "0.41", allow_host_access=True).generation == "0.41"
    with pytest.raises(InvalidInput, match=r"^allow_host_access: give generation too"):
        RestoreRequest("web", allow_host_access=True)
