# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module domains, against libvirt's test driver and real qemu-img."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.batch import Batch, DomainsFailed
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.view import HostView
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import DomainOptions
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.modules import run_module

URI = "test:///default"
MIB = 2**20
SMALL = {"memory": "64MiB", "disks": [{"name": "root", "size": "1MiB"}], "nics": [{"network": "default"}]}
NAMES = ("a", "b", "c")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domains(*items: Any, check: bool = False, **options: Any) -> dict[str, Any]:
        wanted = [{"name": item} if isinstance(item, str) else item for item in items]
        return run_module(capsys, "domains", check=check, uri=URI, domains=wanted, **options)

    return run_domains


def states(result: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in result["domains"]}


def names_of(driver: Any) -> list[str]:
    return sorted(one.name() for one in driver.listAllDomains() if one.name() != "test")


def test_missing_arguments(capsys: pytest.CaptureFixture[str], run: Any) -> None:
    assert "missing required arguments: domains" in run_module(capsys, "domains")["msg"]
    assert run({"memory": "1GiB"})["msg"] == "domains[0] (None): missing required arguments: name"


def test_life_of_many(run: Any, driver: Any, folders: Folders) -> None:
    planned = run(*NAMES, defaults=SMALL, check=True)
    assert planned["changed"] and states(planned) == dict.fromkeys(NAMES, "running")
    assert names_of(driver) == [] and list(Path(folders.vms).iterdir()) == []

    created = run(*NAMES, defaults=SMALL)
    assert (created["actions"], created["diff"]) == (planned["actions"], planned["diff"])
    assert created["diff"]["before"] == {name: {"state": "absent"} for name in NAMES}
    assert set(created["diff"]["after"]) == set(NAMES)
    assert states(created) == dict.fromkeys(NAMES, "running")
    assert len({one["uuid"] for one in created["domains"]}) == len({one["nics"][0]["mac"] for one in created["domains"]}) == 3

    again = run(*NAMES, defaults=SMALL)
    assert again["changed"] is False and again["actions"] == [] and again["diff"] == {"before": {}, "after": {}}
    assert again["domains"] == created["domains"]

    one = run("a", {"name": "b", "memory": "128MiB", "allow_restart": True}, defaults=SMALL)
    assert one["actions"] == ["Redefine domain b: memory, max_memory", "Shut down domain b", "Start domain b"]
    sizes = [{"b": {"memory": size * MIB, "max_memory": size * MIB}} for size in (64, 128)]
    assert one["diff"] == {"before": sizes[0], "after": sizes[1]}

    stopped = run("b", "c", "a", defaults={"state": "stopped"})
    assert states(stopped) == dict.fromkeys(NAMES, "stopped") and [one["name"] for one in stopped["domains"]] == ["b", "c", "a"]
    gone = run(*NAMES, defaults={"state": "absent", "delete_disks": True})
    assert states(gone) == dict.fromkeys(NAMES, "absent")
    assert run(*NAMES, defaults={"state": "absent", "delete_disks": True})["changed"] is False
    assert list(Path(folders.vms).iterdir()) == []


def test_one_and_many_end_in_the_same_domain(run: Any, capsys: pytest.CaptureFixture[str], driver: Any) -> None:
    run({"name": "a", **SMALL, "cloud_init": {"hostname": "x"}, "state": "stopped"})
    alone = run_module(capsys, "domain", uri=URI, name="a", **SMALL, cloud_init={"hostname": "x"}, state="stopped")
    assert alone["changed"] is False


def test_every_error_is_reported_before_any_change(run: Any, driver: Any, folders: Folders) -> None:
    failed = run(
        "good", {"name": "b", "memory": "64TiB"}, {"name": "c", "nics": [{"network": "none"}]}, defaults=SMALL,
    )  # fmt: skip
    first, *rest = failed["msg"].splitlines()
    assert first == "2 of 3 domains cannot be what was asked; nothing was changed."
    assert rest[0].startswith("domains[1] (b): memory: 64TiB is more") and rest[1].startswith("domains[2] (c): nics[0].network: ")
    assert failed["error"]["code"] == "domains_failed" and failed["changed"] is False
    assert [(one["domain"], one["code"], one["option"]) for one in failed["error"]["errors"]] == [
        ("b", "invalid_input", "memory"),
        ("c", "not_found", "nics[0].network"),
    ]
    assert names_of(driver) == [] and list(Path(folders.vms).iterdir()) == []


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (["a", "b", "a"], "domains[2] (a): name: a is already domains[0]"),
        ([{"name": "a", "uuid": "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f"}] * 1
         + [{"name": "b", "uuid": "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f"}], "domains[1] (b): uuid: 6f1c3f4e-"),
        ([{"name": name, "nics": [{"network": "default", "mac": "52:54:00:00:00:01"}]} for name in "ab"],
         "domains[1] (b): nics[0].mac: 52:54:00:00:00:01 is already wanted by domains[0] (a)"),
        (["a", "b/c"], "domains[1] (b/c): name: 'b/c' is not valid"),
        (["a", {"name": "b", "colour": "red"}], "domains[1] (b): colour. Supported parameters include: "),
        (["a", {"name": "b", "state": "on"}], "domains[1] (b): value of state must be one of: running"),
        (["test"], "domains[0] (test): name: domain test exists on this host and was not made by edge.cloud"),
    ],
)  # fmt: skip
def test_bad_input(run: Any, driver: Any, items: list[Any], says: str) -> None:
    failed = run(*items, defaults=SMALL)
    assert failed["failed"] and says in failed["msg"]
    assert names_of(driver) == []


def test_a_disk_that_one_writes_belongs_to_it_alone(run: Any, folders: Folders, tmp_path: Path) -> None:
    shared = tmp_path / "shared.raw"
    shared.write_bytes(b"\0" * MIB)
    disk = {"name": "data", "path": str(shared)}
    clash = run({"name": "a", "disks": [disk]}, {"name": "b", "disks": [disk]})
    assert f"domains[1] (b): disks: {shared} is already wanted by domains[0] (a)" in clash["msg"]
    both = [{"name": name, "state": "stopped", "disks": [{**disk, "read_only": True}]} for name in "ab"]
    assert run(*both)["failed"] is False


def test_bad_defaults(run: Any) -> None:
    assert run("a", defaults={"name": "x"})["msg"] == "defaults: name cannot be a default of domains."
    assert run("a", defaults={"colour": 1})["error"]["option"] == "defaults"
    assert run("a", parallel=0)["error"]["option"] == "parallel"


def test_one_that_fails_does_not_stop_the_others(run: Any, driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = libvirt.virDomain.create

    def create(found: Any) -> Any:
        if found.name() == "b":
            raise libvirt.libvirtError("no power")
        return real(found)

    with monkeypatch.context() as patch:
        patch.setattr(libvirt.virDomain, "create", create)
        failed = run(*NAMES, defaults=SMALL)
    assert failed["failed"] and failed["changed"]
    assert failed["msg"].startswith("1 of 3 domains failed; the others are done.")
    assert "domains[1] (b): Could not start domain b" in failed["msg"]
    assert states(failed) == {"a": "running", "b": "stopped", "c": "running"}
    assert [one.get("failed", False) for one in failed["domains"]] == [False, True, False]
    assert "Start domain b" not in failed["actions"] and "Define domain b" in failed["actions"]
    (error,) = failed["error"]["errors"]
    assert (error["domain"], error["failed_action"], error["left"]) == ("b", "Start domain b", [])
    assert failed["diff"]["after"]["b"]["state"] == "stopped"
    assert run(*NAMES, defaults=SMALL)["actions"] == ["Start domain b"]


def test_a_file_system_error_has_the_name_of_its_domain(run: Any, folders: Folders) -> None:
    Path(folders.vm("b")).write_text("not a folder")
    failed = run(*NAMES, defaults=SMALL)
    assert "domains[1] (b): Not a directory" in failed["msg"] and failed["changed"] is False


def test_unlisted_domains_go_by_word_only_and_those_of_others_never(run: Any, driver: Any, folders: Folders) -> None:
    run(*NAMES, defaults=SMALL)
    assert run("a")["changed"] is False
    assert run("a", unlisted="absent", check=True)["actions"] == [
        "Shut down domain b", "Undefine domain b", "Shut down domain c", "Undefine domain c",
    ]  # fmt: skip
    refused = run(unlisted="absent")
    assert refused["error"]["code"] == "refused" and names_of(driver) == ["a", "b", "c"]
    gone = run("a", unlisted="absent", defaults={"delete_disks": False})
    assert states(gone) == {"a": "running", "b": "absent", "c": "absent"}
    assert driver.lookupByName("test").isActive()
    assert Path(folders.vm("b"), "root.qcow2").exists()
    assert run("a", unlisted="absent")["changed"] is False


def test_too_much_memory_together_is_a_warning(run: Any, driver: Any, folders: Folders) -> None:
    """The test driver's own domain alone has more than its host. Warnings of a module add up in one process: hence the library."""
    assert run("a", defaults={"memory": "64MiB", "disks": [], "nics": [], "state": "stopped"})["failed"] is False
    runner = SubprocessRunner()

    def warnings(state: str) -> list[str]:
        options = DomainOptions("a", state=state, timeout=10)
        return list(Batch(driver, DiskFiles(runner, folders), runner, folders, [options]).run(check_mode=False)["warnings"])

    assert warnings("stopped") == []
    assert warnings("running") == ["The running domains of this host have 8256MiB of memory together, the host has 3GiB."]
    assert warnings("running") == [], "nothing was started"


def test_vms_that_do_not_fit_together_are_found_before_any_change(run: Any, driver: Any, folders: Folders) -> None:
    """libvirt's test driver does not tell what is free: the look at the host gets it as libvirt of a real host would."""
    off = {"memory": "64MiB", "disks": [], "nics": [], "state": "stopped"}
    assert run(*NAMES, defaults=off)["failed"] is False
    runner = SubprocessRunner()
    host = HostView(driver, DiskFiles(runner, folders), folders)
    vars(host)["basics"] = replace(host.basics, free=150 * MIB)

    def plan(*states: str) -> list[Any]:
        wanted = [DomainOptions(name, state=state, timeout=10) for name, state in zip(NAMES, states, strict=True)]
        return Batch(driver, host.tool, runner, folders, wanted).plan(host)

    assert len(plan("running", "running", "stopped")) == 3
    with pytest.raises(DomainsFailed, match=r"domains\[2\] \(c\): memory: with the VMs before it .* 192MiB .* has 150MiB left"):
        plan("running", "running", "running")


def test_none_is_no_change(run: Any) -> None:
    assert run() == {**run(), "changed": False, "domains": [], "actions": []}
