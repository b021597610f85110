# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of networks keeps public addresses in effect, whatever another program does to nftables. With the real nft(8)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._host import networks, public
from ansible_collections.edge.cloud.plugins.module_utils._host.networks import Watch
from ansible_collections.edge.cloud.plugins.module_utils._network.public.host import Places as PublicPlaces
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from support.public_hosts import BRIDGE, MACS, Host, site

FIRST, SECOND = "203.0.113.10", "203.0.113.11"
LONG = 3600.0


@dataclass
class Watched:
    """A host, and the service of its networks, which only the filter calls for within the time of a test."""

    host: Host
    watch: Watch

    def rules(self) -> list[str]:
        """Return the tables, whose order tells only which was made last."""
        listed = self.host.space.run(("nft", "-s", "list", "ruleset")).stdout
        return sorted(table.strip() for table in f"\n{listed}".split("\ntable "))

    def settle(self) -> None:
        """Run until nothing is left to do and no event to read."""
        while self.watch.turn():
            pass
        self.watch.deadline = time.monotonic() + 1
        assert self.watch.turn() == []
        self.watch.deadline = time.monotonic() + LONG

    def have(self, address: str, private: str) -> None:
        given = {"bridge": BRIDGE, "tap": "evt-web", "mac": MACS["web"], "mode": "nat", "private_address": private}
        assert self.host.run("public_address", address=address, **given)["changed"]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with site(tmp_path) as found:
        host = found.hosts[0]
        monkeypatch.setattr(networks, "MONITORS", [host.space.argv(*argv) for argv in networks.MONITORS])
        monkeypatch.setattr(networks, "FILTER", 0.1)
        monkeypatch.setattr(networks, "TRY_AGAIN", LONG)
        monkeypatch.setattr(public, "PLACES", PublicPlaces(host.folder / "public.json", lock=host.folder / "lock"))
        (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        places = Places(tmp_path / "networks.json", tmp_path / "networks.lock", tmp_path / "machine-id")
        with Watch(Networking(host.space, places)) as watch:
            yield Watched(host, watch)


@pytest.mark.parametrize(
    "done",
    [
        "flush ruleset",
        "delete table bridge edge_public",
        "flush table inet edge_public_nat",
        "flush chain bridge edge_public prerouting",
        "flush set bridge edge_public owned4",
        "delete element inet edge_public_nat dnat4 { 203.0.113.10 }",
        "add element bridge edge_public macs { 52:54:00:00:00:99 }",
    ],
)
def test_what_others_do_to_the_filter_is_undone_without_an_event(
    watched: Watched, done: str, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.have(FIRST, "10.0.0.5")
    watched.settle()
    before = watched.rules()
    watched.host.space.run(("nft", *done.split()))
    assert watched.rules() != before
    capsys.readouterr()
    assert watched.watch.turn() != []
    assert watched.rules() == before
    assert "filter" in capsys.readouterr().err


def test_an_address_that_came_after_the_last_run_is_kept_too(watched: Watched) -> None:
    """No event of links tells that a task gave one."""
    watched.settle()
    watched.have(FIRST, "10.0.0.5")
    watched.settle()
    watched.have(SECOND, "10.0.0.6")
    watched.settle()
    before = watched.rules()
    watched.host.space.run(("nft", "flush", "ruleset"))
    assert watched.watch.turn() != []
    assert watched.rules() == before
    for address in (FIRST, SECOND):
        assert watched.host.lose(address)["changed"]
    watched.settle()
    assert watched.rules() == [""]
