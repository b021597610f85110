# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All units are hardened alike, and those that look for the disks of VMs see them: no folder is hidden from them by systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format
from support.hostile import require_records

ROLES = Path(__file__).resolve().parents[3] / "roles"
LOOKING = [
    "host/templates/edge-gc.service.j2",
    "host/templates/edge-scrub.service.j2",
    "hypervisor/templates/edge-arrive.service.j2",
    "hypervisor/templates/edge-points.service.j2",
    "hypervisor/templates/edge-drills.service.j2",
]
# the disks of VMs, wherever what they stand on is
WRITING = {"edge-arrive.service.j2", "edge-points.service.j2", "edge-drills.service.j2"}
HIDING = {"ProtectHome": {"yes", "true", "on", "1", "tmpfs"}, "PrivateTmp": {"yes", "true", "on", "1", "disconnected"}}
SERVICES = [  # without those of others that a role has only a part of
    path
    for path in sorted(ROLES.glob("*/*/*.service*"))
    if path.parent.parent.name != "appliance" and ".service.conf" not in path.name
]
COMMON = {
    "NoNewPrivileges", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
    "ProtectKernelTunables", "LockPersonality", "MemoryDenyWriteExecute", "RestrictNamespaces", "RestrictRealtime",
    "RestrictSUIDSGID",
}  # fmt: skip
# edge-dhcp.service makes network name spaces. They are mounts, which a unit with mounts of its own would hide from the host.
OWN_MOUNTS = {
    "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
    "ProtectSystem", "RestrictNamespaces",
}  # fmt: skip
ALSO = {"CapabilityBoundingSet", "RestrictAddressFamilies", "SystemCallArchitectures", "SystemCallFilter"}
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


def settings_of(unit: Path) -> dict[str, list[str]]:
    """Return the values of each setting, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_every_service_has_the_common_limits(unit: Path) -> None:
    settings = settings_of(unit)
    own_mounts = OWN_MOUNTS if unit.name == "edge-dhcp.service" else set()
    assert {key for key in COMMON - own_mounts if settings.get(key) != ["yes"]} == set()
    assert not own_mounts & set(settings)
    if unit.name in WRITING:
        assert set(settings) & {"CapabilityBoundingSet", "ProtectSystem"} == set() and ALSO - set(settings) == {
            "CapabilityBoundingSet"
        }
    else:
        assert ALSO - set(settings) == set() and settings.get("ProtectSystem", ["strict"] if own_mounts else []) == ["strict"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_what_is_started_again_is_never_given_up(unit: Path) -> None:
    settings = settings_of(unit)
    assert "Restart" not in settings or settings.get("StartLimitIntervalSec") == ["0"]


# They need neither images nor recovery points nor VMs' disks.
NO_STORE = {
    "edge-certificates.service.j2", "edge-certificates-check.service.j2", "edge-failed@.service.j2", "edge-nbd-restart.service.j2",
    "edge-networks.service", "edge-dhcp.service", "edge-dhcp@.service",
}  # fmt: skip
ROOTS = re.compile(r"\b\w+_(?:root|folder|incoming)\b")
DISKS = "/var/lib/edge/vms"


@pytest.mark.parametrize("unit", [unit for unit in SERVICES if unit.name not in NO_STORE], ids=lambda path: path.name)
def test_what_uses_a_store_waits_for_its_file_system(unit: Path) -> None:
    """A store on a file system that is mounted late would be taken for an empty one, and filled beside it."""
    settings = settings_of(unit)
    (mounts,) = settings["RequiresMountsFor"]
    used = {root for values in settings.values() for value in values for root in ROOTS.findall(value)}
    assert used and used <= set(re.findall(r"\w+", mounts))
    if unit.name in WRITING:
        assert {"{{ host_images_root }}", "{{ host_recovery_root }}"} <= set(re.findall(r"{{.*?}}", mounts))
        assert DISKS in mounts.split()


STARTED = [  # by a timer or a path
    service
    for starter in sorted([*ROLES.glob("*/*/*.timer*"), *ROLES.glob("*/*/*.path*")])
    for service in SERVICES
    if service.name.split(".")[0] == starter.name.split(".")[0]
]


@pytest.mark.parametrize("unit", STARTED, ids=lambda path: path.name)
def test_a_failure_of_what_is_started_without_a_restart_is_noted(unit: Path) -> None:
    settings = settings_of(unit)
    assert ("Restart" in settings) or settings["OnFailure"] == ["edge-failed@%p.service"]


@pytest.mark.parametrize("unit", [unit for unit in SERVICES if "OnFailure" in settings_of(unit)], ids=lambda path: path.name)
def test_a_service_whose_failure_is_noted_removes_the_note_when_it_succeeds(unit: Path) -> None:
    settings = settings_of(unit)
    assert settings["OnFailure"] == ["edge-failed@%p.service"]
    assert settings["ExecStartPost"] == ["/usr/bin/rm -f /var/lib/edge/failed/%p"]
    writes = {
        *settings.get("ReadWritePaths", [""])[0].split(),
        *(f"/var/lib/{name}" for name in settings.get("StateDirectory", [])),
    }
    assert "ProtectSystem" not in settings or {"/var/lib/edge/failed", "/var/lib/edge"} & writes


@pytest.mark.parametrize("unit", LOOKING)
def test_files_can_be_opened_by_their_handles(unit: str) -> None:
    filters = settings_of(ROLES / unit)["SystemCallFilter"]
    assert "open_by_handle_at" in filters or filters[0].startswith("~")
    assert not any("open_by_handle_at" in value or "@privileged" in value for value in filters if value.startswith("~"))


def test_the_nbd_server_is_not_root_and_does_not_see_the_key_of_the_ca() -> None:
    settings = settings_of(ROLES / "image_server/templates/edge-nbd.service.j2")
    assert settings["User"] == ["edge-nbd"]
    assert "-/etc/edge/pki/ca" in settings["InaccessiblePaths"][0].split()
    assert set(settings["CapabilityBoundingSet"][0].split()) == {"CAP_DAC_OVERRIDE", "CAP_FOWNER"}


@pytest.mark.parametrize("name", ["edge-points-server", "edge-points-nbd"])
def test_the_servers_of_recovery_points_only_read_and_see_few_files(name: str) -> None:
    settings = settings_of(ROLES / f"image_server/templates/{name}.service.j2")
    assert settings["User"] == ["edge-points"] and "ReadWritePaths" not in settings and "BindPaths" not in settings
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == ["CAP_DAC_READ_SEARCH"]
    assert "/var:ro" in settings["TemporaryFileSystem"][0].split()
    assert "-/etc/edge/pki/ca" in settings["InaccessiblePaths"][0].split()
