# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.replica_image by ansible-playbook, from an image datastore behind the real nginx with client certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import nginx
from support.images import qcow2
from support.playbook import play

pytestmark = pytest.mark.integration


def test_the_way_of_an_image(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    client = authority.issue("host1.example")
    source = qcow2(tmp_path / "a.qcow2", 20)
    store, here, disk = (str(tmp_path / name) for name in ("store", "here", "disk.qcow2"))
    imported = {"name": "debian", "version": "13.1", "source": str(source), "root": store}
    (image,) = [row["image"] for row in play([{"edge.cloud.datastore_image": imported}])]
    with nginx(tmp_path / "nginx", Path(store), authority, authority.issue("127.0.0.1")) as server:
        tls = {"ca_file": str(authority.ca_file), "cert_file": str(client.cert), "key_file": str(client.key)}
        fixed = {"name": "debian", "version": "13.1", "root": here, "disk_directories": [str(tmp_path)]}

        def task(**options: Any) -> dict[str, Any]:
            return {"edge.cloud.replica_image": {**fixed, "sources": [server.url], **tls, **options}}

        (stranger,) = play([{"edge.cloud.replica_image": {**fixed, "sources": [server.url], "ca_file": tls["ca_file"]}}], ok=False)
        assert stranger["error"]["code"] == "unreachable"
        (predicted,) = play([task()], check=True)
        pulled, again, pinned, pinned_again = play([task(), task(), task(pinned=True), task()])
    assert (predicted["diff"], predicted["bytes_fetched"]) == (pulled["diff"], 0)
    assert (pulled["image"]["digest"], pulled["bytes_fetched"]) == (image["digest"], image["size"])
    assert (again["changed"], again["bytes_fetched"]) == (False, 0)
    assert pinned["diff"] == {"before": {"pinned": False}, "after": {"pinned": True}}
    assert not pinned_again["changed"]

    overlay = {"edge.cloud.qcow2_image": {"path": disk, "backing_image": pulled["image"]["path"], "size": "1G"}}
    _any, used = play([overlay, {"edge.cloud.replica_image": {**fixed, "state": "absent"}}], ok=False)
    assert used["error"]["used_by"] == [disk]
    free = {"edge.cloud.qcow2_image": {"path": disk, "state": "absent"}}
    absent = {"edge.cloud.replica_image": {**fixed, "state": "absent"}}
    _any, removed, removed_again = play([free, absent, absent])
    assert removed["diff"]["before"]["digest"] == image["digest"]
    assert not removed_again["changed"]
