# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.kernel import cannot_limit, is_no_kernel
from support.waiting import LIMIT

WAYS = ("inbound", "outbound")
BUILT_IN = "0000000000000000 t htb_enqueue\n0 t u32_classify.constprop.0\n0 t ingress_init\n0 t tcf_police_init\t[act_police]\n"


def test_what_is_neither_built_in_nor_loaded_nor_to_be_loaded(tmp_path: Path) -> None:
    symbols = tmp_path / "kallsyms"
    symbols.write_text(BUILT_IN)
    assert cannot_limit(WAYS, symbols, tmp_path) == {"inbound": ("sch_sfq", "cls_fw")}
    assert cannot_limit(("outbound",), symbols, tmp_path) == {}
    rows = "kernel/net/sched/sch_sfq.ko.xz: kernel/a.ko\nkernel/net/sched/cls_fw.ko:\n"
    (tmp_path / "modules.dep").write_text(rows)
    assert cannot_limit(WAYS, symbols, tmp_path) == {}


def test_a_kernel_that_does_not_say_what_it_has_is_believed(tmp_path: Path) -> None:
    symbols = tmp_path / "kallsyms"
    assert cannot_limit(WAYS, symbols, tmp_path) == {}
    symbols.write_text("")
    assert cannot_limit(WAYS, symbols, tmp_path) == {}


KERNELS = {
    "empty": (b"", True),
    "name": (b"host.example\n", True),
    "short": (bytes(2559), True),
    "oldest": (bytes(2560), False),
    "linux": (bytes(0x202) + b"HdrS" + bytes(100), False),
    "elf": (b"\x7fELF" + bytes(60), False),
    "multiboot": (bytes(64) + (0x1BADB002).to_bytes(4, "little"), False),
}


@pytest.mark.parametrize("kind", KERNELS)
def test_what_is_no_kernel(tmp_path: Path, kind: str) -> None:
    content, refused = KERNELS[kind]
    path = tmp_path / "vmlinuz"
    path.write_bytes(content)
    assert is_no_kernel(str(path)) is refused
    assert not is_no_kernel(str(tmp_path / "none"))


@pytest.mark.parametrize("kind", ["empty", "name", "short"])
def test_qemu_refuses_it_too(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(KERNELS[kind][0])
    argv = ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-nodefaults", "-display", "none", "-S", "-kernel", path]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)  # one that it takes runs on
    assert done.returncode != 0 and "kernel" in done.stderr
