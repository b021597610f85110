# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of DHCP services comes back by itself, whole, whatever another program did to it. With the real nft(8)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._files import locked
from ansible_collections.edge.cloud.plugins.module_utils._host import networks
from ansible_collections.edge.cloud.plugins.module_utils._host.networks import Watch
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp import guard
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.definition import Definition
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.guard import restore_filter
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.names import link_of, service_mac
from ansible_collections.edge.cloud.plugins.module_utils._network.dhcp.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from support.dhcp_hosts import DhcpHost, dhcp_hosts

TABLE = ("bridge", "edge_dhcp")


def make(host: DhcpHost, name: str, **changed: Any) -> None:
    subnet = {"subnet": "192.0.2.0/24", "address": "192.0.2.2", "gateway": "192.0.2.1"}
    reconcile(host.services, name, Definition.checked({"name": name, "bridge": "br0", "subnets": [subnet], **changed}), check=False)


def rules(host: DhcpHost) -> str:
    return host.do("nft", "list", "table", *TABLE)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[DhcpHost]:
    with dhcp_hosts(tmp_path) as (one,):
        one.bridge("br0")
        one.do("ip", "address", "add", "192.0.2.1/24", "dev", "br0")
        make(one, "red")
        make(one, "blue", forwarders=["198.51.100.53"])
        yield one


@pytest.mark.parametrize(
    "done",
    [
        "flush ruleset",
        "delete table bridge edge_dhcp",
        "flush table bridge edge_dhcp",
        "flush chain bridge edge_dhcp to_tap",
        "flush set bridge edge_dhcp links",
        "flush set bridge edge_dhcp routed",
        f"delete element bridge edge_dhcp macs {{ {service_mac('red')} }}",
        f'add element bridge edge_dhcp routed {{ "{link_of("red")}" }}',
    ],
)
def test_what_others_change_is_put_back(host: DhcpHost, done: str) -> None:
    before = rules(host)
    assert restore_filter(host.services) == []
    host.do("nft", *done.split())
    assert set(restore_filter(host.services)) <= {"blue", "red"}
    assert rules(host) == before
    assert restore_filter(host.services) == []


def test_what_is_not_ours_stays_and_a_removed_service_is_not_made_again(host: DhcpHost) -> None:
    host.do("nft", "flush", "ruleset")
    host.do("nft", "add", "table", "inet", "theirs")
    reconcile(host.services, "red", None, check=False)
    assert restore_filter(host.services) == ["blue"]
    assert link_of("red") not in rules(host)
    reconcile(host.services, "blue", None, check=False)
    assert restore_filter(host.services) == []
    assert host.do("nft", "list", "tables").split() == ["table", "inet", "theirs"]


def test_a_definition_that_cannot_be_read_stops_no_other(host: DhcpHost) -> None:
    (host.places.files / "red/network.json").write_text("{")
    host.do("nft", "flush", "ruleset")
    assert restore_filter(host.services) == ["blue"]


def test_it_waits_for_no_other_process(host: DhcpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.do("nft", "flush", "ruleset")
    monkeypatch.setattr(guard, "LOCK_SECONDS", 0.1)
    with locked(host.places.lock):
        assert restore_filter(host.services) == []
    assert restore_filter(host.services) == ["blue", "red"]


def test_nft_is_not_asked_where_there_is_no_service(tmp_path: Path, host: DhcpHost) -> None:
    shutil.rmtree(host.places.files)

    class Asked(DhcpHost):
        def run(self, *_words: Any, **_options: Any) -> Any:
            raise EdgeError("asked")

    host.__class__ = Asked
    assert restore_filter(host.services) == []


def test_the_service_of_networks_puts_it_back_and_says_so(
    host: DhcpHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(networks, "DHCP_PLACES", host.places)
    monkeypatch.setattr(networks, "MONITORS", [(*host.inside, *argv) for argv in networks.MONITORS])
    monkeypatch.setattr(networks, "FILTER", 0.1)
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    before = rules(host)
    places = Places(tmp_path / "networks.json", tmp_path / "networks.lock", tmp_path / "machine-id")
    with Watch(Networking(host, places)) as watch:
        for number in range(3):
            host.do("nft", "flush", "ruleset")
            while TABLE[1] not in host.do("nft", "list", "tables"):
                watch.deadline = time.monotonic() + 1
                watch.turn()
            assert rules(host) == before
            said = capsys.readouterr().err
            assert "Put the nftables table bridge edge_dhcp in force for blue, red." in said
            assert ("Another program removed" in said) == bool(number)
