# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of guests reach their guest, and nothing that others can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.local_play import local_play
from support.modules import run_module

URI = "test:///default"
CANARY = "c4n4ry"
GRAPHICS = "<domain><devices><graphics type='vnc' port='-1' passwd='{}'/><video><model type='vga'/></video></devices></domain>"
SECRETS: dict[str, Any] = {
    "cloud_init": {
        "user_data": {"password": CANARY, "chpasswd": {"list": f"root:{CANARY}"}, "ssh_pwauth": True, "runcmd": [CANARY, 1]},
        "vendor_data": f"#!/bin/sh\necho {CANARY}\n",
        "network_config": {"version": 2, "wifis": {"wlan0": {"access-points": {"a": {"password": CANARY}}}}},
        "meta_data": {"token": CANARY},
    },
    "context": {"PASSWORD": CANARY, "START_SCRIPT": f"echo {CANARY}"},
    "xml_override": GRAPHICS.format(CANARY),
}
DISPLAY = {"vnc": True, "vnc_listen": "0.0.0.0", "vnc_password": CANARY}


def readable(driver: Any, name: str) -> str:
    """What a connection that may only read sees."""
    found = driver.lookupByName(name)
    return str(found.XMLDesc() + found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def secret_of(driver: Any, name: str) -> str:
    return str(driver.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))


@pytest.mark.usefixtures("folders")
def test_no_secret_is_in_a_result_a_log_or_readable_metadata(
    capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders, logged: list[str]
) -> None:
    options: dict[str, Any] = {"uri": URI, "name": "web", "memory": "64MiB", "state": "stopped", **SECRETS}
    results = [run_module(capsys, "domain", check=check, **options) for check in (True, False, False)]
    assert [one["changed"] for one in results] == [True, True, False], results
    results.append(run_module(capsys, "domain", **{**options, "xml_override": GRAPHICS.format(f"{CANARY}2")}))
    assert results[-1]["changed"]
    many = {"domains": [{"name": "web", **SECRETS}, {"name": "db", "state": "stopped", **SECRETS}], "defaults": SECRETS}
    results.append(run_module(capsys, "domains", uri=URI, **many))
    results.append(run_module(capsys, "domain_info", uri=URI))
    assert not any(one["failed"] for one in results)
    assert CANARY not in json.dumps(results) + "".join(logged)
    assert 'passwd="..."' in results[1]["domain"]["xml_override"]
    for name in ("web", "db"):
        assert CANARY not in readable(driver, name)
        assert f"passwd='{CANARY}'" in secret_of(driver, name)
        seeds = [Path(folders.seed(name)), Path(folders.context(name))]
        assert all(CANARY.encode() in seed.read_bytes() and seed.stat().st_mode & 0o077 == 0 for seed in seeds)


@pytest.mark.usefixtures("folders", "driver")
def test_no_secret_is_in_an_error(capsys: pytest.CaptureFixture[str], logged: list[str]) -> None:
    wrong: list[dict[str, Any]] = [
        {"cloud_init": {"user_data": CANARY}},
        {"cloud_init": {"userdata": CANARY}},
        {"cloud_init": f"user_data {CANARY}"},
        {"cloud_init": {"network_config": {"password": CANARY}}},
        {"context": {"password": CANARY}},
        {"context": CANARY},
        {"xml_override": f"<domain><name>{CANARY}</name></domain>"},
        {"xml_override": f"<{CANARY}"},
        {"xml_override": f"<domain type='nonsense'><devices><graphics type='vnc' passwd='{CANARY}'/></devices></domain>"},
        {"xml_overide": CANARY},
        {"proxy": CANARY},
    ]
    for options in wrong:
        for module, given in {"domain": {"name": "web", **options}, "domains": {"domains": [{"name": "web", **options}]}}.items():
            result = run_module(capsys, module, uri=URI, **given)
            assert result["failed"], options
            assert CANARY not in json.dumps(result), (module, options)
    assert CANARY not in "".join(logged)


@pytest.mark.usefixtures("folders")
def test_a_password_outlives_other_changes_and_goes_with_its_override(capsys: pytest.CaptureFixture[str], driver: Any) -> None:
    def run(**options: Any) -> bool:
        return bool(run_module(capsys, "domain", uri=URI, name="web", state="stopped", **options)["changed"])

    odd = "a&amp;b&quot;&lt;c"
    assert run(memory="64MiB", xml_override=GRAPHICS.format(odd))
    assert not run(xml_override=GRAPHICS.format(odd))
    assert run(memory="128MiB")
    assert 'a&amp;b"&lt;c' in secret_of(driver, "web").replace("&quot;", '"')
    assert run(xml_override=GRAPHICS.format("other"))
    assert "passwd='other'" in secret_of(driver, "web")
    assert run(xml_override="")
    assert "<graphics" not in secret_of(driver, "web")


def test_a_playbook_shows_no_secret_at_any_verbosity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [
        {"edge.cloud.domain": {"uri": URI, "name": "web", **SECRETS}, "check_mode": True, "diff": True},
        {"edge.cloud.domains": {"uri": URI, "domains": [{"name": "web", **SECRETS}], "defaults": SECRETS}, "check_mode": True},
        {"edge.cloud.domain": {"uri": URI, "name": "web", **SECRETS, "memory": "none"}, "ignore_errors": True},
        {"edge.cloud.domain": {"uri": URI, "name": "web", **DISPLAY}, "check_mode": True, "diff": True},
        {"edge.cloud.domains": {"uri": URI, "domains": [{"name": "web"}], "defaults": DISPLAY}, "check_mode": True, "diff": True},
        {"edge.cloud.domain": {"uri": URI, "name": "web", **DISPLAY, "vnc": False}, "ignore_errors": True},
    ]
    log = tmp_path / "ansible.log"
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(log))
    done = local_play(tmp_path, {"tasks": tasks}, "-vvvv")
    assert "ok=6" in done.stdout, done.stdout + done.stderr
    assert '"module_args"' in done.stdout
    assert CANARY not in done.stdout + done.stderr + log.read_text()
