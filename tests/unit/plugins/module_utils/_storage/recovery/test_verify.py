# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage of any file of a generation is found, and counts for all generations that need the file and for no other."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.verify import MISSING, Verification
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import QEMU
from support.recovery import UUID, Replica


def verified(replica: Replica, *names: str) -> tuple[tuple[str, ...], dict[str, list[str]], dict[str, str]]:
    found = Verification(replica.depot, QEMU, replica.machine.images).of(UUID, set(names) or None)
    return found.good, found.damaged, found.images


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_all_is_sound(replica: Replica) -> None:
    assert verified(replica) == (("0.1", "0.2", "0.3"), {}, {})
    assert Verification(replica.depot, QEMU, replica.machine.images).of(UUID).sound


@pytest.mark.parametrize(("number", "good"), [(0, ()), (1, ("0.1",)), (2, ("0.1", "0.2"))])
def test_one_changed_bit_of_a_delta(replica: Replica, number: int, good: tuple[str, ...]) -> None:
    delta = replica.machine.disk.chain[number]
    flip(replica.depot.path_of(UUID, delta.digest))
    found, damaged, _images = verified(replica)
    assert found == good
    assert all(why[0].startswith(f"{delta.digest}: its bytes have the digest sha256:") for why in damaged.values())
    assert verified(replica, "0.1")[0] == good[:1]


def test_other_damage(replica: Replica) -> None:
    files = replica.depot.find(UUID, "0.2").files["nvram"]
    replica.depot.path_of(UUID, files.digest).unlink()
    replica.depot.document(UUID, "0.1").write_bytes(b"")
    found, damaged, _images = verified(replica)
    assert found == ("0.3",)
    assert damaged["0.2"] == [f"{files.digest}: {MISSING}"]
    assert "is not JSON" in damaged["0.1.json"][0]


def test_what_is_merged_and_dropped_meanwhile_is_no_damage(replica: Replica) -> None:
    class Tidying(SubprocessRunner):
        tidied = False

        def run(self, argv: Sequence[str], **options: Any) -> Completed:
            if not self.tidied:
                self.tidied = True
                replica.tidy(keep=2, longest=1)
            return super().run(argv, **options)

    found = Verification(replica.depot, QemuImg(Tidying()), replica.machine.images).of(UUID)
    assert (found.good, found.damaged) == (("0.2", "0.3"), {})


def test_the_image_is_read_too(replica: Replica, tmp_path: Path) -> None:
    image = str(replica.machine.disk.image)
    replica.machine.images = Store(Path(shutil.copytree(replica.machine.images.root, tmp_path / "images")))
    path = replica.machine.images.image_path(image)
    path.chmod(0o600)
    flip(path)
    assert verified(replica)[2] == {image: "it has 1 damaged piece"}
    path.unlink()
    assert verified(replica)[2] == {image: MISSING}
