# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._compute.host.statistics import shape


def test_flat_names_become_an_object() -> None:
    found = shape(
        {
            "cpu.time": 7, "balloon.current": 2, "balloon.rss": 3,
            "block.count": 2, "block.0.name": "vda", "block.0.rd.reqs": 1, "block.0.rd.bytes": 512, "block.0.allocation": 9,
            "block.1.path": "/x",
            "net.count": 1, "net.0.name": "vnet0", "net.0.rx.bytes": 4, "net.0.tx.pkts": 5,
        }
    )  # fmt: skip
    assert (found["cpu_time"], found["memory"], found["resident_memory"]) == (7, 2048, 3072)
    assert found["disks"] == {"vda": {"reads": 1, "read_bytes": 512, "writes": None, "written_bytes": None, "allocation": 9}}
    assert found["interfaces"]["vnet0"]["received_bytes"] == 4
    assert found["interfaces"]["vnet0"]["sent_packets"] == 5


def test_a_stopped_domain_has_little() -> None:
    assert shape({}) == {"cpu_time": None, "memory": None, "resident_memory": None, "disks": {}, "interfaces": {}}
