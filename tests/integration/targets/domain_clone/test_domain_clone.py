# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""domain_clone against libvirtd and QEMU of a lab host: source and clone run side by side, each with its own names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.playbook import TREE
from support.small_guest import READY
from support.small_host import SmallHost
from support.vm_host import MIB, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
HOME, NEW = f"{VMS}/old", f"{VMS}/new"
ROLE = TREE / "roles/hypervisor"


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    name = f"clone-{request.param}"
    with SmallHost.up(name, request.param, tmp_path_factory.mktemp(name)) as found:
        yield found


def pattern(host: SmallHost, path: str, form: str, command: str) -> str:
    return host.run("qemu-io", "-f", form, "-c", command, path)


def test_source_and_clone_run_side_by_side(host: SmallHost) -> None:
    disks = [{"name": "root", "image": host.digest, "size": "1GiB"}, {"name": "data", "format": "raw", "size": "64MiB"}]
    host.guest("old", disks=disks)
    host.wait_text("old", READY)
    assert host.module("domain_clone", name="new", source="old", ok=False)["error"]["code"] == "refused"
    host.guest("old", disks=disks, state="stopped")
    pattern(host, f"{HOME}/root.qcow2", "qcow2", "write -P 5 900M 64k")
    pattern(host, f"{HOME}/data.raw", "raw", "write -P 6 32M 64k")

    planned = host.module("domain_clone", name="new", source="old", check=True)
    assert "new" not in host.run("virsh", "list", "--all", "--name").split()
    made = host.module("domain_clone", name="new", source="old")
    assert made["actions"] == planned["actions"] and made["diff"] == planned["diff"]
    assert host.chain(f"{NEW}/root.qcow2") == ["root.qcow2", f"{host.digest.removeprefix('sha256:')}.qcow2"]
    assert int(host.run("stat", "-c", "%b", f"{NEW}/data.raw")) * 512 < 8 * MIB
    assert host.module("domain_clone", name="new", source="old")["changed"] is False

    host.forget_console("old")
    host.guest("old", disks=disks)
    started = host.domain("new", wait_for_address=True, timeout=300)
    assert started["actions"] == ["Start domain new"]
    old, new = host.wait_text("old", READY), host.wait_text("new", READY)
    assert made["domain"]["uuid"] in new and '"local-hostname": "new"' in new
    assert made["domain"]["uuid"] not in old
    assert f"DISK vdb data {64 * MIB // 512}" in new
    assert host.domain("old")["domain"]["address"] != started["domain"]["address"]
    for name in ("old", "new"):
        host.domain(name, state="stopped", timeout=300)
    assert "verification failed" not in pattern(host, f"{NEW}/root.qcow2", "qcow2", "read -P 5 900M 64k")
    assert "verification failed" not in pattern(host, f"{NEW}/data.raw", "raw", "read -P 6 32M 64k")
    host.domain("new", state="absent", delete_disks=True)
    assert host.run("ls", NEW, ok=False) == ""
    assert "root.qcow2" in host.run("ls", HOME)


def test_the_variables_of_uefi_are_copied(host: SmallHost) -> None:
    host.play(
        [
            {"ansible.builtin.setup": {"gather_subset": ["!all", "distribution"]}},
            {"ansible.builtin.include_vars": {"file": str(ROLE / "vars/main.yml")}},
            {
                "ansible.builtin.include_tasks": {"file": str(ROLE / "tasks/hardware.yml")},
                "vars": {"hypervisor_hardware": ["firmware"]},
            },
        ]
    )
    host.domain("efi", virt_type="qemu", memory="128MiB", firmware="uefi", state="stopped")
    host.run(
        "sh", "-c", f"mkdir -p {VMS}/efi && head -c 540672 /dev/zero > {VMS}/efi/nvram.fd && echo changed >> {VMS}/efi/nvram.fd"
    )
    made = host.module("domain_clone", name="efi2", source="efi")
    assert f"Copy the firmware's variables {VMS}/efi/nvram.fd to {VMS}/efi2/nvram.fd" in made["actions"]
    assert host.run("cmp", f"{VMS}/efi/nvram.fd", f"{VMS}/efi2/nvram.fd") == ""
    assert f"{VMS}/efi2/nvram.fd" in host.run("virsh", "dumpxml", "efi2")
    assert host.domain("efi2", state="stopped")["changed"] is False
    for name in ("efi", "efi2"):
        host.domain(name, state="absent", delete_disks=True)
