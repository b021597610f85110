# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored disk has what the guest had at the point, as an overlay of the image and as a whole file."""

from __future__ import annotations

import random
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Conflict, Corrupt, NoSpace, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.layers import name_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.restore import Restore
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import MIB, QEMU
from support.recovery import UUID, Machine, Replica, require_same


def restore(replica: Replica) -> Restore:
    return Restore(replica.depot, QEMU, replica.machine.images)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", ["0.1", "0.3"])
def test_any_generation(replica: Replica, tmp_path: Path, whole: bool, name: str) -> None:
    path = tmp_path / "restored.qcow2"
    restore(replica).write(replica.depot.find(UUID, name), "vda", path, whole=whole)
    require_same(path, replica.machine.contents[name])
    backing = qcow2.read_header(path).backing_file
    assert backing == (None if whole else str(replica.machine.images.image_path(str(replica.machine.disk.image))))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert QEMU.check(path).corruptions == 0
    used_by = replica.machine.images.uses_of(str(replica.machine.disk.image), [tmp_path]).users
    assert (str(path) in used_by) is not whole


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_sizes_and_zeros(tmp_path: Path, seed: int, whole: bool) -> None:
    rng = random.Random(seed)
    machine = Machine(tmp_path / "machine")
    replica = Replica(machine, tmp_path / "recovery")
    for size in (MIB // 2 + 4096 + 512, 3 * MIB, 4 * MIB + 1536):
        machine.resize(size)
        machine.churn(rng)
        replica.intake.take(machine.point())
    for name in replica.names:
        path = tmp_path / f"{name}.qcow2"
        restore(replica).write(replica.depot.find(UUID, name), "vda", path, whole=whole)
        require_same(path, machine.contents[name])


def test_the_options_by_which_qemu_reads_it_in_place(replica: Replica) -> None:
    with restore(replica).opened(replica.depot.find(UUID), "vda") as node:
        require_same(name_of(node), replica.machine.contents["0.3"])
        assert node["backing"]["backing"]["backing"]["backing"] is None


def test_an_empty_file_over_a_generation_that_stays_as_it_is(replica: Replica, tmp_path: Path) -> None:
    path = tmp_path / "over.qcow2"
    node = restore(replica).over(replica.depot.find(UUID, "0.1"), "vda", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    require_same(name_of(node), replica.machine.contents["0.1"])
    subprocess.run(["qemu-io", "-c", "write -P 9 0 4k", name_of(node)], check=True, stdout=subprocess.DEVNULL)
    replica.tidy(keep=2, longest=1)
    assert replica.names == ["0.1", "0.2", "0.3"]
    replica.require_all()
    written = tmp_path / "expected.raw"
    data = bytearray(replica.machine.contents["0.1"].read_bytes())
    data[:4096] = b"\x09" * 4096
    written.write_bytes(data)
    require_same(name_of(node), written)


def test_a_generation_that_was_merged_meanwhile_is_opened_as_it_is_now(replica: Replica, tmp_path: Path) -> None:
    before = replica.depot.find(UUID, "0.3")
    replica.tidy(keep=2, longest=1)
    node = restore(replica).over(before, "vda", tmp_path / "over.qcow2")
    for _number in range(2):
        require_same(name_of(node), replica.machine.contents["0.3"])
        replica.tidy(keep=2, quota=1)


def test_a_file_that_cannot_be_made_pins_nothing(replica: Replica, tmp_path: Path) -> None:
    (tmp_path / "over.qcow2").touch()
    with pytest.raises(Conflict):
        restore(replica).over(replica.depot.find(UUID), "vda", tmp_path / "over.qcow2")
    assert replica.depot.listed(UUID).pinned == frozenset()


def test_what_is_in_the_way_or_missing(replica: Replica, tmp_path: Path) -> None:
    found = replica.depot.find(UUID)
    path = tmp_path / "restored.qcow2"
    path.write_bytes(b"a disk of somebody")
    with pytest.raises(Conflict, match=r"path: .*restored\.qcow2 is there already, and is not replaced; give another path"):
        restore(replica).write(found, "vda", path)
    assert path.read_bytes() == b"a disk of somebody"
    path.unlink()
    with pytest.raises(NotFound, match="has no disk vdb; it has vda"):
        restore(replica).write(found, "vdb", path)
    with pytest.raises(NotFound, match="pull it first"):
        replace(restore(replica), images=Store(tmp_path / "none")).write(found, "vda", path)
    gone = replica.depot.path_of(UUID, found.disks[0].chain[0].digest)
    gone.unlink()
    with pytest.raises(Busy, match="run again"):
        restore(replica).write(found, "vda", path)
    assert not path.exists()


@pytest.mark.parametrize("whole", [False, True])
def test_a_damaged_delta_is_not_restored(replica: Replica, tmp_path: Path, whole: bool) -> None:
    found = replica.depot.find(UUID)
    path = replica.depot.path_of(UUID, found.disks[0].chain[1].digest)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match=r"^generation: 0\.3 of web is damaged"):
        restore(replica).write(found, "vda", tmp_path / "restored.qcow2", whole=whole)
    assert not (tmp_path / "restored.qcow2").exists()
    restore(replica).write(replica.depot.find(UUID, "0.1"), "vda", tmp_path / "restored.qcow2", whole=whole)


@pytest.mark.parametrize("whole", [False, True])
def test_nobody_else_can_read_it_while_it_is_written(replica: Replica, tmp_path: Path, whole: bool) -> None:
    modes = set()

    class Looking(SubprocessRunner):
        def run(self, argv: Sequence[str], **options: Any) -> Completed:
            done = super().run(argv, **options)
            modes.update(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(".restored*"))
            return done

    looking = replace(restore(replica), qemu=QemuImg(Looking()))
    looking.write(replica.depot.find(UUID), "vda", tmp_path / "restored.qcow2", whole=whole)
    assert modes == {0o600}


@pytest.mark.parametrize("whole", [False, True])
def test_without_space_nothing_is_left(replica: Replica, tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "RESERVE", 2**60)
    (tmp_path / "vms").mkdir()
    with pytest.raises(NoSpace):
        restore(replica).write(replica.depot.find(UUID), "vda", tmp_path / "vms" / "restored.qcow2", whole=whole)
    assert list((tmp_path / "vms").iterdir()) == []


def test_what_find_says_of_generations_that_are_not_there(replica: Replica) -> None:
    with pytest.raises(NotFound, match=r"no generation 0\.7 of the VM .* it has 0\.1, 0\.2, 0\.3"):
        replica.depot.find(UUID, "0.7")
    replica.depot.document(UUID, "0.2").write_bytes(b"{")
    with pytest.raises(Corrupt, match=r"0\.2 of the VM .* cannot be used: .*is not JSON"):
        replica.depot.find(UUID, "0.2")
    replica.depot.path_of(UUID, replica.depot.find(UUID, "0.3").disks[0].chain[2].digest).unlink()
    with pytest.raises(Corrupt, match=r"0\.3 of the VM .* it lacks sha256"):
        replica.depot.find(UUID, "0.3")
    assert replica.depot.find(UUID).name == "0.1"
    with pytest.raises(NotFound, match="none that is whole"):
        replica.depot.find(UUID.replace("6", "8"))
