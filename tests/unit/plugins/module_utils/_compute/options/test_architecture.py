# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest has by its architecture, from the options to the XML."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.hardware import check_hardware
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.host import check_wanted
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, DomainSpec
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import ResolvedDomain, resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, Unsupported
from support.compute import host

ARM: dict[str, Any] = {"arch": "aarch64", "machines": {"virt": "virt-7.2"}, "arches": ("aarch64", "x86_64")}


def made(options: dict[str, Any], before: DomainSpec | None = None, **facts: Any) -> DomainSpec:
    return resolve(read_options({"name": "web", **options}), before, (), host(**facts)).spec


def devices(spec: DomainSpec, base: DomainSpec | None = None) -> Element:
    root = emit(spec, base=emit(base) if base else None)
    assert parse(root).spec == spec
    return root


def inputs(root: Element) -> list[str | None]:
    return [one.get("type") for one in root.iterfind("devices/input[@bus='usb']")]


def test_aarch64_boots_by_uefi_and_has_acpi() -> None:
    spec = made({}, **ARM)
    assert (spec.machine, spec.firmware, spec.cpu) == ("virt-7.2", "uefi", Cpu("host-passthrough"))
    root = devices(spec)
    assert [one.tag for one in root.iterfind("features/*")] == ["acpi"]
    assert root.find("devices/video") is None and inputs(root) == []


def test_a_kernel_of_the_host_needs_no_firmware_and_has_no_acpi_then() -> None:
    spec = made({"kernel": "/k"}, **ARM)
    assert spec.firmware == "bios"
    assert devices(spec).findall("features/*") == []
    with pytest.raises(InvalidInput, match=r"^firmware: a machine of aarch64 has no BIOS"):
        made({"firmware": "bios"}, **ARM)
    assert made({"kernel": ""}, spec, **ARM).firmware == "bios"


@pytest.mark.parametrize("display", [{"vnc": True}, {"spice": "loopback"}])
def test_a_display_of_aarch64_is_virtio_with_usb_input(display: dict[str, Any]) -> None:
    spec = made(display, **ARM)
    root = devices(spec)
    assert [one.get("type") for one in root.iterfind("devices/video/model")] == ["virtio"]
    assert [one.get("model") for one in root.iterfind("devices/controller[@type='usb']")] == ["qemu-xhci"]
    assert inputs(root) == ["tablet", "keyboard"]
    later = made(display, made({}, **ARM), **ARM)
    assert inputs(devices(later, made({}, **ARM))) == ["tablet", "keyboard"]
    assert made({}, later, **ARM) == later
    bare = made({"tablet": False, "keyboard": False, "usb": False}, later, **ARM)
    assert inputs(devices(bare, later)) == []
    assert made(display, bare, **ARM) == bare


def test_x86_keeps_vga_and_no_usb_unless_asked() -> None:
    spec = made({"vnc": True})
    root = devices(spec)
    assert [one.get("type") for one in root.iterfind("devices/video/model")] == ["vga"]
    assert [one.get("model") for one in root.iterfind("devices/controller[@type='usb']")] == ["none"] and inputs(root) == []
    asked = made({"tablet": True, "video": "virtio"}, spec)
    root = devices(asked, spec)
    assert inputs(root) == ["tablet"] and asked.usb
    assert [one.get("type") for one in root.iterfind("devices/video/model")] == ["virtio"]
    assert devices(made({"video": "vga"}, asked), asked).find("devices/video/model[@type='vga']") is not None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tablet": True, "usb": False}, "tablet: it needs usb"),
        ({"keyboard": True, "usb": False}, "keyboard: it needs usb"),
        ({"video": "virtio"}, "video: the guest has no display"),
    ],
)
def test_what_needs_another_option_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{says}"):
        made(options)


def test_a_cd_of_aarch64_is_on_scsi_and_its_tpm_is_of_its_own_kind() -> None:
    spec = made({"disks": [{"name": "cd", "device": "cdrom"}], "tpm": True}, **ARM)
    assert spec.disks[0].bus == "scsi"
    assert [one.get("model") for one in devices(spec).iterfind("devices/tpm")] == ["tpm-tis"]


def test_what_the_host_has_not_for_the_architecture_is_named() -> None:
    spec = made({}, **ARM)
    facts = host(**{**ARM, "lacks": frozenset({"firmware"})})
    with pytest.raises(Unsupported, match=r"^firmware: .*qemu-efi-aarch64"):
        check_hardware(spec, None, facts)
    with pytest.raises(
        Unsupported, match=r"^arch: .* no emulator of aarch64 \(there: x86_64\); install it \(Debian: qemu-system-arm\)"
    ):
        check_wanted(ResolvedDomain(spec), VmState("web"), host(arches=("x86_64",)), read_options({"name": "web"}))
