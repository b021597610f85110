# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a virtual network, as Ansible knows them. Pure."""

from __future__ import annotations

from typing import Any

NETWORK: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "type": {"type": "str", "choices": ["bridge", "isolated", "nat", "routed", "vlan", "vxlan"]},
    "bridge": {"type": "str"},
    "vni": {"type": "int"},
    "vlan_id": {"type": "int"},
    "underlay": {"type": "str"},
    "members": {"type": "list", "elements": "str"},
    "flood": {"type": "str", "choices": ["static", "multicast"]},
    "group": {"type": "str"},
    "local": {"type": "str"},
    "port": {"type": "int"},
    "mtu": {"type": "int"},
    "subnets": {"type": "list", "elements": "str"},
    "gateway": {"type": "list", "elements": "str"},
    "dns": {"type": "list", "elements": "str"},
    "dhcp": {"type": "bool", "default": False},
    "peers_isolated": {"type": "bool", "default": False},
    "allow_disruption": {"type": "bool", "default": False},
}
