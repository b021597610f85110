# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``recovery``: kept in the VM's record, shown, ended, and refused where no point of the VM could be whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import Peers
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.modules import domain as domain_module
from support.modules import run_module

URI = "test:///default"
ROOT = {"name": "root", "size": "8MiB"}
DEFAULTS = {"interval": 900, "keep": 2, "quiesce": "try", "replicas": 1, "budget": None, "sign": None}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domain(check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"uri": URI, "name": "web", "state": "stopped", "disks": [ROOT], **options}
        return run_module(capsys, "domain", check=check, **asked)

    return run_domain


def test_a_policy_is_made_kept_changed_and_ended(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    planned = run(check=True, recovery={"interval": 300, "budget": "1GiB"})
    made = run(recovery={"interval": 300, "budget": "1GiB"})
    assert made["diff"] == planned["diff"]
    policy = {**DEFAULTS, "interval": 300, "budget": 2**30}
    assert made["domain"]["recovery"] == planned["domain"]["recovery"] == policy
    for again in ({"recovery": {"interval": 300, "budget": "1024MiB"}}, {}, {"recovery": None}):
        assert run(**again)["changed"] is False
    assert run_module(capsys, "domain_info", uri=URI, name="web")["domains"][0]["recovery"] == policy

    planned = run(check=True, recovery={})
    changed = run(recovery={})
    assert changed["actions"] == planned["actions"] == ["Redefine domain web: recovery"]
    assert changed["diff"] == {"before": {"recovery": policy}, "after": {"recovery": DEFAULTS}} == planned["diff"]
    ended = run(recovery={"state": "absent"})
    assert (ended["actions"], ended["domain"]["recovery"]) == (["Redefine domain web: recovery"], None)
    assert run(recovery={"state": "absent"})["changed"] is False


def test_vms_of_a_list_have_the_policy_of_the_defaults_or_their_own(
    driver: Any, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [{"name": "a"}, {"name": "b", "recovery": {"keep": 5}}, {"name": "c", "recovery": {"state": "absent"}}]
    defaults = {"state": "stopped", "disks": [ROOT], "recovery": {"interval": 60}}
    made = run_module(capsys, "domains", uri=URI, domains=both, defaults=defaults)
    found = [one["recovery"] for one in made["domains"]]
    assert found == [{**DEFAULTS, "interval": 60}, {**DEFAULTS, "keep": 5}, None]


@pytest.mark.parametrize(
    ("recovery", "words"),
    [
        ({"interval": 0}, "recovery.interval: it must be a whole number from 60"),
        ({"interval": 59}, "recovery.interval: it must be a whole number from 60"),
        ({"keep": 1}, "recovery.keep: it must be a whole number from 2"),
        ({"replicas": 0}, "recovery.replicas: it must be a whole number from 1"),
        ({"state": "absent", "keep": 3}, "recovery.state: absent was asked, and keep with it"),
        ({"often": True}, "recovery.often"),
        ({"quiesce": "auto"}, "quiesce"),
    ],
)
def test_what_cannot_be_is_refused(recovery: dict[str, Any], words: str, run: Any, folders: Folders) -> None:
    failed = run(recovery=recovery)
    assert failed["failed"] and words in failed["msg"]
    assert list(Path(folders.vms).iterdir()) == []


def test_a_vm_of_which_no_point_could_be_whole_is_refused_before_any_change(run: Any, folders: Folders, tmp_path: Path) -> None:
    own = tmp_path / "own.qcow2"
    os.system(f"qemu-img create -q -f qcow2 {own} 1M")
    raw, given = {"name": "data", "size": "1MiB", "format": "raw"}, {"name": "data", "path": str(own)}
    for disk, why in ((raw, "is raw, which notes no changes"), (given, "was given by its path")):
        for check in (True, False):
            failed = run(check=check, disks=[ROOT, disk], recovery={})
            assert failed["error"]["option"] == "recovery" and failed["error"]["disk"] == "data"
            assert failed["msg"].startswith("recovery: no recovery point of web can be made") and why in failed["msg"]
    assert list(Path(folders.vms).iterdir()) == []
    assert run(disks=[], recovery={})["msg"].startswith("recovery: web has no disk")

    run(recovery={})
    for disk in (raw, given):
        assert run(disks=[ROOT, disk])["error"]["option"] == "recovery", "a disk that comes later is no better"
    assert run(disks=[ROOT, {**raw, "name": "more"}], recovery={"state": "absent"})["changed"] is True
    assert run(disks=None, state="stopped")["changed"] is False


def test_more_replicas_than_the_cluster_has_beside_this_host_are_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for others in (0, 1):
        monkeypatch.setattr(domain_module, "peers_of_cluster", lambda others=others: Peers(replicas=others))
        failed = run(recovery={"replicas": others + 1})
        assert failed["msg"].startswith(f"recovery.replicas: {others + 1} was asked, and the cluster has")
        has = {0: "no replica host", 1: "1 replica host", 2: "2 replica hosts"}[others]
        assert f"the cluster has {has} besides this host; " in failed["msg"]
    assert run(recovery={"replicas": 1})["changed"] is True


def test_a_vm_whose_disks_cannot_note_what_is_written_starts_with_a_warning(
    run: Any, driver: Any, capsys: pytest.CaptureFixture[str], folders: Folders
) -> None:
    made = run(state="running", recovery={})
    assert made["domain"]["state"] == "running"
    assert "recovery: the first recovery point of web will have all" in str(made["warnings"])
    both = run_module(capsys, "domains", uri=URI, domains=[{"name": "a", "disks": [ROOT], "recovery": {}}])
    assert "recovery: the first recovery point of a will have all" in str(both["warnings"])
    assert "recovery: the first" not in str(run(state="running", recovery=None)), "only a start asks for it"
