# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What domain, domains and domain_info do about VMs that moved away from this host or came to it, on libvirt's test driver."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.moved import read_moved, write_moved
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import Peers
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.migration_mark import NOTE, note
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.journal import Journal, write_journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.elsewhere import Arrival, Moved, Sighting
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.arrival import NAMESPACE, PREFIX, arrival_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import Unreachable
from ansible_collections.edge.cloud.plugins.modules import domain, domains
from support.modules import run_module

URI = "test:///default"
SMALL = {"memory": "64MiB", "disks": [{"name": "root", "size": "1MiB"}]}
WHEN = "2026-03-01T09:30:00+00:00"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_any(module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(capsys, module, check=check, uri=URI, **options)

    return run_any


def names_of(driver: Any) -> list[str]:
    return sorted(one.name() for one in driver.listAllDomains() if one.name() != "test")


def moved(folders: Folders, name: str) -> Moved:
    mark = Moved(name, stable_uuid(name), "host2", WHEN)
    write_moved(folders.vms, mark)
    return mark


def arrived(driver: Any, name: str) -> None:
    element, config = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    driver.lookupByName(name).setMetadata(element, arrival_text(Arrival("host1", WHEN)), PREFIX, NAMESPACE, config)


def test_a_vm_that_moved_away_is_not_made_here_again(run: Any, driver: Any, folders: Folders) -> None:
    mark = moved(folders, "a1")
    for state in ("running", "stopped"):
        for check in (True, False):
            failed = run("domain", name="a1", state=state, check=check, **SMALL)
            assert failed["error"]["code"] == "refused" and failed["error"]["host"] == "host2", failed
    several = run("domains", domains=[{"name": "b1"}, {"name": "a1"}], defaults=SMALL)
    assert "domains[1] (a1): name: domain a1" in several["msg"] and several["changed"] is False
    assert run("domain", name="new", uuid=mark.uuid.upper(), **SMALL)["error"]["code"] == "refused"
    assert names_of(driver) == [] and [path.name for path in Path(folders.vms).iterdir()] == [".moved"]
    assert run("domain_info")["moved"] == [{"name": "a1", "uuid": mark.uuid, "destination": "host2", "when": WHEN}]
    assert run("domain", name="a1", state="absent", delete_disks=True)["changed"] is False
    assert read_moved(folders.vms) == (mark,), "who wants it absent here does not say that it is gone there"


def test_the_word_that_it_is_gone_makes_it_anew_and_ends_the_mark(run: Any, folders: Folders) -> None:
    moved(folders, "a1")
    assert run("domain", name="a1", allow_recreate=True, **SMALL)["changed"]
    assert run("domain", name="a1", **SMALL)["changed"] is False, "the mark means nothing while it is here"
    assert run("domain_info")["moved"] == []
    run("domain", name="a1", state="absent", delete_disks=True)
    assert read_moved(folders.vms) == ()
    assert run("domain", name="a1", **SMALL)["changed"]


def test_a_run_that_breaks_off_making_it_anew_is_finished_by_the_next(run: Any, folders: Folders) -> None:
    moved(folders, "a1")
    data = {"name": "data", "size": "16MiB", "preallocation": "falloc"}
    two = {**SMALL, "disks": [*SMALL["disks"], data], "allow_recreate": True}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 1024 * 1024, hard))
    try:
        failed = run("domain", name="a1", **two)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed["failed"] and len(failed["error"]["done"]) == 1, failed
    assert Path(folders.vm("a1"), "root.qcow2").exists()
    assert run("domain", name="a1", **two)["changed"]


@pytest.mark.parametrize("left", ["root.qcow2", "root.before.qcow2", "data.qcow2", "snapshots.json", "before.memory", "nvram.fd"])
def test_a_vm_is_not_made_anew_from_what_a_migration_left_of_it(run: Any, driver: Any, folders: Folders, left: str) -> None:
    moved(folders, "a1")
    assert run("domain", name="b1", **SMALL)["changed"]
    Path(folders.vm("b1")).rename(folders.vm("a1"))
    stale = Path(folders.vm("a1"), "root.qcow2").rename(Path(folders.vm("a1"), left))
    Path(folders.vm("a1"), "console.log").touch()
    for check in (True, False):
        failed = run("domain", name="a1", allow_recreate=True, check=check, **SMALL)
        assert failed["msg"].startswith("allow_recreate: domain a1") and str(stale) in failed["msg"], failed
        assert (failed["error"]["code"], failed["error"]["files"]) == ("refused", [str(stale)])
    assert "a1" not in names_of(driver) and len(read_moved(folders.vms)) == 1
    stale.unlink()
    assert run("domain", name="a1", allow_recreate=True, **SMALL)["changed"]


def test_what_came_from_another_host_is_not_removed_for_not_being_listed(run: Any, driver: Any) -> None:
    run("domains", domains=[{"name": name} for name in ("a1", "b1", "c1")], defaults=SMALL)
    arrived(driver, "a1")
    purge = {"domains": [{"name": "b1"}], "defaults": {**SMALL, "delete_disks": True}, "unlisted": "absent"}
    planned = run("domains", check=True, **purge)
    done = run("domains", **purge)
    assert done["actions"] == planned["actions"] and "c1" in " ".join(done["actions"])
    assert names_of(driver) == ["a1", "b1"]
    for result in (planned, done):
        assert "domain a1 came from host1" in str(result["warnings"]), result
    again = run("domain", name="a1", memory="128MiB")
    assert again["domain"]["arrival"] == {"source": "host1", "when": WHEN}, "a change of the domain keeps the mark"
    (info,) = run("domain_info", name="a1")["domains"]
    assert info["arrival"]["source"] == "host1"
    assert run("domain", name="a1", state="absent", delete_disks=True)["changed"]
    assert names_of(driver) == ["b1"]


def test_what_is_arriving_from_another_host_holds_up_no_list_of_this_one(run: Any, driver: Any, folders: Folders) -> None:
    """libvirt shows a domain from the moment that its memory arrives; its mark of arrival comes after all of it."""
    run("domains", domains=[{"name": name} for name in ("a1", "b1", "c1")], defaults=SMALL)
    Path(folders.vm("a1"), NOTE).write_bytes(note("host1", stable_uuid("a1")))
    purge = {"domains": [{"name": "b1"}], "defaults": {**SMALL, "delete_disks": True}, "unlisted": "absent"}
    planned = run("domains", check=True, **purge)
    done = run("domains", **purge)
    assert not done["failed"] and done["actions"] == planned["actions"], done
    assert names_of(driver) == ["a1", "b1"]
    for result in (planned, done):
        assert "domain a1 is arriving" in str(result["warnings"]), result
    assert run("domain", name="a1", state="absent")["error"]["code"] == "busy"


@pytest.mark.parametrize("phase", ["prepared", "post-copy", "moved"])
def test_what_a_killed_migration_may_have_taken_away_is_not_removed_without_a_mark(
    run: Any, driver: Any, folders: Folders, phase: str
) -> None:
    """libvirt goes on without the task: the domain may run here, and a moment later on the destination."""
    run("domains", domains=[{"name": name} for name in ("a1", "b1", "c1")], defaults=SMALL)
    journal = Journal("host2", stable_uuid("a1"), "running", True, phase=phase)
    write_journal(folders.vm("a1"), journal)
    for check in (True, False):
        failed = run("domain", name="a1", state="absent", force_stop=True, delete_disks=True, check=check)
        assert (failed["error"]["code"], failed["error"]["destination"]) == ("busy", "host2"), failed
        assert "run edge.cloud.domain_migration with destination host2 again" in failed["msg"]
    assert driver.lookupByName("a1").isActive() and Path(folders.vm("a1"), "root.qcow2").exists()
    purge = {"domains": [{"name": "b1"}], "defaults": {**SMALL, "delete_disks": True}, "unlisted": "absent"}
    done = run("domains", **purge)
    assert names_of(driver) == ["a1", "b1"] and "domain a1 is leaving" in str(done["warnings"]), done
    write_journal(folders.vm("a1"), replace(journal, phase="failed"))
    assert run("domain", name="a1", state="absent", force_stop=True, delete_disks=True)["changed"]
    assert names_of(driver) == ["b1"]


ASKED: list[str] = []


def ask(host: str) -> list[Sighting]:
    ASKED.append(host)
    if host == "silent":
        raise Unreachable("No route to host.")
    return [Sighting(host, "a1", stable_uuid("a1"))]


def test_other_hypervisors_are_asked_before_a_vm_is_made(run: Any, driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (domain, domains):
        monkeypatch.setattr(module, "peers_of_cluster", lambda: Peers(("host3", "silent"), ask))
    for check in (True, False):
        failed = run("domain", name="a1", check=check, allow_recreate=True, **SMALL)
        assert failed["error"] == {**failed["error"], "code": "conflict", "host": "host3"}
        failed = run("domains", domains=[{"name": "b1"}, {"name": "a1"}], defaults=SMALL, check=check)
        assert "domains[1] (a1): name: host3 has domain a1" in failed["msg"]
    assert names_of(driver) == []
    made = run("domain", name="b1", **SMALL)
    assert made["changed"] and "silent (No route to host)" in str(made["warnings"])
    assert run("domains", domains=[{"name": "b1"}, {"name": "c1"}, {"name": "d1"}], defaults=SMALL)["changed"]
    asked = sorted(ASKED)
    assert asked == sorted(["host3", "silent"] * 6), "once for each run that makes something"
    run("domain", name="b1", **SMALL)
    run("domains", domains=[{"name": "b1"}, {"name": "c1"}], defaults={**SMALL, "state": "absent"})
    assert sorted(ASKED) == asked, "asked although nothing is made"
