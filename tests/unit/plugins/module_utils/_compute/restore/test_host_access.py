# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery point may be forged: a VM restored from it reaches no more of the host than before, unless a user says so."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Cpu,
    Disk,
    DomainSpec,
    Filesystem,
    NetworkSource,
    Nic,
    Record,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.host_access import check_host_access
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit
from ansible_collections.edge.cloud.plugins.module_utils._errors import Refused
from ansible_collections.edge.cloud.plugins.module_utils._generation import Generation, Vm

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
POINT = Generation(Vm("web", UUID), 0, 41, "2026-01-01T00:00:00Z", True, False, {}, {}, ())
OVERRIDE = "<domain><devices><graphics type='vnc' passwd='{}'/></devices></domain>"
SECRET = Disk("data", "/etc/shadow", "raw", "vdb", "virtio")
REACHED: list[tuple[dict[str, Any], str]] = [
    ({"xml_override": OVERRIDE.format("edge-secret-1")}, "whatever its xml_override names"),
    ({"filesystems": (Filesystem("etc", "/etc"),)}, "the folder /etc"),
    ({"pci_devices": ("0000:01:00.0",)}, "the PCI device 0000:01:00.0"),
    ({"nics": (Nic("vf", "52:54:00:00:00:01", hostdev="0000:02:00.1"),)}, "the PCI device 0000:02:00.1"),
    ({"disks": (SECRET,)}, "the disk data, which is /etc/shadow"),
    ({"disks": (replace(SECRET, read_only=True, device="cdrom"),)}, "the disk data, which is /etc/shadow"),
    (
        {"disks": (Disk("far", "", "raw", "vdb", "virtio", source=NetworkSource("nbd", "x", ("192.0.2.1:10809",))),)},
        "the disk far, which is nbd:x at 192.0.2.1:10809",
    ),
]


def vm(**options: Any) -> DomainSpec:
    return DomainSpec("web", UUID, "qemu", "x86_64", "pc-q35-7.2", 2**25, 1, Cpu("custom", "qemu64"), **options)


@pytest.mark.parametrize(("options", "named"), REACHED)
def test_what_the_vm_does_not_have_here_takes_a_word(options: dict[str, Any], named: str) -> None:
    for own in (None, emit(vm(), Record(vm()))):
        with pytest.raises(Refused, match=r"^generation: 0\.41 of the VM web says .* set allow_host_access to true") as found:
            check_host_access(vm(**options), POINT, own, False)
        assert found.value.details["reached"] == [named]
    check_host_access(vm(**options), POINT, None, True)


@pytest.mark.parametrize("options", [options for options, _named in REACHED])
def test_what_the_vm_has_here_already_is_believed(options: dict[str, Any]) -> None:
    has = vm(**options)
    check_host_access(has, POINT, emit(has, Record(has)), False)


def test_an_override_with_another_password_is_the_same_and_one_of_another_device_is_not() -> None:
    has = vm(xml_override=OVERRIDE.format("c4n4ry"))
    own = emit(has, Record(has))
    check_host_access(vm(xml_override=OVERRIDE.format("edge-secret-1")), POINT, own, False)
    with pytest.raises(Refused):
        check_host_access(vm(xml_override=OVERRIDE.replace("vnc", "spice").format("x")), POINT, own, False)


def test_what_can_be_no_secret_needs_no_word() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101
        image = Path(folder, "debian.iso")
        image.touch(mode=0o644)
        drive = Disk("cd", str(image), "raw", "sda", "sata", read_only=True, device="cdrom")
        gone = replace(SECRET, path=f"{folder}/none")
        check_host_access(vm(disks=(drive, replace(drive, name="empty", path="", target="sdb"), gone)), POINT, None, False)
        image.chmod(0o640)
        with pytest.raises(Refused, match=r"the disk cd, which is .*/debian.iso"):
            check_host_access(vm(disks=(drive,)), POINT, None, False)
