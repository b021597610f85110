# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stolen key opens a host until it is revoked, and nothing after; a change of the CA interrupts nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from edge_lab.api import LabHost
from support import lab_cluster
from support.images import small
from support.lab_cluster import Site
from support.playbook import TREE, PlaybookFailed, changed_in, run_book
from support.tls_doors import Doors
from support.vm_host import IMAGES

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
PEERS = ["rv-h1", "rv-r1"]
HYPERVISOR = {"hypervisor_virt_type": "qemu", "hypervisor_migration": True, "hypervisor_migration_peers": PEERS}
NBD_READERS = {"image_server_nbd_readers": [*PEERS, "qemu/rv-h1"]}
PLAYS = [
    {"hosts": "frontend", "roles": [{"role": "edge.cloud.frontend"}]},
    {"hosts": "replica", "roles": [{"role": "edge.cloud.replica"}]},
    {"hosts": "hypervisor", "vars": NBD_READERS, "roles": [{"role": "edge.cloud.hypervisor", **HYPERVISOR}]},
]
ONE_HOST = [{"hosts": "rv-h1", "gather_facts": False, "roles": [{"role": "edge.cloud.pki"}]}]
DOORS = {"nginx", "libvirt", "nbd", "frontend"}


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with lab_cluster.site("rv", tmp_path_factory.mktemp("rv"), replicas=1, hypervisors=[release], release=release) as made:
        made.run(PLAYS)
        yield made


@pytest.fixture(scope="module")
def doors(site: Site) -> Doors:
    host = site.hosts["rv-h1"]
    file, about, digest = small(site.folder / "image")
    image = digest.removeprefix("sha256:")
    for path in (file, about.with_suffix(".pieces"), about):
        host.put(path, f"{IMAGES}/{image}{path.suffix}")
    return Doors(host, "rv-front", image)


def taken(host: LabHost, pair: str = "host") -> dict[str, str]:
    """Return what a thief takes from a host: its key, or that of its QEMU, and the certificates."""
    found = {"ca.crt": "ca.crt", "host.crt": f"{pair}.crt", "host.key": f"{pair}.key"}
    return {kind: host.run(["cat", f"/etc/edge/pki/{name}"]).stdout for kind, name in found.items()}


def without(site: Site, name: str) -> tuple[Path, Path]:
    """Return inventories that a host has been taken from."""
    files = []
    for number, path in enumerate((site.lab.inventory, site.groups)):
        found = yaml.safe_load(path.read_text())

        def pruned(tree: object) -> object:
            return {key: pruned(value) for key, value in tree.items() if key != name} if isinstance(tree, dict) else tree

        files.append(site.folder / f"without{number}.yml")
        files[-1].write_text(yaml.safe_dump(pruned(found)))
    return files[0], files[1]


def book(site: Site, name: str, *words: str) -> str:
    return run_book(TREE / f"playbooks/{name}.yml", site.lab.inventory, site.groups, words=words)


def on_one_host(site: Site, *inventories: Path) -> dict[str, int]:
    """Run the role pki on rv-h1 alone; return the changes by host."""
    file = site.folder / "one.yml"
    file.write_text(yaml.safe_dump(ONE_HOST))
    return changed_in(run_book(file, *inventories))


def test_a_key_opens_what_its_name_may(site: Site, doors: Doors, release: str) -> None:
    # Here the cluster is all hosts, the Front-end too. nbdkit of Debian 12 cannot tell names.
    by_name = {"nbd"} if release == "bookworm" else set()
    assert doors.opened("front", taken(site.front)) == {"nginx", "frontend"} | by_name
    assert doors.opened("qemu", taken(site.hosts["rv-h1"], "qemu")) == {"nbd"}


def test_a_host_that_left_the_inventory_is_refused_everywhere_after_a_run_of_one_host(site: Site, doors: Doors) -> None:
    stolen = taken(site.hosts["rv-r1"])
    assert doors.opened("stolen", stolen) == DOORS, "before"
    fewer = without(site, "rv-r1")
    on_one_host(site, *fewer)
    assert doors.opened("stolen", stolen) == set()
    assert set(on_one_host(site, *fewer).values()) == {0}
    on_one_host(site, site.lab.inventory, site.groups)
    assert doors.opened("stolen", stolen) == DOORS, "it is back in the inventory"


def test_a_stolen_key_is_refused_by_every_server_once_its_host_is_revoked(site: Site, doors: Doors) -> None:
    stolen, own = taken(site.hosts["rv-r1"]), taken(site.hosts["rv-h1"])
    with pytest.raises(PlaybookFailed, match="has signed no certificate of rv-r9"):
        book(site, "revoke_host", "-e", "revoke_host_name=rv-r9")
    assert doors.opened("stolen", stolen) == DOORS, "an unknown name revokes nobody"
    book(site, "revoke_host", "-e", "revoke_host_name=rv-r1")
    assert doors.opened("stolen", stolen) == set()
    assert doors.opened("own", own) == DOORS
    with pytest.raises(PlaybookFailed, match="is that of a revoked one"):
        site.run(PLAYS, "rv-r1")
    assert doors.opened("stolen", stolen) == set()


def test_a_change_of_the_ca_admits_the_same_hosts(site: Site, doors: Doors) -> None:
    host, fewer = site.hosts["rv-h1"], without(site, "rv-r1")
    old, stolen = taken(host), taken(site.hosts["rv-r1"])
    run_book(TREE / "playbooks/rotate_ca.yml", *fewer)
    assert "G2" in host.run(["openssl", "x509", "-noout", "-issuer", "-in", "/etc/edge/pki/host.crt"]).stdout
    assert doors.opened("own", taken(host)) == DOORS
    assert doors.opened("old", old) == doors.opened("stolen", stolen) == set()
    assert set(on_one_host(site, *fewer).values()) == {0}


def test_a_lost_ca_is_restored_of_an_older_backup_and_admits_the_same_hosts(site: Site, doors: Doors) -> None:
    fewer, kept = without(site, "rv-r1"), site.folder / "ca.vault"
    words = ["-e", "backup_ca_passphrase=of-a-test", "-e", "restore_ca_passphrase=of-a-test"]
    words += ["-e", f"backup_ca_file={kept}", "-e", f"restore_ca_file={kept}"]
    run_book(TREE / "playbooks/backup_ca.yml", *fewer, words=words)
    stolen, own = taken(site.hosts["rv-h1"], "qemu"), taken(site.hosts["rv-h1"])
    book(site, "revoke_host", "-e", "revoke_host_name=rv-h1", "--limit", "rv-front,rv-h1")
    site.front.run(["mv", "/etc/edge/pki/ca", "/root/lost"])
    with pytest.raises(PlaybookFailed, match="there is no CA here"):
        on_one_host(site, *fewer)
    run_book(TREE / "playbooks/restore_ca.yml", *fewer, words=words)
    assert "rv-h1" in site.front.run(["ls", "/etc/edge/pki/ca/revoked"]).stdout, "the backup did not have it as revoked"
    site.hosts["rv-h1"].run(["sh", "-ec", "rm /etc/edge/pki/*.key /etc/edge/pki/host.crt /etc/edge/pki/qemu.crt"])
    on_one_host(site, *fewer)
    assert set(on_one_host(site, *fewer).values()) == {0}
    assert doors.opened("own", taken(site.hosts["rv-h1"])) == DOORS
    assert doors.opened("old", own) == doors.opened("old-qemu", stolen) == set()
