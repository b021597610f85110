# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge-host status shows services that fail and those that are started again and again, on a Front-end alone too."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from edge_lab.api import LabHost
from support import lab_cluster
from support.lab_cluster import Site

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
SERVERS = {"edge-nbd.service", "edge-replica.service", "edge-points-server.service"}
CHECK = "edge-certificates-check.service"
DUE = f"""
mkdir -p /run/systemd/system/{CHECK}.d
printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/edge-certificates check --renew-before-days=400 /etc/edge/pki\\n' \\
  > /run/systemd/system/{CHECK}.d/due.conf
systemctl daemon-reload
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    with lab_cluster.site("fs", folder, replicas=1, hypervisors=[], nbd=True, release=request.param) as made:
        made.run(lab_cluster.book(True)[:2])
        yield made


def status(host: LabHost) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.run(["edge-host", "status"]).stdout)
    return found


def wrong(host: LabHost) -> dict[str, Any]:
    return {key: value for key, value in status(host).items() if key in ("failed", "restarting", "certificates")}


NOTHING: dict[str, Any] = {"failed": [], "restarting": [], "certificates": []}


def until(host: LabHost, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
    """Wait for what is started again to be as ``holds`` says, never longer than minutes."""
    end = time.monotonic() + 600
    while not holds(found := restarting(host)):
        assert time.monotonic() < end, found


def restarting(host: LabHost) -> dict[str, dict[str, Any]]:
    return {row["unit"]: row for row in status(host)["restarting"]}


def test_a_front_end_alone_shows_a_check_of_its_certificates_that_failed(site: Site) -> None:
    front = site.front
    assert status(front) == NOTHING, "it is in no cluster"
    front.run(["touch", "/etc/edge/pki/empty.crt"])
    assert front.run(["systemctl", "start", CHECK], check=False).returncode != 0
    front.run(["sh", "-c", "until test -e /var/lib/edge/failed/edge-certificates-check; do sleep 0.2; done"])
    found = status(front)
    assert [row["unit"] for row in found["failed"]] == [CHECK]
    assert "empty.crt cannot be used" in found["certificates"][0]
    told = front.run(["journalctl", "--priority=err", "--output=cat", "--unit=edge-failed@edge-certificates-check.service"]).stdout
    assert f"{CHECK} failed" in told
    front.run(["rm", "/etc/edge/pki/empty.crt"])
    front.run(["systemctl", "start", CHECK])
    assert status(front) == NOTHING


def test_slots_that_cannot_end_are_shown_until_they_can(site: Site) -> None:
    front, slots = site.front, "/var/lib/edge/incoming/edge-slots"
    front.run(["sh", "-ec", f"mv {slots} {slots}.kept && touch {slots}"])
    assert front.run(["systemctl", "start", "edge-slots.service"], check=False).returncode != 0
    front.run(["sh", "-c", "until test -e /var/lib/edge/failed/edge-slots; do sleep 0.2; done"])
    assert [row["unit"] for row in status(front)["failed"]] == ["edge-slots.service"]
    front.run(["sh", "-ec", f"rm {slots} && mv {slots}.kept {slots}"])
    front.run(["systemctl", "start", "edge-slots.service"])
    assert status(front) == NOTHING


def test_servers_that_a_wrong_certificate_keeps_from_their_start_are_shown(site: Site) -> None:
    host = site.hosts["fs-r1"]
    assert wrong(host) == NOTHING
    host.run(["sh", "-ec", "cp /etc/edge/pki/host.crt /root/host.crt && echo no certificate > /etc/edge/pki/host.crt"])
    host.run(["systemctl", "--no-block", "restart", *sorted(SERVERS)])
    until(host, lambda found: found.keys() >= SERVERS and all(found[unit]["restarts"] > 1 for unit in SERVERS))
    for _any in range(10):  # at whatever moment of a try
        assert restarting(host).keys() >= SERVERS
    assert {row["unit"] for row in status(host)["failed"]} & SERVERS == set(), "systemd does not give them up"

    host.run(["cp", "/root/host.crt", "/etc/edge/pki/host.crt"])
    until(host, lambda found: all(row["state"] == "active (running)" for row in found.values()))
    assert set(host.run(["systemctl", "is-active", *sorted(SERVERS)]).stdout.split()) == {"active"}
    host.run(["systemctl", "restart", *sorted(SERVERS)])  # systemd counts from zero again
    assert not restarting(host).keys() & SERVERS


def test_a_certificate_that_is_to_be_renewed_is_a_warning_with_the_command(site: Site) -> None:
    host = site.hosts["fs-r1"]
    host.run(["systemctl", "start", CHECK])
    assert status(host)["certificates"] == []
    host.run(["sh", "-ec", DUE])
    host.run(["systemctl", "start", CHECK])
    (warning,) = status(host)["certificates"]
    assert "host.crt" in warning and "is to be renewed" in warning and "--limit fs-r1" in warning
    told = host.run(["journalctl", "--priority=warning", "--output=cat", f"--unit={CHECK}"]).stdout
    assert warning in told.splitlines()
    assert CHECK not in [row["unit"] for row in status(host)["failed"]], "there is time"
