# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests whose agents are silent, by domains that answer as libvirt does: the others do not wait for them."""

from __future__ import annotations

from typing import Any

import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.agent import AGENT_SECONDS
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.addresses import SHORTLY, Guest, addresses_of_all
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Nic

AGENT, LEASE = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE


class Domain:
    """A domain of libvirt elsewhere; each question to its agent is noted in ``log`` with the limit that it has then."""

    def __init__(self, number: int, log: list[tuple[int, int]], *, answers_within: int | None, lease: bool = False) -> None:
        self.number, self.log, self.answers_within, self.lease = number, log, answers_within, lease
        self.limit = -2

    @property
    def nic(self) -> Nic:
        return Nic("nic0", f"52:54:00:00:00:{self.number:02x}", bridge="br0")

    def connect(self) -> Domain:
        return self

    def getURI(self) -> str:
        return "qemu+ssh://hv.example/system"

    def name(self) -> str:
        return f"vm{self.number}"

    def agentSetResponseTimeout(self, seconds: int, _flags: int) -> None:
        self.limit = seconds

    def interfaceAddresses(self, source: int, _flags: int) -> dict[str, Any]:
        host = f"192.0.2.{self.number + 1}"
        if source == AGENT:
            self.log.append((self.number, self.limit))
            if self.answers_within is None or self.limit < self.answers_within:
                error = libvirt.libvirtError("Guest agent is not responding")
                error.err = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, 0, "not responding", 2, "", None, None, 0, 0)
                raise error
        elif source != LEASE or not self.lease:
            return {}
        return {"eth0": {"hwaddr": self.nic.mac, "addrs": [{"addr": host, "prefix": 24, "type": 0}]}}


def test_a_silent_agent_costs_only_its_own_vm() -> None:
    log: list[tuple[int, int]] = []
    kinds: list[dict[str, Any]] = [{"answers_within": None}] * 20 + [{"answers_within": None, "lease": True}] * 2
    kinds += [{"answers_within": 3}] * 2 + [{"answers_within": 0}] * 6
    domains = [Domain(number, log, **kind) for number, kind in enumerate(kinds)]
    told: list[tuple[int, list[str]]] = []
    guests = [Guest(domain, (domain.nic,)) for domain in domains]
    addresses_of_all(guests, lambda place, rows: told.append((place, [f"{row['address']} {row['source']}" for row in rows])))
    first = {number for number, limit in log[: len(domains)]}
    assert first == set(range(len(domains))) and {limit for _number, limit in log[: len(domains)]} == {SHORTLY}
    again = log[len(domains) :]
    assert sorted(again) == [(number, AGENT_SECONDS) for number in range(24)]
    last = dict(told)
    assert all(last[number] == [] for number in range(20))
    assert [last[20], last[22], last[24]] == [["192.0.2.21 lease"], ["192.0.2.23 agent"], ["192.0.2.25 agent"]]
    assert {domain.limit for domain in domains} == {-2}
