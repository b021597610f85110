# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is a hypervisor, then a replica, then a hypervisor again, and both: each serves what it is to, on the same ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from edge_lab.api import Lab, LabHost, unusable
from support.playbook import PlaybookFailed, changed_in, run_book

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(3600)]
NAME = "mind1"
PLAYS = [
    {"hosts": "replica", "roles": [{"role": "edge.cloud.replica"}]},
    {"hosts": "hypervisor", "roles": [{"role": "edge.cloud.hypervisor"}]},
]
UNITS = ["edge-images.service", "edge-replica.service", "edge-fill.timer", "edge-nbd.service", "edge-arrive.path"]
LISTENERS = "ss --no-header --listening --tcp --numeric | awk '{print $4}'"


@dataclass
class Minds:
    """The host, and the roles that it is to have."""

    host: LabHost
    inventory: Path
    folder: Path

    def run(self, *groups: str, **variables: Any) -> int:
        """Run the plays with the host in these groups; return the changes."""
        everything = {"pki_ca_host": NAME, "hypervisor_virt_type": "qemu", "hypervisor_arrivals": True, **variables}
        members = {name: {"hosts": {NAME: {}}} for name in groups}
        file, book = self.folder / "groups.yml", self.folder / "book.yml"
        file.write_text(yaml.safe_dump({"all": {"children": members, "vars": everything}}))
        book.write_text(yaml.safe_dump([play for play in PLAYS if play["hosts"] in groups]))
        return changed_in(run_book(book, self.inventory, file, words=["--limit", NAME]))[NAME]

    def active(self) -> set[str]:
        """Return which of the units run."""
        found = self.host.run(["systemctl", "is-active", *UNITS], check=False).stdout.split()
        return {unit for unit, state in zip(UNITS, found, strict=True) if state == "active"}

    def listens(self, port: int) -> set[str]:
        """Return the addresses on which something listens at a port."""
        shown = self.host.run(["sh", "-c", LISTENERS]).stdout.split()
        return {line.rpartition(":")[0] for line in shown if line.endswith(f":{port}")}


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def minds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minds]:
    if reason := unusable():
        pytest.skip(reason)
    lab = Lab()
    lab.down(NAME)
    try:
        (host,) = lab.up(names=[NAME], variant="full", release=request.param)
        yield Minds(host, lab.inventory, tmp_path_factory.mktemp("mind"))
    finally:
        lab.down(NAME)


HYPERVISOR = {"edge-images.service", "edge-nbd.service", "edge-arrive.path"}
REPLICA = {"edge-replica.service", "edge-fill.timer", "edge-nbd.service"}
STEPS: list[tuple[tuple[str, ...], dict[str, Any], set[str]]] = [
    (("hypervisor",), {}, HYPERVISOR),
    (("replica",), {}, REPLICA | {"edge-arrive.path"}),  # what else a hypervisor has goes with hypervisor_state: absent
    (("hypervisor",), {}, HYPERVISOR),
    (("replica", "hypervisor"), {}, REPLICA | {"edge-arrive.path"}),
    (("replica", "hypervisor"), {"hypervisor_arrivals": "false", "replica_nbd": "false"}, REPLICA - {"edge-nbd.service"}),
    (("replica",), {"replica_nbd": "false"}, REPLICA - {"edge-nbd.service"}),
    (("hypervisor",), {"hypervisor_serves_images": "false"}, HYPERVISOR - {"edge-images.service"}),
    (("hypervisor",), {}, HYPERVISOR),
]


def test_the_host_is_what_it_is_told_to_be(minds: Minds) -> None:
    for number, (groups, variables, units) in enumerate(STEPS):
        minds.run(*groups, **variables)
        assert minds.active() == units, (number, groups)
        assert bool(minds.listens(8444)) == bool({"edge-images.service", "edge-replica.service"} & units), (number, groups)
        own = minds.listens(10809)
        assert (own == {"127.0.0.1"}) == (groups == ("hypervisor",)), (number, groups, own)
    assert minds.run("hypervisor") == 0


def test_no_image_is_taken_from_a_vm_that_waits_for_it(minds: Minds) -> None:
    minds.run("hypervisor")
    folder = "/var/lib/edge/vms/waiting"
    minds.host.run(["sh", "-ec", f"mkdir -p {folder} && touch {folder}/root.arriving.qcow2"])
    with pytest.raises(PlaybookFailed, match="have not arrived on mind1: waiting"):
        minds.run("hypervisor", hypervisor_arrivals="false")
    assert minds.active() == HYPERVISOR
    minds.host.run(["rm", "-r", folder])
    minds.run("hypervisor", hypervisor_arrivals="false")
    assert minds.active() == {"edge-images.service"} and minds.listens(10809) == set()
