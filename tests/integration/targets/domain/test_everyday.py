# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest starts with each everyday option and takes at once what it can; what libvirt refuses is said before a file is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.small_guest import READY
from support.small_host import SmallHost
from support.vm_host import VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    with SmallHost.up("dom-every", "trixie", tmp_path_factory.mktemp("dom-every")) as found:
        yield found


EVERYDAY: dict[str, Any] = {
    "title": "One",
    "description": "two\nlines",
    "os": "windows",
    "vnc": True,
    "video": "virtio",
    "tablet": True,
    "keyboard": True,
    "cpu": {"mode": "maximum", "features": ["-avx2", "aes"]},
}


def test_a_guest_starts_with_them(host: SmallHost) -> None:
    host.guest("one", **EVERYDAY)
    host.wait_text("one", READY)
    again = host.guest("one", **EVERYDAY)
    assert (again["changed"], again["domain"]["pending_restart"]) == (False, [])
    renamed = host.guest("one", **{**EVERYDAY, "title": "Two", "description": ""})
    assert renamed["domain"]["pending_restart"] == []
    assert host.run("virsh", "desc", "--live", "--title", "one") == "Two"
    plain = host.guest("one", **{**EVERYDAY, "os": "linux", "tablet": False, "video": "vga", "title": "Two", "description": ""})
    assert plain["domain"]["pending_restart"] == ["video", "tablet", "os"]
    host.domain("one", state="absent", delete_disks=True, force_stop=True, timeout=1)


NETWORK = "<network><name>{0}</name>{1}<bridge name='br-{0}'/><ip address='192.0.2.{2}' prefix='27'/></network>"


def test_an_interface_is_on_an_isolated_a_routed_and_an_open_network(host: SmallHost) -> None:
    forwards = {"isolated": "", "routed": "<forward mode='route'/>", "open": "<forward mode='open'/>"}
    for place, (name, forward) in enumerate(forwards.items()):
        text = NETWORK.format(name, forward, 1 + 32 * place)
        host.run("sh", "-c", f'echo "{text}" > /tmp/{name}.xml && virsh net-define /tmp/{name}.xml && virsh net-start {name}')
    options = {"nics": [{"network": name} for name in ("default", *forwards)]}
    host.guest("placed", **options)
    assert "eth0 eth1 eth2 eth3" in host.wait_text("placed", "nics=eth0 eth1 eth2 eth3")
    assert host.guest("placed", **options)["changed"] is False
    host.domain("placed", state="absent", delete_disks=True, force_stop=True, timeout=1)


def test_a_guest_is_reset_and_restarted(host: SmallHost) -> None:
    host.guest("again")
    host.wait_text("again", READY)
    number = host.run("virsh", "domid", "again")
    host.forget_console("again")
    assert host.domain("again", state="reset")["actions"] == ["Reset domain again"]
    host.wait_text("again", READY)
    assert host.run("virsh", "domid", "again") == number
    host.forget_console("again")
    restarted = host.guest("again", state="restarted", memory="160MiB")
    assert restarted["actions"] == ["Redefine domain again: memory, max_memory", "Shut down domain again", "Start domain again"]
    assert restarted["domain"]["pending_restart"] == []
    host.wait_text("again", READY)
    host.domain("again", state="absent", delete_disks=True, force_stop=True, timeout=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"xml_override": "<domain><devices><memballoon model='xen'/></devices></domain>"}, "libvirt on this host refuses domain"),
        ({"machine": "pc", "xml_override": "<domain><devices><controller type='pci' index='1' model='pcie-root-port'/></devices>"
          "</domain>"}, "libvirt on this host refuses domain odd as it was asked"),
        ({"kernel": "/etc/hostname"}, "kernel: /etc/hostname is not a kernel that QEMU can boot"),
        ({"arch": "aarch64"}, "arch: libvirt on this host finds no emulator of aarch64"),
    ],
)  # fmt: skip
def test_what_libvirt_refuses_is_said_before_anything_is_made(host: SmallHost, options: dict[str, Any], says: str) -> None:
    for check in (True, False):
        refused = host.guest("odd", check=check, ok=False, **options)
        assert refused["msg"].startswith(says), refused
    assert "odd" not in host.run("ls", VMS).split() and "odd" not in host.run("virsh", "list", "--all", "--name")


def test_an_override_replaces_what_is_ours_and_that_comes_back(host: SmallHost) -> None:
    def devices() -> str:
        return host.run("virsh", "dumpxml", "--inactive", "over")

    override = (
        "<domain><devices><memballoon model='none'/><controller type='usb' model='qemu-xhci'/>"
        "<disk><target dev='vda'/><driver cache='directsync'/></disk></devices></domain>"
    )
    plain = host.guest("over", state="stopped")
    had = devices()
    host.guest("over", xml_override=override)
    host.wait_text("over", READY)
    again = host.guest("over", xml_override=override)
    assert (again["changed"], again["domain"]["pending_restart"]) == (False, [])
    assert "<memballoon model='none'/>" in devices() and "qemu-xhci" in devices() and "cache='directsync'" in devices()
    back = host.guest("over", xml_override="", state="stopped", force_stop=True, timeout=60)
    assert back["domain"]["disks"] == plain["domain"]["disks"]
    for line in ("<memballoon model='virtio'>", "model='none'/>", f"cache='{plain['domain']['disks'][0]['cache']}'"):
        assert line in had and line in devices()
    host.guest("over")
    host.domain("over", state="absent", delete_disks=True, force_stop=True, timeout=1)
