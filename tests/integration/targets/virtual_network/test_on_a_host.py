# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of virtual networks on a hypervisor by the real role: what others remove, and a boot."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.names import link_of
from edge_lab.api import Lab, LabHost, unusable
from support.playbook import play, run_book
from support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(3600)]
NAME = "net1"
DHCP = {"name": "private", "bridge": "evb-private", "subnets": [{"subnet": "192.0.2.0/24", "address": "192.0.2.2"}]}
ROLE = {
    "role": "edge.cloud.hypervisor",
    "hypervisor_virt_type": "qemu",
    "hypervisor_serves_images": False,
    "hypervisor_arrivals": False,
    "hypervisor_migration": False,
    "hypervisor_verify_paths": True,
}
SETTING = "/proc/sys/net/bridge/bridge-nf-call-iptables"


class Host:
    """A hypervisor with a VXLAN to the machine, which has no VXLAN but answers, and a DHCP service."""

    def __init__(self, host: LabHost, inventory: Path, machine: str, deployed: str) -> None:
        self.host, self.inventory, self.machine, self.deployed = host, str(inventory), machine, deployed

    def run(self, *argv: str, ok: bool = True) -> str:
        return self.host.run(argv, check=ok).stdout.strip()

    def filtered(self) -> bool:
        listed = self.run("nft", "list", "table", "bridge", "edge_dhcp", ok=False)
        return f'"{link_of("private")}"' in listed and "prerouting" in listed

    def serves(self) -> bool:
        """Return whether the DHCP service is whole, as its module has it."""
        found = play([{"edge.cloud.virtual_network_dhcp": DHCP}], inventory=self.inventory, hosts=NAME, check=True)
        return not found[0]["changed"]

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--boot", "--no-pager", "--output=cat", f"--unit={unit}")

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", f"--property={name}", unit)


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if reason := unusable():
        pytest.skip(reason)
    folder, lab = tmp_path_factory.mktemp("networks"), Lab()
    groups, book = folder / "groups.yml", folder / "book.yml"
    groups.write_text(yaml.safe_dump({"all": {"children": {name: {"hosts": {NAME: {}}} for name in ("frontend", "hypervisor")}}}))
    book.write_text(yaml.safe_dump([{"hosts": NAME, "roles": [ROLE]}]))
    lab.down(NAME)
    try:
        (made,) = lab.up(names=[NAME], release=request.param, variant="full")
        run_book(book, lab.inventory, groups)
        machine = json.loads(made.run(["ip", "-j", "route", "show", "default"]).stdout)[0]["gateway"]
        network = {"name": "private", "type": "vxlan", "vni": 100, "underlay": "host0", "members": [made.address, machine]}
        tasks = [{"edge.cloud.virtual_network": network}, {"edge.cloud.virtual_network_dhcp": DHCP}]
        play(tasks, inventory=str(lab.inventory), hosts=NAME)
        yield Host(made, lab.inventory, machine, run_book(book, lab.inventory, groups))
    finally:
        lab.down(NAME)


def test_the_role_verifies_the_path(host: Host) -> None:
    assert "Verify the paths to the other members of VXLAN networks" in host.deployed
    found = play([{"edge.cloud.virtual_network_path": {}}], inventory=host.inventory, hosts=NAME)[0]
    (path,) = found["paths"]
    assert (path["source"], path["member"]) == (host.host.address, host.machine)
    assert path["carried"] == path["needed"] == 1500


def test_a_flushed_ruleset_is_back_within_seconds(host: Host) -> None:
    assert host.filtered()
    start = time.monotonic()
    host.run("nft", "flush", "ruleset")
    until(host.filtered, "the filter of the DHCP services")
    print(f"the filter was back after {time.monotonic() - start:.1f} s")
    said = "Another program removed or changed it. Put the nftables table bridge edge_dhcp in force for private."
    until(lambda: said in host.journal("edge-networks.service"), "the line in the journal")


def test_a_restart_of_the_firewall_starts_the_dhcp_services(host: Host) -> None:
    """Debian's nftables.service flushes all rules, and removes those of others."""
    before = host.property("edge-dhcp.service", "InvocationID")
    host.run("systemctl", "restart", "nftables.service")
    until(lambda: host.property("edge-dhcp.service", "InvocationID") != before, "a start of edge-dhcp.service")
    until(host.filtered, "the filter of the DHCP services")


def test_a_bridge_that_was_removed_is_back_with_its_service(host: Host) -> None:
    """The service of networks, with all its limits, starts the one of DHCP."""
    before = host.property("edge-dhcp.service", "InvocationID")
    host.run("ip", "link", "delete", "evb-private")
    until(lambda: host.property("edge-dhcp.service", "InvocationID") != before, "a start of edge-dhcp.service")
    until(host.serves, "the DHCP service", every=1)


def test_the_link_of_a_service_that_was_removed_is_back(host: Host) -> None:
    before = host.property("edge-dhcp.service", "InvocationID")
    host.run("ip", "link", "delete", link_of("private"))
    until(lambda: host.property("edge-dhcp.service", "InvocationID") != before, "a start of edge-dhcp.service")
    until(host.serves, "the DHCP service", every=1)


def test_bridged_frames_pass_no_rules_of_iptables(host: Host) -> None:
    assert host.run("cat", SETTING) == "0"


def test_all_is_there_again_after_a_power_cut(host: Host) -> None:
    host.host.kill()
    host.host.start()
    until(lambda: host.property("edge-dhcp.service", "ActiveState") == "inactive", "the end of edge-dhcp.service", every=1)
    until(host.filtered, "the filter of the DHCP services")
    until(host.serves, "the DHCP service", every=1)
    assert host.property("edge-dhcp.service", "Result") == "success"
    assert host.property("edge-networks.service", "ActiveState") == "active"
    assert "Another program" not in host.journal("edge-networks.service")
    assert host.run("cat", SETTING) == "0"
