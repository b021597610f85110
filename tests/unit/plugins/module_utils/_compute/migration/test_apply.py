# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed migration undoes, and what it leaves alone, with two hosts of libvirt's test driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.migration_mark import FILE
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.apply import MigratingVm
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.destination import Address
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.job import MigrationOptions
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.journal import Journal, read_journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.remote_files import Volumes
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict

UUID = "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f"
DOMAIN = f"<domain type='test'><name>web</name><uuid>{UUID}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"
BOOTED = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED)
AFTER_A_HALT = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATION_CANCELED)


@pytest.fixture
def mover(tmp_path: Path) -> Iterator[MigratingVm]:
    """A VM that runs here, and a migration of it that failed in the middle."""
    (tmp_path / "node.xml").write_text("<node/>")
    here, there = (libvirt.open(f"test://{tmp_path}/node.xml") for _number in range(2))
    here.defineXML(DOMAIN).create()
    folder = tmp_path / "web"
    folder.mkdir()
    journal = Journal("host2", UUID, "running", autostart=True)
    made = MigratingVm(
        here, there, "web", str(folder), Address("host2"), Volumes(there, "host2"), MigrationOptions(), print, journal,
        print, before=tuple(here.lookupByName("web").state()),
    )  # fmt: skip
    made.write(journal)
    yield made
    for connection in (here, there):
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()


def phase(mover: MigratingVm) -> str | None:
    journal = read_journal(mover.folder)
    return journal.phase if journal else None


def test_a_guest_that_never_left_is_as_it_was(mover: MigratingVm) -> None:
    assert mover.give_up() == ""
    assert mover.moved["warnings"] == []
    assert mover.here.lookupByName("web").autostart() == 1 and not Path(mover.folder, FILE).exists()


@pytest.mark.parametrize("run", ["running", "paused", "stopped"])
def test_what_runs_or_ran_on_the_destination_is_left_alone(mover: MigratingVm, run: str) -> None:
    there = mover.there.defineXML(DOMAIN)
    if run != "stopped":
        there.create()
    if run == "paused":
        there.suspend()
    assert "nothing was undone" in mover.give_up()
    assert mover.there.lookupByName("web").isActive() == (run != "stopped")
    assert phase(mover) == "prepared" and mover.here.lookupByName("web").autostart() == 0
    with pytest.raises(Conflict, match="nothing was removed there"):
        mover.clear()
    assert mover.there.lookupByName("web").isPersistent()


def test_another_domain_of_that_name_is_left_alone(mover: MigratingVm) -> None:
    mover.there.defineXML(DOMAIN.replace(UUID, "00000000-8f2d-5a53-9b7e-0c7b4c6d1e2f")).create()
    assert mover.give_up() == ""
    assert mover.there.lookupByName("web").isActive()


@pytest.mark.parametrize(
    ("before", "undone"),
    [(BOOTED, True), (AFTER_A_HALT, False), (None, False), ((1, 5), False)],
    ids=["same", "halted", "?", "other"],
)
def test_a_destination_that_does_not_answer_may_run_it(mover: MigratingVm, before: Any, undone: bool) -> None:
    """Unless the guest here was not halted for a moment: then it never left."""
    mover.before = before
    mover.there.close()
    said = mover.give_up()
    assert (said == "") is undone and ("may run there" in said) is not undone
    assert phase(mover) == ("failed" if undone else "prepared")
    assert mover.here.lookupByName("web").autostart() == int(undone)


@pytest.mark.parametrize("reason", [libvirt.VIR_DOMAIN_PAUSED_POSTCOPY, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED])
def test_a_guest_that_went_on_there_by_post_copy_is_to_be_resumed(mover: MigratingVm, reason: int) -> None:
    said = mover._doubt((libvirt.VIR_DOMAIN_PAUSED, reason))
    assert "Destroy neither" in said and "Run this again" in said
