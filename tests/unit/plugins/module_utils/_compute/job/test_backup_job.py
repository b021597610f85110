# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirtd that was killed may have a backup job of which it knows nothing: it is waited for, and named where it stays."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.job import backup_job
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.backup_job import PushBackup
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.block_job import JobLimits
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt


class Lost(libvirt.libvirtError):  # type: ignore[misc]
    """libvirt's error, which only libvirt itself can fill: it takes the words of the last one in this process, if there was one."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says

    def get_error_code(self) -> int:
        return int(libvirt.VIR_ERR_INTERNAL_ERROR)

    def get_error_message(self) -> str:
        return f"internal error: {self.says}"


@pytest.fixture(autouse=True)
def error_before() -> None:
    """Leave an error of another test, as the process has one in any order of tests."""
    with suppress(libvirt.libvirtError):
        libvirt.open("none:///")


class Domain:
    """A domain whose jobs are unknown for some looks."""

    def __init__(self, looks: int, says: str = "backup job data missing") -> None:
        self.looks, self.says = looks, says

    def name(self) -> str:
        return "web"

    def jobStats(self, _flags: int = 0) -> dict[str, Any]:
        self.looks -= 1
        if self.looks >= 0:
            raise Lost(self.says)
        return {"type": libvirt.VIR_DOMAIN_JOB_NONE}


def test_a_job_that_libvirt_knows_again_is_waited_for(tmp_path: Path) -> None:
    domain = Domain(3)
    backup = PushBackup(None, domain, tmp_path / "frozen", JobLimits(1))
    backup._end_earlier("/copy")
    assert domain.looks < 0


def test_a_job_that_stays_unknown_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_job, "RECONNECT", 0.0)
    with pytest.raises(Conflict, match=r"domain web, and has a job now of which it knows nothing.* restart the VM"):
        PushBackup(None, Domain(10**6), tmp_path / "frozen", JobLimits(1))._end_earlier("/copy")


def test_another_error_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="Could not read the job of domain web"):
        PushBackup(None, Domain(10**6, "monitor is gone"), tmp_path / "frozen", JobLimits(1))._end_earlier("/copy")
