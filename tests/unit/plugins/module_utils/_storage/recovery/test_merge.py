# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merged deltas read as those that they are made of, over any layers below: zeros, sizes and scattered writes included."""

from __future__ import annotations

import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt
from ansible_collections.edge.cloud.plugins.module_utils._files import open_in_qemu
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk, file_name
from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.merge import Merger
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.merge_plan import Run
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.restore import Restore
from support.hostile_images import patch
from support.images import MIB, QEMU, qemu_img
from support.recovery import CLUSTER, UUID, Machine, Replica, delta, file_of, with_document
from support.waiting import until


@pytest.mark.parametrize("seed", range(3))
def test_any_run_of_any_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr("ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.merge.WINDOW", MIB)
    rng = random.Random(seed)
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    for _number in range(5):
        machine.churn(rng)
        replica.intake.take(machine.point())
    while len(chain := replica.depot.find(UUID).disks[0].chain) > 1:
        first = rng.randrange(len(chain) - 1)
        run = Run("vda", machine.disk.image, chain[:first], chain[first : rng.randint(first + 2, len(chain))])
        merge(machine, replica, run)
        last = replica.depot.find(UUID).disks[0].chain[first]
        assert (last.of, last.state) == ((run.deltas[0].of[0], run.deltas[-1].of[1]), run.deltas[-1].state)
        replica.require_all()
    assert len(replica.names) == 5


def run_of(machine: Machine, replica: Replica, first: int, last: int) -> Run:
    chain = replica.depot.find(UUID).disks[0].chain
    return Run("vda", machine.disk.image, chain[:first], chain[first:last])


def merge(machine: Machine, replica: Replica, run: Run) -> Path:
    with replica.depot.changing(UUID) as work:
        merged = Merger(replica.depot, QEMU, machine.images).merge(UUID, run, replica.depot.listed(UUID), work)
    return replica.depot.path_of(UUID, merged.digest)


@pytest.mark.parametrize("short", [MIB // 2, MIB // 2 + 4096 + 512])
@pytest.mark.parametrize("first", [0, 1])
def test_a_disk_that_was_shorter_than_its_image_and_grew_has_zeros_there(tmp_path: Path, short: int, first: int) -> None:
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    for size in (4 * MIB, short, 4 * MIB):
        machine.resize(size)
        replica.intake.take(machine.point())
    made = merge(machine, replica, run_of(machine, replica, first, 3))
    assert qcow2.read_header(made).virtual_size == 4 * MIB
    replica.require_content("0.3")


def test_zeros_over_data_of_the_image_and_of_a_delta_stay_zeros_and_take_no_space(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    machine.write(0, 8 * CLUSTER, 0)
    machine.write(2 * MIB, 2 * CLUSTER, 7)
    replica.intake.take(machine.point())
    machine.write(2 * MIB, 2 * CLUSTER, 0)
    replica.intake.take(machine.point())
    made = merge(machine, replica, run_of(machine, replica, 0, 2))
    assert made.stat().st_blocks * 512 < 10 * CLUSTER
    replica.require_content("0.2")


def test_what_nobody_wrote_stays_with_the_image(tmp_path: Path) -> None:
    """A merged delta has no cluster that none of its deltas has: it stays small."""
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    for number in range(2):
        machine.write(number * 4 * CLUSTER, CLUSTER, 9)
        replica.intake.take(machine.point())
    made = merge(machine, replica, run_of(machine, replica, 0, 2))
    assert made.stat().st_size < 8 * CLUSTER
    replica.require_content("0.2")


def test_no_delta_is_opened_to_be_written(tmp_path: Path) -> None:
    """QEMU clears marks that it does not know where it may write, and keeps others from opening the file."""
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    for number in range(2):
        machine.write(number * CLUSTER, CLUSTER, 9)
        folder = machine.point()
        old = machine.disk.chain[-1]
        path = folder / file_name(old.digest)
        patch(path, 88, ">Q", 1 << 40)  # autoclear_features
        file = file_of(path)
        path.rename(folder / file_name(file.digest))
        machine.disk = replace(machine.disk, chain=machine.disk.chain[:-1]).followed_by(file, machine.number, machine.size)
        with_document(folder, machine.generation, disks=(machine.disk,))
        replica.intake.take(folder)
    run = run_of(machine, replica, 0, 2)
    paths = [replica.depot.path_of(UUID, delta.digest) for delta in run.deltas]
    reading = subprocess.Popen(["qemu-nbd", "-r", "-t", "-f", "qcow2", "-k", tmp_path / "socket", paths[1]])
    try:
        until(lambda: open_in_qemu(paths[1]))
        merge(machine, replica, run)
    finally:
        reading.terminate()
        reading.wait()
    assert [file_of(path).digest for path in paths] == [delta.digest for delta in run.deltas]
    replica.require_all()


def test_a_damaged_delta_is_not_merged(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    for pattern in (1, 2):
        machine.write(0, CLUSTER, pattern)
        replica.intake.take(machine.point())
    run = run_of(machine, replica, 0, 2)
    with replica.depot.path_of(UUID, run.deltas[0].digest).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(Corrupt, match="is damaged"):
        merge(machine, replica, run)
    assert replica.depot.find(UUID).disks[0].chain == run.deltas


def test_an_image_that_is_not_here_is_not_needed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    for size in (4 * MIB, 2 * MIB, 3 * MIB):
        machine.resize(size)
        machine.write(MIB, CLUSTER, 3)
        replica.intake.take(machine.point())
    run = run_of(machine, replica, 0, 3)
    with replica.depot.changing(UUID) as work:
        Merger(replica.depot, QEMU, None).merge(UUID, run, replica.depot.listed(UUID), work)
    replica.require_content("0.3")


def test_a_disk_without_an_image_beside_one_with(tmp_path: Path) -> None:
    """Each disk has a chain of its own; the one without an image was shorter in between."""
    machine = Machine(tmp_path)
    replica = Replica(machine, tmp_path / "recovery")
    data = Disk("vdb", None, MIB)
    writes = [f"write -P 1 0 {4 * CLUSTER}", f"write -z {CLUSTER} {CLUSTER}", f"write -P 3 {2 * CLUSTER} {CLUSTER}"]
    for number, (size, write) in enumerate(zip((MIB, 3 * CLUSTER + 512, 2 * MIB), writes, strict=True), 1):
        machine.write(number * CLUSTER, CLUSTER, number)
        folder = machine.point()
        file = file_of(made := delta(folder / "new", size, write))
        made.rename(folder / file_name(file.digest))
        data = data.followed_by(file, number, size) if number > 1 else data.begun_again(file, (1, 1), size)
        with_document(folder, machine.generation, disks=(machine.disk, data))
        replica.intake.take(folder)
    expected = b"\1" * CLUSTER + bytes(CLUSTER) + b"\3" * CLUSTER + b"\1" * 512 + bytes(2 * MIB - 3 * CLUSTER - 512)
    found = replica.tidy(keep=2, longest=1)
    assert found.doubts == []
    newest = replica.depot.find(UUID)
    assert [len(disk.chain) for disk in newest.disks] == [1, 1]
    Restore(replica.depot, QEMU, machine.images).write(newest, "vdb", tmp_path / "vdb.qcow2")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", tmp_path / "vdb.qcow2", tmp_path / "vdb.raw")
    assert (tmp_path / "vdb.raw").read_bytes() == expected
    replica.require_all()
