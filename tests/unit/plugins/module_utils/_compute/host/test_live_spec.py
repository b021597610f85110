# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt shows in a running domain beyond what was asked is not a difference from its configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.hotplug import ChangeNic, live_steps
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.observe import live_spec
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import NOTHING_FOREIGN, DomainSpec, Nic, Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState, pending
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import Parsed, emit, parse
from support.compute import spec

NIC = Nic("lan", "52:54:00:00:00:01", network="ovs")
MIB = 2**20


def running(seen: DomainSpec, started: DomainSpec | None, config: DomainSpec) -> VmState:
    record = Record(started) if started else None
    live = live_spec(Parsed(seen, record, bool(record), NOTHING_FOREIGN), config)
    return VmState(config.name, run="running", config=config, live=live, marked=True)


@pytest.mark.parametrize("given", [{"vlan": 42}, {"inbound": MIB}, {"outbound": MIB}, {"mtu": 1400}])
@pytest.mark.parametrize("marked", [True, False])
def test_what_a_network_gives_its_interfaces_waits_for_no_restart(given: dict[str, int], marked: bool) -> None:
    """libvirt's live XML has the VLAN and the bandwidth of a network's port group in the interface."""
    config = spec(nics=(NIC,))
    seen = parse(emit(spec(nics=(replace(NIC, **given),)))).spec
    state = running(seen, config if marked else None, config)
    assert pending(state) == [] and live_steps(state) == ()


def test_what_was_asked_once_and_is_not_any_more_is_a_difference() -> None:
    config, started = spec(nics=(NIC,)), spec(nics=(replace(NIC, vlan=42, inbound=MIB),))
    state = running(started, started, config)
    assert pending(state) == ["nics.lan"]
    (step,) = live_steps(state)
    assert isinstance(step, ChangeNic) and step.nic.inbound is None


def test_an_interface_on_a_bridge_is_given_no_more_than_its_mtu() -> None:
    bridged = replace(NIC, network=None, bridge="br0")
    config = spec(nics=(bridged,))
    assert pending(running(spec(nics=(replace(bridged, mtu=1400),)), config, config)) == []
    assert pending(running(spec(nics=(replace(bridged, vlan=42),)), config, config)) == ["nics.lan"]


def test_an_address_that_the_host_gives_a_display_waits_for_no_restart() -> None:
    """libvirt's live XML has the address that vnc_listen in qemu.conf gave it."""
    config, seen = spec(vnc=True, vnc_listen="host"), spec(vnc=True, vnc_listen="192.0.2.7")
    assert pending(running(seen, None, config)) == []
    assert pending(running(seen, None, spec(vnc=True))) == ["vnc_listen"]
