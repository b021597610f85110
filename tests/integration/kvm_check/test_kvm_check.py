# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KVM check of role hypervisor, with real QEMU."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.programs import loaded

CHECK = Path(__file__).parents[3] / "roles/hypervisor/files/kvm-check"
QEMU = "qemu-system-x86_64"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the check is for x86_64"),
]


def ask(*argv: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, str(CHECK), *argv], capture_output=True, text=True, check=True, timeout=600)
    answer: dict[str, object] = json.loads(done.stdout)
    assert set(answer) == {"kvm", "reason", "seconds"}
    return answer


def test_the_guest_comes_to_its_end_under_emulation() -> None:
    answer = ask("--accel", "tcg", "--timeout", "300")
    assert answer["kvm"] is True, answer


def test_a_guest_that_hangs_is_reported_in_time(tmp_path: Path) -> None:
    hangs = tmp_path / "qemu"
    hangs.write_text(f'#!/bin/sh\nexec {shutil.which(QEMU)} -S "$@"\n')  # -S: the CPU never starts
    hangs.chmod(0o755)
    answer = ask("--accel", "tcg", "--timeout", "1", "--qemu", str(hangs))
    assert answer["kvm"] is False
    assert "within 1 s" in str(answer["reason"])


@pytest.mark.parametrize(
    ("step", "instead"),
    [
        pytest.param("8e d3 ", "0f 0b ", id="undefined-instruction"),
        pytest.param("\nfb ", "\n90 ", id="interrupts-off"),
        pytest.param("e6 20           # outb %al,$0x20\n48 cf", "90 90 #\n48 cf", id="no-end-of-interrupt"),
    ],
)
def test_a_guest_that_lacks_a_step_does_not_pass(step: str, instead: str) -> None:
    module = loaded(CHECK)
    code: str = vars(module)["CODE"]
    assert code.count(step) == 1
    vars(module)["CODE"] = code.replace(step, instead)
    works, reason = module.run_guest("tcg", QEMU, 2)
    assert not works
    assert reason


def test_what_is_missing_is_named() -> None:
    assert ask("--qemu", "no-such-qemu")["reason"] == "no-such-qemu is not installed"


def test_a_guest_that_worked_is_not_run_again_in_this_boot(tmp_path: Path) -> None:
    """Another QEMU is asked again, and a guest that hangs is never remembered."""
    cache = tmp_path / "run/answer.json"
    qemu = tmp_path / "qemu"
    qemu.write_text(f'#!/bin/sh\necho >> {tmp_path}/runs\nexec {shutil.which(QEMU)} "$@"\n')
    qemu.chmod(0o755)
    words = ("--accel", "tcg", "--timeout", "300", "--qemu", str(qemu), "--cache", str(cache))
    assert [ask(*words)["kvm"], ask(*words)["kvm"]] == [True, True]
    assert (tmp_path / "runs").read_text() == "\n"
    qemu.write_text(f'#!/bin/sh\nexec {shutil.which(QEMU)} -S "$@"\n')
    hangs = ("--accel", "tcg", "--timeout", "1", "--qemu", str(qemu), "--cache", str(tmp_path / "other"))
    assert ask(*words[:2], "--timeout", "1", *words[4:])["kvm"] is False
    assert [ask(*hangs)["kvm"], ask(*hangs)["kvm"]] == [False, False] and not (tmp_path / "other").exists()
