# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest boots with the hardware that needs more than QEMU: UEFI firmware, an emulated TPM, a shared folder, SPICE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from edge_lab.api import Lab
from support.migration_hosts import open_doors
from support.playbook import TREE
from support.small_guest import CMDLINE, READY
from support.small_host import SmallHost
from support.spice import takes

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
SHARE = "/srv/share"
PAGES = Path("/proc/sys/vm/nr_hugepages")
PASSWORD = "a-word_of.16+chars"
ROLE = TREE / "roles/hypervisor"
ALL = ["firmware", "tpm", "filesystems", "spice"]
HARDWARE: dict[str, Any] = {
    "firmware": "uefi",
    "tpm": True,
    "spice": "loopback",
    "filesystems": [{"tag": "share", "path": SHARE}],
    "cmdline": f"{CMDLINE} edge.share=share",
    "memory": "256MiB",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    with SmallHost.up("dom-hard", "trixie", tmp_path_factory.mktemp("dom-hard")) as found:
        yield found


def test_what_is_missing_is_named_and_then_it_boots(host: SmallHost) -> None:
    host.run("mkdir", "-p", SHARE)
    refused = host.guest("hard", ok=False, **HARDWARE)
    assert refused["error"]["code"] == "unsupported" and "install it (Debian: ovmf)" in refused["msg"], refused
    assert "hard" not in host.run("ls", "/var/lib/edge/vms", ok=False)

    host.run("sh", "-c", f"echo from the host > {SHARE}/hello")
    host.play(
        [
            {"ansible.builtin.setup": {"gather_subset": ["!all", "distribution"]}},
            {"ansible.builtin.include_vars": {"file": str(ROLE / "vars/main.yml")}},
            {"ansible.builtin.include_tasks": {"file": str(ROLE / "tasks/hardware.yml")}, "vars": {"hypervisor_hardware": ALL}},
        ]
    )
    host.guest("hard", **HARDWARE)
    answer = host.wait_text("hard", READY)
    assert all(word in answer for word in ("FIRMWARE uefi", "TPM yes", "SHARE from the host"))
    assert host.run("cat", f"{SHARE}/answer") == "from the guest"
    assert host.run("virsh", "domdisplay", "hard").startswith("spice://127.0.0.1")
    again = host.guest("hard", **HARDWARE)
    assert (again["changed"], again["domain"]["pending_restart"]) == (False, [])

    host.domain("hard", state="absent", delete_disks=True, force_stop=True, timeout=1)
    assert "hard" not in host.run("virsh", "list", "--all", "--name")
    assert host.run("ls", SHARE).split() == ["answer", "hello"]


def test_a_display_over_tls_asks_for_the_password_of_the_host(host: SmallHost, tmp_path: Path) -> None:
    """Runs after the first test, with the SPICE server that was installed there."""
    refused = host.guest("shown", ok=False, spice="tls")
    assert refused["error"]["code"] == "unsupported" and "does not set spice_tls and spice_password" in refused["msg"], refused
    open_doors([host.host], Lab().inventory, tmp_path)
    displays = {"ansible.builtin.include_tasks": {"file": str(ROLE / "tasks/displays.yml")}}
    host.play([{**displays, "vars": {"hypervisor_spice_password": PASSWORD}}])
    host.guest("shown", spice="tls")
    display = ElementTree.fromstring(host.run("virsh", "dumpxml", "shown")).find("devices/graphics[@type='spice']")
    assert display is not None and display.get("port") is None, "it takes what is not encrypted, too"

    authority = tmp_path / "ca.crt"
    host.host.get("/etc/edge/pki/ca.crt", authority)
    address = (host.host.address, int(display.get("tlsPort", "")))
    assert takes(address, host.host.name, authority, PASSWORD)
    assert not takes(address, host.host.name, authority, "guessed-wrong")
    assert not takes(address, host.host.name, authority, "")
    assert host.guest("shown", spice="tls")["changed"] is False
    host.domain("shown", state="absent", delete_disks=True, force_stop=True, timeout=1)

    host.play([{**displays, "vars": {"hypervisor_spice_password": ""}}])
    assert "spice_password" not in host.run("grep", "-v", "^#", "/etc/libvirt/qemu.conf")


@contextmanager
def huge_pages(count: int) -> Iterator[None]:
    """Have the machine reserve more pages of 2 MiB within; a lab host sees the machine's."""
    had = int(PAGES.read_text())
    PAGES.write_text(str(had + count))
    try:
        assert int(PAGES.read_text()) == had + count, "the machine's memory is in too small pieces"
        yield
    finally:
        PAGES.write_text(str(had))


def test_huge_pages_back_a_guest_and_are_counted_before(host: SmallHost) -> None:
    refused = host.guest("big", ok=False, hugepages="2MiB")
    assert refused["error"]["code"] == "no_space" and "takes 64 pages of 2MiB" in refused["msg"], refused
    assert "big" not in host.run("virsh", "list", "--all", "--name")
    with huge_pages(64):
        host.guest("big", hugepages="2MiB")
        host.wait_text("big", READY)
        assert "2048KiB: 0" in host.run("virsh", "freepages", "--all")
        again = host.guest("big", hugepages="2MiB")
        assert (again["changed"], again["domain"]["pending_restart"]) == (False, [])
        host.domain("big", state="absent", delete_disks=True, force_stop=True, timeout=1)
        assert "2048KiB: 64" in host.run("virsh", "freepages", "--all")


def test_secure_boot_verifies_what_it_starts(host: SmallHost) -> None:
    """The firmware finds that the guest's kernel is not signed. That one came from the host, so it starts all the same.

    Runs after the previous test, with the firmware that was installed there.
    """
    strict = {"firmware": "uefi", "secure_boot": True, "memory": "256MiB"}
    host.guest("strict", **strict)
    assert "secure='yes'" in host.run("virsh", "dumpxml", "strict")
    host.wait_text("strict", "Secure boot image verification failed")
    again = host.guest("strict", **strict)
    assert (again["changed"], again["domain"]["pending_restart"]) == (False, [])
    host.domain("strict", state="absent", delete_disks=True, force_stop=True, timeout=1)
    assert "strict" not in host.run("ls", "/var/lib/edge/vms").split()
