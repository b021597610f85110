# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the library Ansible packs, sends and imports with a module: each task of each host pays for it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.packed import PLUGINS, PREFIX, library, packed, suspects

COLLECTIONS = PLUGINS.parent / "collections"
SPARE = 10  # a module that needs so many fewer than are allowed has become lighter: that is kept, too
# The most files of the library with a module. More than these are for what a module does now and did not before.
FILES = {
    "address": 30,  # 24
    "address_info": 30,  # 25
    "address_network": 25,  # 22
    "appliance_info": 70,  # 66
    "backup": 65,  # 60
    "backup_info": 25,  # 20
    "bridge": 30,  # 27
    "bridge_info": 30,  # 27
    "certificate_authority": 20,  # 18
    "certificate_authority_backup": 25,  # 21
    "cluster_membership_info": 15,  # 10
    "datastore_image": 85,  # 80
    "datastore_image_info": 35,  # 30
    "domain": 250,  # 247
    "domain_clone": 115,  # 113
    "domain_disk": 110,  # 108
    "domain_info": 90,  # 85
    "domain_migration": 135,  # 130
    "domain_snapshot": 105,  # 103
    "domain_snapshot_info": 90,  # 84
    "domains": 255,  # 249
    "host_certificate": 15,  # 10
    "host_certificate_request": 20,  # 17
    "host_files": 20,  # 14
    "host_library": 20,  # 15
    "host_packages": 20,  # 14
    "image_cache": 35,  # 32
    "image_cache_info": 35,  # 32
    "image_scrub": 70,  # 64
    "image_slot": 20,  # 14
    "libvirt_settings": 15,  # 12
    "nat_network": 25,  # 22
    "nat_network_info": 20,  # 17
    "public_address": 45,  # 39
    "public_address_info": 40,  # 38
    "qcow2_image": 45,  # 39
    "qcow2_image_info": 30,  # 27
    "recovery_point": 200,  # 195
    "recovery_point_info": 25,  # 22
    "replica_image": 65,  # 60
    "replica_image_info": 35,  # 30
    "uplink": 50,  # 46
    "virtual_network": 40,  # 35
    "virtual_network_dhcp": 35,  # 29
    "virtual_network_dhcp_info": 35,  # 29
    "virtual_network_info": 30,  # 28
    "virtual_network_path": 40,  # 37
    "virtual_networks": 40,  # 35
    "vlan": 35,  # 33
    "vxlan": 35,  # 33
}


def excess(module: str, most: int) -> str:
    """Return which imports may be to blame."""
    found = suspects(library(), f"modules.{module}", most)[:8]
    rows = [f"  {count:4} files less without: {name} imports {other}" for count, name, other in found]
    return "\n".join(
        [
            f"plugins/modules/{module}.py is packed with {len(packed(library(), f'modules.{module}'))} files of the library, and "
            f"{most} are allowed. The import that is new is probably among these:",
            *rows,
            "Import less: move what is needed to a file of its own, below what is not needed (docs/architecture.md, What a task "
            f"costs). If the module needs all of it, raise its number in {__name__}.FILES.",
        ]
    )


def test_every_module_has_its_bound() -> None:
    assert {path.stem for path in (PLUGINS / "modules").glob("*.py")} == FILES.keys()


@pytest.mark.parametrize(("module", "most"), FILES.items())
def test_a_module_is_packed_with_what_it_needs(module: str, most: int) -> None:
    found = len(packed(library(), f"modules.{module}"))
    assert found <= most, excess(module, most)
    assert found > most - SPARE, f"{module} is packed with {found} files only: lower its number in {__name__}.FILES."


# Ansible finds collections by a hook of imports, which is not for the other tests of this process.
PACK = """
import sys, zipfile, datetime
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
from ansible._internal._ansiballz._builder import ExtensionManager
from ansible.executor.module_common import recursive_finder
with zipfile.ZipFile(sys.argv[4], "w") as archive, open(sys.argv[3], "rb") as module:
    recursive_finder("x", sys.argv[2], module.read(), archive, datetime.datetime.now(), ExtensionManager())
"""


@pytest.mark.parametrize("module", ["domains", "datastore_image"])
def test_ansible_packs_what_is_counted_here(module: str, tmp_path: Path) -> None:
    archive, source = tmp_path / "archive.zip", PLUGINS / "modules" / f"{module}.py"
    words = [str(COLLECTIONS), f"{PREFIX}.modules.{module}", str(source), str(archive)]
    subprocess.run([sys.executable, "-c", PACK, *words], check=True)
    with zipfile.ZipFile(archive) as file:
        names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in file.namelist()]
    found = [name.removeprefix(f"{PREFIX}.") for name in names if name.startswith(f"{PREFIX}.module_utils.")]
    assert sorted(found) == sorted(packed(library(), f"modules.{module}"))


GRAPH = {
    "module": {"small", "engine"},
    "small": {"shared"},
    "engine": {"client", "shared"},
    "client": {"wire", "shared"},
    "wire": (),
    "shared": (),
}


def test_what_one_import_brings_is_named_with_the_import() -> None:
    assert packed(GRAPH, "module") == {"small", "engine", "client", "wire", "shared"}
    assert suspects(GRAPH, "module", 3) == [(2, "engine", "client"), (3, "module", "engine")]
    assert suspects(GRAPH, "module", 4)[0] == (1, "client", "wire")


def test_where_no_import_alone_is_too_much_the_largest_come_first() -> None:
    assert suspects(GRAPH, "module", 0) == [(3, "module", "engine"), (2, "engine", "client")]
