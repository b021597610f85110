# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that look for the disks of VMs see them: no folder is hidden from them by systemd."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format
from support.hostile import require_records

ROLES = Path(__file__).resolve().parents[3] / "roles"
LOOKING = ["host/templates/edge-gc.service.j2", "host/templates/edge-scrub.service.j2", "hypervisor/files/edge-arrive.service"]
HIDING = {"ProtectHome": {"yes", "true", "on", "1", "tmpfs"}, "PrivateTmp": {"yes", "true", "on", "1", "disconnected"}}
NEVER = {"InaccessiblePaths", "TemporaryFileSystem", "RootDirectory", "RootImage", "PrivateUsers"}


RECORDED = """
import sys
from pathlib import Path
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format, noted_format
note_format(Path(sys.argv[1]), "qcow2")
print(noted_format(Path(sys.argv[1])))
"""


def bounds_of(unit: str) -> list[list[str]]:
    settings = [line.partition("=") for line in (ROLES / unit).read_text().splitlines()]
    return [value.split() for key, _equals, value in settings if key == "CapabilityBoundingSet"]


@pytest.mark.parametrize("unit", [unit for unit in LOOKING if bounds_of(unit)])
def test_the_recorded_format_of_a_disk_is_known_to_a_unit_without_all_capabilities(unit: str, tmp_path: Path) -> None:
    require_records(tmp_path)
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(4096))
    note_format(disk, "raw")
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in bounds_of(unit)[0])
    command = ["setpriv", "--bounding-set", f"-all,{kept}", sys.executable, "-c", RECORDED, str(disk)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "raw", "a guest's header in a raw disk would be read as one of ours"


@pytest.mark.parametrize("unit", LOOKING)
def test_no_folder_is_hidden(unit: str) -> None:
    settings = [line.partition("=") for line in (ROLES / unit).read_text().splitlines() if "=" in line and not line.startswith("#")]
    assert [key for key, _equals, value in settings if key in NEVER or value in HIDING.get(key, set())] == []
    assert all("CAP_DAC_READ_SEARCH" in kept for kept in bounds_of(unit)), "files are found by their handles with it only"
