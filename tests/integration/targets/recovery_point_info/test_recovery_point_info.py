# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.recovery_point_info by ansible-playbook."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.playbook import play
from support.recovery import UUID, Replica

pytestmark = pytest.mark.integration


def test_what_a_replica_keeps(tmp_path: Path) -> None:
    replica = Replica.with_points(tmp_path, 2)
    replica.depot.document(UUID, "0.1").write_bytes(b"{")
    task = {"edge.cloud.recovery_point_info": {"root": str(replica.depot.root), "vm": "web"}}
    (found,) = play([task])
    (vm,) = found["vms"]
    assert (found["changed"], vm["uuid"], [one["generation"] for one in vm["generations"]]) == (False, UUID, ["0.2"])
    assert vm["unreadable"][0]["file"] == "0.1.json"
    (other,) = play(
        [{"edge.cloud.recovery_point_info": {**task["edge.cloud.recovery_point_info"], "vm": "db"}, "ignore_errors": True}]
    )
    assert "there are some of web" in other["msg"]
