# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several modules have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.modules import (
    domain,
    domain_clone,
    domain_disk,
    domain_info,
    domain_migration,
    domain_snapshot,
    domain_snapshot_info,
    domains,
    recovery_point,
)

DOMAIN_MODULES = (
    domain, domain_clone, domain_disk, domain_info, domain_migration, domain_snapshot, domain_snapshot_info, domains,
    recovery_point,
)  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Return folders of the test's own, which all modules of domains take for the host's."""
    found = Folders(*(str(tmp_path / part) for part in ("vms", "images", "locks", "recovery")))
    for path in (found.vms, found.images):
        Path(path).mkdir()
    for module in DOMAIN_MODULES:
        monkeypatch.setattr(module, "FOLDERS", found)
    return found


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what modules write to the journal or syslog."""
    lines: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, msg, log_args=None: lines.append(f"{msg} {log_args}"))
    return lines


@pytest.fixture
def driver() -> Iterator[Any]:
    """Have libvirt's test driver, which keeps its domains while a connection is open, with no domain but its own at the end."""
    connection = libvirt.open("test:///default")
    yield connection
    for found in connection.listAllDomains():
        if found.name() != "test":
            if found.isActive():
                found.destroy()
            found.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
    connection.close()
