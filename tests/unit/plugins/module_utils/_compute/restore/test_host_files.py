# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery point names files of the host that its VM was on; what another host must not take for its own is refused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, DomainSpec
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.host_files import (
    check_boot_files,
    is_public,
    with_own_log,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._generation import Generation, Vm

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
POINT = Generation(Vm("web", UUID), 0, 41, "2026-01-01T00:00:00Z", True, False, {}, {}, ())
KERNEL = bytes(0x202) + b"HdrS" + bytes(100)


def vm(**options: Any) -> DomainSpec:
    return DomainSpec("web", UUID, "qemu", "x86_64", "pc-q35-7.2", 2**25, 1, Cpu("custom", "qemu64"), **options)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # noqa: PTH101
        yield Path(name)


def file(path: Path, data: bytes = KERNEL, mode: int = 0o644) -> str:
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def test_files_that_every_user_may_read_are_taken(folder: Path) -> None:
    kernel, initrd = file(folder / "vmlinuz"), file(folder / "initrd", b"what an initrd has")
    (folder / "link").symlink_to(kernel)
    check_boot_files(vm(kernel=kernel, initrd=initrd), POINT, None)
    check_boot_files(vm(kernel=str(folder / "link")), POINT, None)
    check_boot_files(vm(), POINT, None)


def refused(spec: DomainSpec, kind: type[EdgeError], words: str) -> None:
    with pytest.raises(kind, match=words) as found:
        check_boot_files(spec, POINT, emit(vm(kernel="/another")))
    assert found.value.details["option"] == "generation" and found.value.details["path"] in (spec.kernel, spec.initrd)


def test_what_may_be_secret_is_refused_with_its_path_and_what_to_do(folder: Path) -> None:
    kernel, secret = file(folder / "vmlinuz"), file(folder / "key", b"secret", 0o640)
    words = rf"^generation: 0\.41 of the VM web says that its initrd is the file {secret} of this host, .*chmod o\+r.*may be forged"
    refused(vm(kernel=kernel, initrd=secret), Refused, words)
    (folder / "initrd").symlink_to(secret)
    refused(
        vm(kernel=kernel, initrd=str(folder / "initrd")), Refused, "its initrd is the file .*/initrd of this host, which not every"
    )
    (folder / "closed").mkdir(mode=0o700)
    refused(vm(kernel=file(folder / "closed" / "vmlinuz")), Refused, "its kernel is the file .* which not every user")


def test_what_is_not_there_or_no_kernel_is_refused(folder: Path) -> None:
    refused(vm(kernel=str(folder / "none")), NotFound, "and there is none. Put the kernel of the VM there")
    refused(vm(kernel="vmlinuz"), NotFound, "its kernel is the file vmlinuz of this host, and there is none")
    refused(vm(kernel=str(folder)), Refused, r"which is not a file \(folder\)")
    refused(vm(kernel="/dev/zero"), Refused, r"which is not a file \(other\)")
    refused(vm(kernel=file(folder / "text", b"host.example\n")), Refused, "which is not a kernel that QEMU can boot")


def test_what_the_vm_has_on_this_host_already_is_believed(folder: Path) -> None:
    kernel, other = file(folder / "vmlinuz", mode=0o600), file(folder / "initrd", mode=0o600)
    own = emit(vm(kernel=kernel))
    check_boot_files(vm(kernel=kernel), POINT, own)
    with pytest.raises(Refused, match="its initrd is"):
        check_boot_files(vm(kernel=kernel, initrd=other), POINT, own)


def test_a_file_that_cannot_be_followed_is_not_public(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    assert not is_public(str(folder / "loop")) and not is_public(str(folder / "none"))
    assert is_public(file(folder / "text", mode=0o444))


@pytest.mark.parametrize("log", ["/etc/cron.d/log", "/vms/web/../../etc/cron.d/log", "/vms/website/console.log"])
def test_the_log_of_the_console_is_in_the_folder_of_the_vm(log: str) -> None:
    spec, warnings = with_own_log(vm(console_log=log), "/vms/web", None)
    assert spec.console_log == "/vms/web/console.log"
    assert [log in one for one in warnings] == [True]
    same = with_own_log(vm(console_log=log), "/vms/web", emit(vm(console_log=log)))
    assert (same[0].console_log, same[1]) == (log, [])


def test_a_log_that_is_in_the_folder_and_none_stay() -> None:
    for log in ("/vms/web/console.log", "/vms/web/serial.log", None):
        assert with_own_log(vm(console_log=log), "/vms/web", None) == (vm(console_log=log), [])
