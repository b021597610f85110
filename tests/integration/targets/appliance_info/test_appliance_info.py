# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.cloud.appliance_info by ansible-playbook, over TLS from nginx: what is offered is listed, and can be imported as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import nginx
from support.images import qcow2
from support.playbook import play

pytestmark = pytest.mark.integration


def test_the_newest_of_a_web_folder_is_found_and_imported(tmp_path: Path) -> None:
    authority, web = Authority(tmp_path / "ca"), tmp_path / "web"
    web.mkdir()
    names = [f"debian-{number}-amd64.qcow2" for number in (9, 13, 12)]
    sums = [hashlib.sha256(qcow2(web / name, 1, seed).read_bytes()).hexdigest() for seed, name in enumerate(names)]
    (web / "SHA256SUMS").write_text("".join(f"{found}  {name}\n" for found, name in zip(sums, names, strict=True)))
    trust = {"ca_file": str(authority.ca_file), "cache_dir": str(tmp_path / "cache"), "proxy": "none"}
    with nginx(tmp_path / "nginx", web, authority, authority.issue("127.0.0.1"), clients="off") as server:
        marketplace = {"kind": "checksums", "url": server.url}

        def offered(**options: Any) -> dict[str, Any]:
            return {"edge.cloud.appliance_info": {"marketplace": marketplace, **trust, **options}, "register": "offered"}

        found = "{{ offered.appliances[0] }}"
        imported = {
            "name": "debian",
            "version": "{{ offered.appliances[0].version }}",
            "source": "{{ offered.appliances[0].files[0].url }}",
            "checksum": "sha256:{{ offered.appliances[0].files[0].checksums.sha256 }}",
            "root": str(tmp_path / "store"),
            **trust,
        }
        every, newest, shown, image = play(
            [
                offered(),
                offered(version="newest", arch="x86_64"),
                {"ansible.builtin.debug": {"msg": found}},
                {"edge.cloud.datastore_image": imported},
            ]
        )
        (planned,) = play([offered(version="newest")], check=True)
        (refused,) = play([offered(ca_file=str(tmp_path / "none.crt"))], ok=False)
        requests = server.requests()
    assert [one["version"] for one in every["appliances"]] == ["9", "12", "13"] and every["matched"] == 3
    assert [one["version"] for one in newest["appliances"]] == ["13"] and newest["appliances"] == [shown["msg"]]
    assert planned["appliances"] == newest["appliances"] and not newest["changed"]
    assert image["changed"] and (image["image"]["name"], image["image"]["version"]) == ("debian", "13")
    assert refused["failed"] and refused["error"]["code"]
    assert sum('/SHA256SUMS HTTP/1.1" 200' in line for line in requests) == 1, "the catalogue was sent again"
