# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small OpenNebula marketplace of our own, with an entry of each kind that the public ones have.

The server gives ``opennebula_template`` as a text of JSON, also that of a service; entries are also found with an object.
"""

from __future__ import annotations

import json
from typing import Any

SHA = "a" * 64


def entry(identity: str, name: str, kind: str | None = None, template: Any = None, **fields: Any) -> dict[str, Any]:
    """Return an entry as the server gives it."""
    made = {"_id": {"$oid": identity}, "name": name, "version": "1.2-20260101", "os-id": "Alpine", "os-arch": "x86_64", **fields}
    if kind:
        made["type"] = kind
    if template is not None:
        made["opennebula_template"] = json.dumps(template)
    return made


def image(identity: str, name: str, template: Any = None, **fields: Any) -> dict[str, Any]:
    """Return an entry with one disk."""
    file = {"url": f"https://images.example/{identity}.qcow2", "size": "4096", "checksum": {"sha256": SHA}}
    return entry(identity, name, None, template, **{"files": [file], **fields})


def market(*entries: Any) -> bytes:
    """Return what ``GET /appliance`` gives."""
    return json.dumps({"appliances": list(entries)}).encode()


DATABASE = {
    "context": {
        "network": "YES",
        "ssh_public_key": "$USER[SSH_PUBLIC_KEY]",
        "set_hostname": "$NAME",
        "oneapp_db_name": "$ONEAPP_DB_NAME",
        "oneapp_db_password": "$ONEAPP_DB_PASSWORD",
        "oneapp_db_url": "tcp://${ONEAPP_DB_HOST}:$ONEAPP_DB_PORT/$ONEAPP_DB_NAME",
        "oneapp_db_script": "$ONEAPP_DB_SCRIPT",
        "oneapp_db_tls": "$ONEAPP_DB_TLS",
    },
    "cpu": "0.5",
    "vcpu": "2",
    "memory": "768",
    "graphics": {"listen": "0.0.0.0", "type": "vnc"},
    "os": {"arch": "x86_64"},
    "nic_default": {"model": "virtio"},
    "inputs_order": "ONEAPP_DB_NAME, ONEAPP_DB_PASSWORD",
    "user_inputs": {
        "oneapp_db_host": "O|text|Host| |localhost",
        "oneapp_db_port": "O|number|Port||5432",
        "oneapp_db_password": "M|password|Password of the database| |",
        "oneapp_db_name": "M|text|Name of the database| |",
        "oneapp_db_users": "O|range|Number of users|1..64|8",
        "oneapp_db_load": "O|range-float|Load|0.5..1.5|1.0",
        "oneapp_db_ratio": "O|number-float|Ratio||0.25",
        "oneapp_db_engine": "O|list|Engine|heap,tree|tree",
        "oneapp_db_parts": "O|list-multiple|Parts|web,api,cli|web,api",
        "oneapp_db_tls": "O|boolean|Encrypt||NO",
        "oneapp_db_script": "O|text64|First statements||",
        "oneapp_db_edition": "M|fixed|Edition||community",
    },
    "logo": "images/logos/alpine.png",
    "memory_unit_cost": "MB",
    "hot_resize": {"cpu_hot_add_enabled": "YES"},
}
NODE = {
    "cpu": "2",
    "vcpu": "2",
    "memory": "3072",
    "context": {"service_id": "$SERVICE_ID", "fallback_gw": "$FALLBACK_GW", "app_port": "$APP_PORT", "network": "YES"},
    "user_inputs": {},
    "inputs_order": "",
}
SERVICE = {
    "name": "Cluster",
    "deployment": "straight",
    "description": "",
    "ready_status_gate": True,
    "roles": [
        {
            "name": "worker",
            "parents": ["router"],
            "cardinality": 2,
            "min_vms": 1,
            "max_vms": 6,
            "cooldown": 120,
            "vm_template_contents": (
                'NIC = [\n  NAME = "NIC0",\n  NETWORK_ID = "$Private" ]\n'
                'FALLBACK_GW = "${router.TEMPLATE.CONTEXT.ETH1_IP}"\nAPP_PORT = "$APP_PORT"\nMEMORY = "4096"\n'
            ),
            "elasticity_policies": [{"type": "CHANGE", "adjust": 1, "expression": "LOAD > 1"}],
            "scheduled_policies": [],
        },
        {
            "name": "router",
            "cardinality": 1,
            "vm_template_contents": (
                'NIC=[NAME="NIC0",NETWORK_ID="$Public"]\nNIC=[NAME="NIC1",NETWORK_ID="$Private",IP="$ROUTER_IP"]\n'
                'APP_TLS = "$APP_TLS""\n'
            ),
        },
        {"name": "storage", "parents": ["router", "worker"], "cardinality": 0},
    ],
    "networks": {"Public": "M|network|Public network| |id:", "Private": "M|network|Private||id::"},
    "custom_attrs": {
        "APP_PORT": "O|number|Port of the application||8080",
        "APP_TLS": "0|boolean|Encrypt||YES",
        "ROUTER_IP": "M|text|Address of the router||192.0.2.1",
        "NO_PROXY": "O|text|No proxy||localhost,$APP_PORT,${router.TEMPLATE.CONTEXT.ETH0_IP}",
    },
}
NAMES = {"worker": "Node", "router": "Router", "storage": "Node with disk"}
"""The appliances of the service's roles, by name, as the server gives them."""


def whole() -> bytes:
    """Return a marketplace of all kinds."""
    return market(
        image("i1", "Database", DATABASE),
        image("i2", "Node OS disk"),
        image("i3", "Data disk"),
        image("i4", "Router", {"cpu": "1", "memory": "512", "context": {"network": "YES"}}),
        entry("t1", "Node", "VMTEMPLATE", NODE, disks=["Node OS disk"]),
        entry("t2", "Node with disk", "VMTEMPLATE", NODE, disks=["Node OS disk", "Data disk"]),
        entry("s1", "Service Cluster", "SERVICE_TEMPLATE", SERVICE, roles=NAMES, images=[]),
    )
