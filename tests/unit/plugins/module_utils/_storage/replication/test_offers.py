# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists and documents that a host gives may be anything: what is not a list of points is refused, and nothing large is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Member
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._storage.replication.offers import (
    LARGEST_LIST,
    MOST_NAMES,
    Offer,
    Offers,
    names_in,
    points_in,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from support.certificates import Authority
from support.image_server import nginx
from support.recovery import UUID, Machine

needs_nginx = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")


def entry(name: object, kind: object = "directory") -> dict[str, object]:
    return {"name": name, "type": kind}


@pytest.mark.parametrize("data", [
    b"", b"{}", b"null", b"[", b"[" * 100_000, b"\xff\xfe", b'{"name": "0.1"}', b" " * (LARGEST_LIST + 1),
    json.dumps([entry("0.1")] * (MOST_NAMES + 1)).encode(),
])  # fmt: skip
def test_what_is_not_a_list_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        names_in(data, "directory", "edge1")


def test_entries_of_another_kind_and_names_that_are_not_points_are_left_out() -> None:
    hostile = ["..", "../0.1", "/etc", ".0.2.work", "0.1/../..", "0.0", "00.1", "-1.1", "0.1\n", "1." + "9" * 17, "", "\0"]
    found = [
        entry("0.10"),
        entry("0.9"),
        entry("1.2"),
        entry("0.9"),
        entry("0.3", "file"),
        entry(7),
        "text",
        None,
        [],
        *map(entry, hostile),
    ]
    names = names_in(json.dumps(found).encode(), "directory", "edge1")
    assert points_in(names) == [(0, 9), (0, 10), (1, 2)]


@needs_nginx
def test_what_is_too_large_or_of_another_vm_is_not_taken(tmp_path: Path, authority: Authority) -> None:
    machine, root = Machine(tmp_path / "machine"), tmp_path / "root"
    point = machine.point()
    other = "00000000-0000-4000-8000-000000000000"
    for uuid, name in ((UUID, "0.1"), (other, "0.1"), (UUID, "0.2"), (UUID, "0.3"), (UUID, "0.4")):
        (root / f"outgoing/{uuid}/{name}").mkdir(parents=True)
        (root / f"outgoing/{uuid}/{name}/generation.json").write_bytes((point / "generation.json").read_bytes())
    with (root / f"outgoing/{UUID}/0.3/generation.json").open("wb") as file:
        file.truncate(2**40)
    newer = json.loads((point / "generation.json").read_bytes()) | {"schema": 2}
    (root / f"outgoing/{UUID}/0.4/generation.json").write_text(json.dumps(newer))
    with (root / "list").open("wb") as file:
        file.truncate(2**40)
    pair = authority.issue("127.0.0.1")
    with nginx(tmp_path / "nginx", root, authority, pair, more="location = /outgoing/ { rewrite ^ /list break; }") as served:
        offers = Offers(Member("edge1", served.url), Trust(authority.ca_file, pair.cert, pair.key))
        assert offers.document(Offer(UUID, (0, 1))) == machine.generation
        for offer in (Offer(other, (0, 1)), Offer(UUID, (0, 2)), Offer(UUID, (0, 3))):
            with pytest.raises(Corrupt):
                offers.document(offer)
        with pytest.raises(Unsupported, match="upgrade edge"):
            offers.document(Offer(UUID, (0, 4)))
        with pytest.raises(Corrupt, match="is larger than"):
            offers.vms()
        offers.close()
