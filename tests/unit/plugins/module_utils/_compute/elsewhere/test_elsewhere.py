# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks of VMs that moved away, and the answers of other hypervisors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere import peers as peers_module
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.check import check_elsewhere
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.moved import (
    forget_moved,
    moved_path,
    read_moved,
    write_moved,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import Peers, peers_of_cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.elsewhere import Arrival, Moved, Sighting
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.arrival import (
    NAMESPACE,
    PREFIX,
    arrival_text,
    read_arrival,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError, Refused

UUID, OTHER = "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f", "00000000-8f2d-5a53-9b7e-0c7b4c6d1e2f"
MARK = Moved("web", UUID, "host2", "2026-03-01T09:30:00+00:00")


def test_a_mark_is_read_as_it_was_written_and_goes_when_it_is_forgotten(tmp_path: Path) -> None:
    vms = str(tmp_path)
    assert read_moved(vms) == ()
    forget_moved(vms, UUID)
    write_moved(vms, MARK)
    write_moved(vms, Moved("db", OTHER, "host3", "later"))
    write_moved(vms, MARK)
    assert set(read_moved(vms)) == {MARK, Moved("db", OTHER, "host3", "later")}
    forget_moved(vms, OTHER)
    assert read_moved(vms) == (MARK,)
    assert [path.name for path in tmp_path.iterdir()] == [".moved"], "no VM's folder, and hidden"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "web"}'])
def test_a_damaged_mark_still_refuses(tmp_path: Path, text: str) -> None:
    write_moved(str(tmp_path), MARK)
    Path(moved_path(str(tmp_path), UUID)).write_text(text)
    with pytest.raises(Refused, match="another host"):
        check_elsewhere("web", UUID, read_moved(str(tmp_path)), (), allow_recreate=False)


def test_what_moved_away_is_not_made_again_without_a_word() -> None:
    for name, uuid in (("web", UUID), ("web", OTHER), ("new", UUID)):
        with pytest.raises(Refused, match=r"name: .*moved from this host to host2 on 2026-03-01.*allow_recreate"):
            check_elsewhere(name, uuid, [MARK], (), allow_recreate=False)
        check_elsewhere(name, uuid, [MARK], (), allow_recreate=True)
    check_elsewhere("new", OTHER, [MARK], (), allow_recreate=False)


def test_what_another_has_is_not_made_a_second_time() -> None:
    seen = [Sighting("host3", "web", UUID)]
    for name, uuid, allowed in (("web", UUID, False), ("web", UUID, True), ("new", UUID, True), ("web", OTHER, False)):
        with pytest.raises(Conflict, match="host3 has domain web"):
            check_elsewhere(name, uuid, (), seen, allow_recreate=allowed)
    check_elsewhere("web", OTHER, (), seen, allow_recreate=True)
    check_elsewhere("new", OTHER, (), seen, allow_recreate=False)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_hosts_are_asked_side_by_side_and_not_waited_for(release: threading.Event) -> None:
    """Two hosts that answer only after each other was asked answer; one that hangs and one that fails are named."""
    together = threading.Barrier(2, timeout=60)

    def ask(host: str) -> list[Sighting]:
        if host == "hangs":
            release.wait()
            return []
        if host == "fails":
            raise EdgeError("No route to host.")
        together.wait()
        return [Sighting(host, f"vm-{host}", UUID)]

    peers = Peers(("a", "hangs", "b", "fails"), ask, seconds=2)
    assert peers.warnings() == [], "nobody was asked"
    assert {one.host for one in peers.answers.sightings} == {"a", "b"}
    (warning,) = peers.warnings()
    assert "hangs (no answer within 2 s)" in warning and "fails (No route to host)" in warning


def test_who_is_asked_is_in_the_file_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, certificate = tmp_path / "cluster.json", tmp_path / "clientcert.pem"
    monkeypatch.setattr(_cluster, "FILE", file)
    monkeypatch.setattr(peers_module, "CERTIFICATE", certificate)
    members = [{"name": name, "url": f"https://{name}.example/"} for name in ("host1", "host2")]
    file.write_text(json.dumps({"name": "edge", "host": "host1", "peers": members, "replicas": [members[1]]}))
    assert peers_of_cluster() == Peers(replicas=1), "VMs of a host without libvirt's certificate do not migrate"
    certificate.write_text("")
    assert peers_of_cluster() == Peers(("host2",), replicas=1)
    file.write_text(json.dumps({"name": "edge", "host": "host1", "peers": members, "hypervisors": ["host1", "host3"]}))
    assert peers_of_cluster() == Peers(("host3",), replicas=0)
    known = {"name": "edge", "host": "host1", "replicas": members, "points": members[:1]}
    file.write_text(json.dumps(known))
    assert peers_of_cluster().replicas == 0, "the other one keeps no points"
    file.write_text("{")
    broken = peers_of_cluster()
    assert broken.answers.sightings == () and "not JSON" in broken.warnings()[0]
    file.unlink()
    assert peers_of_cluster() == Peers()


def test_a_host_where_nothing_listens_is_named_soon() -> None:
    peers = Peers(("127.0.0.9",))
    assert peers.answers.sightings == () and "127.0.0.9 (" in peers.warnings()[0]


def test_libvirt_keeps_the_mark_of_arrival(driver: libvirt.virConnect) -> None:
    found = driver.lookupByName("test")
    arrival = Arrival("host1", "2026-03-01T09:30:00+00:00")
    element, config = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    assert read_arrival(parse_xml(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))) is None
    found.setMetadata(element, arrival_text(arrival), PREFIX, NAMESPACE, config)
    assert read_arrival(parse_xml(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))) == arrival
    found.setMetadata(element, None, PREFIX, NAMESPACE, config)
    assert read_arrival(parse_xml(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))) is None


@pytest.fixture
def driver() -> Iterator[libvirt.virConnect]:
    connection = libvirt.open("test:///default")
    yield connection
    connection.close()
