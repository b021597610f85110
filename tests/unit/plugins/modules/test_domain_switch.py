# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task left that was killed while it switched a guest to another file: every module that changes the VM ends it first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.calls import SWITCHING, call, calls_below
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._host.arrive import Arrivals
from support.modules import run_module

PAUSED = 3


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Callable[..., dict[str, Any]]:
    return lambda module, **options: run_module(capsys, module, uri="test:///default", **options)


def leave(folders: Folders, target: str | None) -> Path:
    """Leave the note of a switch, as of a task that was killed in it."""
    note = Path(folders.vm("web"), SWITCHING)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"target": target, "resume": True}))
    return note


@pytest.mark.parametrize("target", [None, "vdz"], ids=["no-disk", "disk-that-is-gone"])
@pytest.mark.parametrize("module", ["domain", "domains"])
def test_a_guest_that_was_paused_goes_on(module: str, target: str | None, run: Any, driver: Any, folders: Folders) -> None:
    run("domain", name="web")
    driver.lookupByName("web").suspend()
    note = leave(folders, target)
    asked = {"name": "web"} if module == "domain" else {"domains": [{"name": "web"}]}
    assert run(module, **asked)["changed"] is False, "it is not a paused guest any more when it is looked at"
    assert driver.lookupByName("web").state()[0] != PAUSED
    assert not note.exists()


def test_the_host_itself_resumes_a_guest_whose_task_is_gone(run: Any, driver: Any, folders: Folders) -> None:
    run("domain", name="web")
    driver.lookupByName("web").suspend()
    note = leave(folders, None)
    call(note.parent)
    arrivals = Arrivals(driver, None, folders)  # type: ignore[arg-type] - no image is pulled
    assert arrivals.waiting() == ["web"]
    assert arrivals.settle("web") == ["End the interrupted switch of a disk of domain web"]
    assert driver.lookupByName("web").state()[0] != PAUSED
    assert not note.exists() and arrivals.waiting() == []
    assert not list(calls_below(Path(folders.vms)).iterdir())


def test_the_host_leaves_the_switch_of_a_task_that_lives_to_it(run: Any, driver: Any, folders: Folders) -> None:
    run("domain", name="web")
    driver.lookupByName("web").suspend()
    note = leave(folders, None)
    found: list[list[str]] = []
    with vm_lock(folders.lock("web"), "web", 0):
        host = threading.Thread(target=lambda: found.append(Arrivals(driver, None, folders).settle("web")))  # type: ignore[arg-type]
        host.start()
        note.unlink()  # the task has ended its switch, and works on
        host.join()
    assert found == [[]]
    assert driver.lookupByName("web").state()[0] == PAUSED


def test_a_guest_is_paused_and_nothing_of_the_past_resumes_it(run: Any, driver: Any, folders: Folders) -> None:
    run("domain", name="web")
    note = leave(folders, None)
    assert run("domain", name="web", state="paused")["domain"]["state"] == "paused"
    assert not note.exists()
    assert run("domain", name="web", state="paused")["changed"] is False
    assert driver.lookupByName("web").state()[0] == PAUSED


@pytest.mark.parametrize("unlisted", [False, True])
def test_a_new_vm_of_the_name_has_nothing_of_it(unlisted: bool, run: Any, folders: Folders) -> None:
    run("domain", name="web", state="stopped")
    note = leave(folders, "vda")
    if unlisted:
        run("domains", domains=[{"name": "other", "state": "stopped"}], unlisted="absent")
    else:
        run("domain", name="web", state="absent", delete_disks=True)
    assert not note.exists()


def test_what_cannot_be_ended_is_about_its_vm(run: Any, folders: Folders) -> None:
    note = leave(folders, None)
    asked = [{"name": "other", "state": "stopped"}, {"name": "web", "state": "stopped", "timeout": 0}]
    with vm_lock(folders.lock("web"), "web", 0):
        failed = run("domains", domains=asked)
    assert failed["msg"].count("domains[1] (web)") == 1 and "another task works on domain web" in failed["msg"], failed
    assert note.exists()
