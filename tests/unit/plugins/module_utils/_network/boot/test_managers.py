# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the programs that configure a host's links, and what follows from their answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.managers import Managers
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.runners import ScriptedRunner

ENABLED = ("systemctl", "is-enabled", "systemd-networkd.service")
ACTIVE = ("systemctl", "is-active", "systemd-networkd.service")
NM = ("systemctl", "is-enabled", "NetworkManager.service")
DEVICES = ("nmcli", "--terse", "--fields", "DEVICE,STATE", "device", "status")


@pytest.mark.parametrize("state", ["enabled", "enabled-runtime", "static"])
def test_networkd_that_starts_at_boot(state: str) -> None:
    runner = ScriptedRunner().expect(*ENABLED, stdout=f"{state}\n")
    Managers(runner).require_networkd()
    runner.done()


def test_networkd_that_another_program_starts_at_boot() -> None:
    Managers(ScriptedRunner().expect(*ENABLED, rc=1, stdout="disabled\n").expect(*ACTIVE, stdout="active\n")).require_networkd()


@pytest.mark.parametrize("state", ["disabled", "masked", "not-found"])
def test_networkd_that_does_not_start_at_boot_is_refused_with_the_program_to_use(state: str, tmp_path: Path) -> None:
    runner = (
        ScriptedRunner().expect(*ENABLED, rc=1, stdout=state).expect(*ACTIVE, rc=3, stdout="inactive").expect(*NM, stdout="enabled")
    )
    with pytest.raises(Unsupported, match=f"systemd-networkd is {state} .*NetworkManager is enabled: leave boot out"):
        Managers(runner, tmp_path / "interfaces").require_networkd()


def test_a_link_of_networkmanager_is_refused(tmp_path: Path) -> None:
    for state in ("connected", "unavailable", "disconnected"):
        runner = ScriptedRunner().expect(*DEVICES, stdout=f"lo:unmanaged\neth0:unmanaged\neth1:{state}\n")
        with pytest.raises(Conflict, match=rf"NetworkManager configures eth1 \({state}\)"):
            Managers(runner, tmp_path / "interfaces").refuse_other(["br0", "eth0", "eth1"])
    runner = ScriptedRunner().expect(*DEVICES, stdout="eth0:unmanaged\neth1:connected\n")
    Managers(runner, tmp_path / "interfaces").refuse_other(["br0", "eth0"])
    Managers(ScriptedRunner().expect(*DEVICES, rc=8), tmp_path / "interfaces").refuse_other(["eth1"])


def test_what_networkd_says_of_a_link() -> None:
    asked = ("networkctl", "--json=short", "status", "eth0")
    for said, file in (
        ('{"Name":"eth0","NetworkFile":"/run/systemd/network/10-netplan-eth0.network"}', "10-netplan-eth0.network"),
        ('{"Name":"eth0"}', None),
        ("no JSON", None),
        ("[]", None),
    ):
        found = Managers(ScriptedRunner().expect(*asked, stdout=said)).network_file("eth0")
        assert (found and found.name) == file
    assert Managers(ScriptedRunner().expect(*asked, rc=1, stderr="not running")).network_file("eth0") is None


def test_conditions_are_systemds_own() -> None:
    managers = Managers(SubprocessRunner())
    if managers.condition("KernelVersion", ">=1") is None:
        pytest.skip("systemd-analyze is missing or too old")
    assert managers.condition("KernelVersion", "<1") is False
    assert managers.condition("KernelCommandLine", "no-such-word-anywhere") is False
    assert managers.condition("Host", "!no-such-host") is True
    assert managers.condition("Credential", "x") is None


def test_a_host_without_these_programs_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    managers = Managers(SubprocessRunner(), tmp_path / "interfaces")
    managers.require_networkd()
    managers.refuse_other(["eth0"])
    assert managers.network_file("eth0") is None
    assert managers.properties("eth0") is None
    assert managers.condition("Host", "x") is None
