# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that look for the disks of VMs see them: no folder is hidden from them by systemd."""

from __future__ import annotations

from pathlib import Path

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"
LOOKING = ["host/templates/edge-gc.service.j2", "host/templates/edge-scrub.service.j2", "hypervisor/files/edge-arrive.service"]
HIDING = {"ProtectHome": {"yes", "true", "on", "1", "tmpfs"}, "PrivateTmp": {"yes", "true", "on", "1", "disconnected"}}
NEVER = {"InaccessiblePaths", "TemporaryFileSystem", "RootDirectory", "RootImage", "PrivateUsers"}


@pytest.mark.parametrize("unit", LOOKING)
def test_no_folder_is_hidden(unit: str) -> None:
    settings = [line.partition("=") for line in (ROLES / unit).read_text().splitlines() if "=" in line and not line.startswith("#")]
    assert [key for key, _equals, value in settings if key in NEVER or value in HIDING.get(key, set())] == []
    bounds = [value.split() for key, _equals, value in settings if key == "CapabilityBoundingSet"]
    assert all("CAP_DAC_READ_SEARCH" in kept for kept in bounds), "files are found by their handles with it only"
