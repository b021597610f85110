# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What domain_migration refuses on its own host, on libvirt's test driver; moving is for lab hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host import restore_mark
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.migration_mark import NOTE, note
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.restore_mark import made_folder
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.modules import run_module

NO_HOST = "127.0.0.9"


@pytest.fixture
def migrate(capsys: pytest.CaptureFixture[str], folders: Folders) -> Any:
    def run(*, check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"uri": "test:///default", "name": "web", "destination": NO_HOST, "timeout": 0, **options}
        return run_module(capsys, "domain_migration", check=check, **asked)

    return run


def test_who_works_on_the_vm_is_waited_for_and_then_named(folders: Folders, migrate: Any) -> None:
    with vm_lock(folders.lock("web"), "web", 0):
        failed = migrate()
        assert failed["error"]["code"] == "busy" and folders.lock("web") in failed["msg"] and "web" in failed["msg"]
        assert migrate(check=True)["error"]["code"] == "unreachable", "check mode does not wait"
    assert migrate()["error"]["code"] == "unreachable"


def test_a_vm_that_has_not_wholly_arrived_does_not_leave(folders: Folders, migrate: Any) -> None:
    Path(folders.vm("web")).mkdir(parents=True)
    Path(folders.vm("web"), NOTE).write_bytes(note("host7"))
    assert "on host7 again" in migrate()["msg"]


def test_a_vm_whose_restore_has_not_ended_does_not_leave(folders: Folders, migrate: Any) -> None:
    """Its disks are in another folder than its own, and its files as they were are still in that."""
    made = Path(made_folder(folders.vm("web")))
    made.mkdir(parents=True)
    (made / restore_mark.NOTE).touch()
    failed = migrate()
    assert failed["error"]["code"] == "busy" and "run edge.cloud.recovery_point again" in failed["msg"]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("name", "../x", "name: "),
        ("destination", "a b", "destination: 'a b'"),
        ("destination", "user@host", "destination: 'user@host'"),
        ("destination", NO_HOST, f"destination: libvirt of {NO_HOST} does not answer"),
        ("bandwidth", "10KiB", "bandwidth: "),
        ("bandwidth", "fast", "bandwidth"),
        ("progress_file", "relative", "progress file"),
    ],
)
def test_bad_input_names_the_option_and_the_value(migrate: Any, option: str, value: str, words: str) -> None:
    failed = migrate(**{option: value})
    assert words in failed["msg"], failed
