# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken in is what its document says, and the depot stays as it was where it is not."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Conflict,
    Corrupt,
    EdgeError,
    InvalidInput,
    NoSpace,
    NotFound,
    Refused,
)
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, Disk, File, file_name, parse
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import LARGEST_JUMP
from support.hostile_images import one_cluster_in_a_delta
from support.images import MIB, QEMU, qemu_img
from support.recovery import CLUSTER, UUID, Machine, Replica, delta, file_of, qemu_io, with_document


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    found = Machine(tmp_path_factory.mktemp("first"))
    found.write(0, CLUSTER, 5)
    found.point()
    return found


@pytest.fixture
def machine(first: Machine, tmp_path: Path) -> Machine:
    return first.copied(tmp_path / "machine")


@pytest.fixture
def replica(machine: Machine, tmp_path: Path) -> Replica:
    return Replica(machine, tmp_path / "recovery")


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    """Return each file below a folder with its mode and its content's digest."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), file_of(path).digest if path.is_file() else "")
        for path in folder.rglob("*")
    }


def test_a_generation_is_visible_private_and_whole(machine: Machine, replica: Replica) -> None:
    found = replica.intake.take(machine.folders["0.1"], UUID)
    assert (found.changed, found.missing_images) == (True, ())
    assert found.bytes_copied == sum(file.size for file in machine.generation.needs)
    assert replica.names == ["0.1"]
    replica.require_content("0.1")
    modes = {mode for name, (mode, _digest) in tree(replica.depot.root).items() if Path(name).suffix or len(Path(name).name) == 64}
    assert modes == {0o600}
    assert stat.S_IMODE(replica.depot.root.stat().st_mode) == 0o700
    assert list(replica.depot.partial.iterdir()) == []


def test_the_same_again_changes_nothing_and_another_content_is_a_conflict(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    before = tree(replica.depot.root)
    assert not replica.intake.take(machine.folders["0.1"]).changed
    with_document(machine.folders["0.1"], machine.generation, quiesced=False)
    with pytest.raises(Conflict, match="another content"):
        replica.intake.take(machine.folders["0.1"])
    assert tree(replica.depot.root) == before


def test_a_chain_goes_on_from_what_is_here_merged_or_not(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    for pattern in range(1, 5):
        machine.write(pattern * CLUSTER, CLUSTER, pattern)
        replica.intake.take(machine.point())
    replica.tidy(keep=2, longest=2)
    assert len(replica.depot.find(UUID).disks[0].chain) == 2
    replica.intake.take(machine.point())
    assert len(replica.depot.find(UUID).disks[0].chain) == 3
    assert replica.names == ["0.4", "0.5", "0.6"]
    replica.require_all()


def test_a_generation_whose_beginning_is_not_here_is_refused(machine: Machine, replica: Replica) -> None:
    with pytest.raises(NotFound, match="the generations before it first") as caught:
        replica.intake.take(machine.point())
    assert caught.value.details["missing"] == [machine.disk.chain[0].digest]
    assert replica.names == []


def test_another_vm_an_older_epoch_and_a_folder_without_a_document(machine: Machine, replica: Replica) -> None:
    folder = machine.folders["0.1"]
    with pytest.raises(Refused, match="not of 00000000"):
        replica.intake.take(folder, "00000000-0000-0000-0000-000000000000")
    with_document(folder, machine.generation, epoch=1)
    replica.intake.take(folder)
    with_document(folder, machine.generation, number=7)
    with pytest.raises(Refused, match="of epoch 0, and there is one of epoch 1"):
        replica.intake.take(folder)
    (folder / DOCUMENT).unlink()
    with pytest.raises(NotFound, match="not complete"):
        replica.intake.take(folder)
    assert replica.names == ["1.1"]


def test_the_epoch_of_an_unreadable_document_counts(machine: Machine, replica: Replica) -> None:
    replica.depot.prepare(UUID)
    replica.depot.document(UUID, "4.9").write_bytes(b"")
    with pytest.raises(Refused, match="there is one of epoch 4"):
        replica.intake.take(machine.folders["0.1"])


def test_a_generation_that_does_not_fit_is_not_copied(machine: Machine, replica: Replica) -> None:
    intake = replace(replica.intake, quota=CLUSTER)
    with pytest.raises(NoSpace, match="quota"):
        intake.take(machine.folders["0.1"])
    assert replica.depot.bytes_used == 0


def test_documents_alone_are_within_the_quota(machine: Machine, replica: Replica, tmp_path: Path) -> None:
    intake = replace(replica.intake, quota=3 * MIB)
    disks = (Disk("vda", machine.disk.image, machine.size),)
    folders = []
    for number in (1, 2, 3):
        generation = replace(machine.generation, number=number, files={}, disks=disks, spec={"x": "a" * MIB})
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        (folders[-1] / DOCUMENT).write_bytes(generation.to_json())
    for folder in folders[:2]:
        intake.take(folder)
    with pytest.raises(NoSpace, match="quota"):
        intake.take(folders[2])
    assert replica.names == ["0.1", "0.2"]
    assert 2 * MIB < replica.depot.bytes_used < 3 * MIB


def test_a_larger_disk_than_any_is_refused_before_a_byte_is_copied(machine: Machine, replica: Replica, tmp_path: Path) -> None:
    folder, file = tmp_path / "large", File("sha256:" + "0" * 64, 2**40)
    folder.mkdir()
    with (folder / file_name(file.digest)).open("wb") as sparse:
        sparse.truncate(file.size)  # whose reading alone would take an hour
    disk = Disk("vda", None, 2**62).begun_again(file, (1, 1), 2**62)
    (folder / DOCUMENT).write_bytes(replace(machine.generation, files={}, disks=(disk,)).to_json())
    with pytest.raises(Refused, match=f"The disk vda has {2**62} bytes"):
        replica.intake.take(folder)
    assert replica.names == []


def test_a_folder_that_others_can_read_is_refused_and_left_alone(machine: Machine, replica: Replica) -> None:
    replica.depot.root.mkdir(mode=0o755)
    with pytest.raises(Refused, match=r"^root: .* has mode 0755"):
        replica.intake.take(machine.folders["0.1"])
    assert stat.S_IMODE(replica.depot.root.stat().st_mode) == 0o755
    assert list(replica.depot.root.iterdir()) == []


def test_a_chain_of_too_many_deltas(machine: Machine, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake.MOST_DELTAS", 1)
    replica.intake.take(machine.folders["0.1"])
    with pytest.raises(Refused, match="has 2 deltas; at most 1"):
        replica.intake.take(machine.point())
    assert replica.names == ["0.1"]


def test_a_damaged_file_and_a_damaged_document_are_replaced(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    document = replica.depot.document(UUID, "0.1")
    path = replica.depot.path_of(UUID, machine.disk.chain[0].digest)
    path.chmod(0o600)
    path.write_bytes(b"\0" * path.stat().st_size)
    document.write_bytes(b"{")
    assert replica.intake.take(machine.folders["0.1"]).changed
    replica.require_content("0.1")


def test_a_document_of_a_newer_version_is_not_replaced(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    document = replica.depot.document(UUID, "0.1")
    newer = json.dumps({**json.loads(document.read_bytes()), "schema": 2})
    document.write_text(newer)
    with pytest.raises(Conflict, match="knows schema 1"):
        replica.intake.take(machine.folders["0.1"])
    assert document.read_text() == newer


def test_the_image_is_leased_before_the_generation_is_listed(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    (mark,) = replica.depot.folder(UUID).glob("*.image")
    for folders in ([], [replica.depot.root]):  # by its lease alone, and where garbage collection looks too
        found = machine.images.uses_of(str(machine.disk.image), folders)
        assert str(mark) in found.users
        assert found.doubts == ()


V3 = ("-o", f"cluster_size={CLUSTER},compat=1.1")
Spoil = Callable[[Machine, Path], Path]


def as_delta(machine: Machine, folder: Path, path: Path) -> Path:
    """Offer any file as the delta of the first point, all digests right."""
    file = file_of(path)
    path.rename(folder / file_name(file.digest))
    disk = Disk("vda", machine.disk.image, machine.size).followed_by(file, 1, machine.size)
    with_document(folder, machine.generation, disks=(disk,))
    return folder


def made(*arguments: str, after: Callable[[Path], object] = lambda _path: None) -> Spoil:
    def spoil(machine: Machine, folder: Path) -> Path:
        path = folder / "hostile"
        qemu_img("create", "-q", "-f", "qcow2", *arguments, path, str(machine.size))
        after(path)
        return as_delta(machine, folder, path)

    return spoil


def bytes_of(data: bytes) -> Spoil:
    def spoil(machine: Machine, folder: Path) -> Path:
        (folder / "hostile").write_bytes(data)
        return as_delta(machine, folder, folder / "hostile")

    return spoil


def one_cluster(machine: Machine, folder: Path) -> Path:
    one_cluster_in_a_delta(folder / "hostile", machine.size)
    return as_delta(machine, folder, folder / "hostile")


def compressed(machine: Machine, folder: Path) -> Path:
    (folder / "zeros").write_bytes(b"a" * machine.size)
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", *V3, folder / "zeros", folder / "hostile")
    return as_delta(machine, folder, folder / "hostile")


def flip(at: int, value: bytes) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(value)

    return change


def link(machine: Machine, folder: Path) -> Path:
    path = folder / file_name(machine.disk.chain[0].digest)
    path.rename(folder / "elsewhere")
    path.symlink_to("elsewhere")
    return folder


def pipe(machine: Machine, folder: Path) -> Path:
    path = folder / file_name(machine.disk.chain[0].digest)
    path.unlink()
    os.mkfifo(path)
    return folder


def folder_in_place(machine: Machine, folder: Path) -> Path:
    path = folder / file_name(machine.disk.chain[0].digest)
    path.unlink()
    path.mkdir()
    return folder


def changed_byte(machine: Machine, folder: Path) -> Path:
    path = folder / file_name(machine.disk.chain[0].digest)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return folder


def longer(machine: Machine, folder: Path) -> Path:
    with (folder / file_name(machine.disk.chain[0].digest)).open("ab") as file:
        file.write(b"\0")
    return folder


def document_link(_machine: Machine, folder: Path) -> Path:
    (folder / DOCUMENT).rename(folder / "real")
    (folder / DOCUMENT).symlink_to("real")
    return folder


def document_folder(_machine: Machine, folder: Path) -> Path:
    (folder / DOCUMENT).unlink()
    (folder / DOCUMENT).mkdir()
    return folder


def document_pipe(_machine: Machine, folder: Path) -> Path:
    (folder / DOCUMENT).unlink()
    os.mkfifo(folder / DOCUMENT)
    return folder


def document_of_any_length(_machine: Machine, folder: Path) -> Path:
    with (folder / DOCUMENT).open("r+b") as file:
        file.truncate(2**40)
    return folder


def delta_as_nvram(machine: Machine, folder: Path) -> Path:
    """A file that is both: as NVRAM anything is allowed, as a delta it is not."""
    path = folder / "hostile"
    path.write_bytes(b"anything")
    file = file_of(path)
    as_delta(machine, folder, path)
    found = parse((folder / DOCUMENT).read_bytes(), "")
    with_document(folder, found, files={"nvram": file})
    return folder


def other_size(machine: Machine, folder: Path) -> Path:
    disk = replace(machine.disk, virtual_size=machine.size + 512)
    with_document(folder, machine.generation, disks=(disk,))
    return folder


def huge_nvram(machine: Machine, folder: Path) -> Path:
    with_document(folder, machine.generation, files={"nvram": File("sha256:" + "0" * 64, 2**40)})
    (folder / ("0" * 64)).touch()
    return folder


def bitmap(path: Path) -> None:
    qemu_img("bitmap", "--add", "-f", "qcow2", path, "b0")


def corrupt_tables(path: Path) -> None:
    qemu_io(path, "write -P 1 0 64k")
    l1 = int.from_bytes(path.read_bytes()[40:48], "big")
    table = int.from_bytes(path.read_bytes()[l1 : l1 + 8], "big") & 0x00FFFFFFFFFFFE00
    flip(table, (0x8000000000000000 | table).to_bytes(8, "big"))(path)  # the data of the first cluster is its own table


HOSTILE: dict[str, Spoil] = {
    "a backing file": made(*V3, "-u", "-b", "/etc/shadow", "-F", "raw"),
    "a data file": made("-o", f"cluster_size={CLUSTER},data_file=/tmp/edge-test-data-file,data_file_raw=on"),
    "other clusters": made("-o", "cluster_size=4096"),
    "subclusters": made("-o", f"cluster_size={CLUSTER},extended_l2=on"),
    "version 2": made("-o", f"cluster_size={CLUSTER},compat=0.10"),
    "a bitmap": made(*V3, after=bitmap),
    "a snapshot": made(*V3, after=lambda path: qemu_img("snapshot", "-c", "one", path)),
    "a dirty mark": made(*V3, after=flip(79, b"\x01")),
    "a corrupt mark": made(*V3, after=flip(79, b"\x02")),
    "an unknown feature": made(*V3, after=flip(79, b"\x80")),
    "damaged tables": made(*V3, after=corrupt_tables),
    "one cluster everywhere": one_cluster,
    "compressed clusters": compressed,
    "no qcow2": bytes_of(b"#!/bin/sh\n"),
    "a VMDK descriptor": bytes_of(b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\n'),
    "a header alone": bytes_of(b"QFI\xfb" + b"\0" * 100),
    "a link": link,
    "a pipe": pipe,
    "a folder": folder_in_place,
    "a changed byte": changed_byte,
    "one byte more": longer,
    "a link in place of the document": document_link,
    "a folder in place of the document": document_folder,
    "a pipe in place of the document": document_pipe,
    "a document of a TiB": document_of_any_length,
    "a delta that is NVRAM too": delta_as_nvram,
    "another size of the disk": other_size,
    "more NVRAM than possible": huge_nvram,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_anything_else_is_refused_and_nothing_of_it_stays(machine: Machine, replica: Replica, what: str) -> None:
    folder = HOSTILE[what](machine, machine.folders["0.1"])
    with pytest.raises(EdgeError) as caught:
        replica.intake.take(folder)
    assert isinstance(caught.value, Refused | Corrupt | NotFound | InvalidInput) or caught.value.code == "unsupported"
    assert str(folder) in caught.value.message or "sha256:" in caught.value.message
    assert replica.names == []
    assert not [path for path in replica.depot.root.rglob("*") if path.is_file()]
    Path("/tmp/edge-test-data-file").unlink(missing_ok=True)


def test_an_unjudged_file_that_is_here_is_judged_when_it_becomes_a_delta(machine: Machine, replica: Replica) -> None:
    """NVRAM of the first point, the delta of the second."""
    folder = machine.folders["0.1"]
    (folder / "any").write_bytes(b"anything")
    file = file_of(folder / "any")
    (folder / "any").rename(folder / file_name(file.digest))
    with_document(folder, machine.generation, files={"nvram": file})
    replica.intake.take(folder)
    disk = machine.disk.followed_by(file, 2, machine.size)
    with_document(folder, machine.generation, number=2, disks=(disk,), files={})
    (folder / file_name(file.digest)).unlink()
    with pytest.raises(Corrupt, match="not qcow2"):
        replica.intake.take(folder)
    assert replica.names == ["0.1"]


def test_one_damaged_source_leaves_the_others_as_they_were(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    before = tree(replica.depot.root)
    folder = changed_byte_of_last(machine)
    with pytest.raises(Corrupt, match="the document says"):
        replica.intake.take(folder)
    assert tree(replica.depot.root) == before


def changed_byte_of_last(machine: Machine) -> Path:
    folder = machine.point()
    path = folder / file_name(machine.disk.chain[-1].digest)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    return folder


def test_a_delta_needs_no_file_that_is_not_asked_for(machine: Machine, replica: Replica, tmp_path: Path) -> None:
    """A folder with anything more in it is taken as its document says."""
    folder = tmp_path / "copy"
    shutil.copytree(machine.folders["0.1"], folder)
    delta(folder / ("f" * 64), MIB)
    (folder / "..hidden").write_bytes(b"x")
    replica.intake.take(folder)
    assert len(list(replica.depot.files(UUID).iterdir())) == 2
    assert QEMU.check(replica.depot.path_of(UUID, machine.disk.chain[0].digest)).corruptions == 0


@pytest.mark.parametrize("changes", [{"epoch": LARGEST_JUMP + 1}, {"epoch": 2**53 - 1}, {"number": 2**53 - 1}])
def test_a_point_after_which_none_would_be_possible_is_refused(machine: Machine, replica: Replica, changes: dict[str, int]) -> None:
    replica.intake.take(machine.folders["0.1"])
    before = tree(replica.depot.root)
    machine.write(0, CLUSTER, 7)
    folder = machine.point()
    with_document(folder, machine.generation, **changes)
    for taking in (
        lambda: replica.intake.take(folder),
        lambda: replica.intake.lacking(parse((folder / DOCUMENT).read_bytes(), "")),
    ):
        with pytest.raises(Refused, match="too far from the newest one here"):
            taking()
    assert tree(replica.depot.root) == before


def test_a_forged_epoch_is_undone_by_removing_its_document(machine: Machine, replica: Replica) -> None:
    replica.intake.take(machine.folders["0.1"])
    machine.write(0, CLUSTER, 7)
    folder = machine.point()
    forged = Path(shutil.copytree(folder, machine.folder / "forged"))
    with_document(forged, machine.generation, epoch=LARGEST_JUMP)
    replica.intake.take(forged)
    with pytest.raises(Refused, match="started elsewhere"):
        replica.intake.take(folder)
    replica.depot.document(UUID, f"{LARGEST_JUMP}.2").unlink()
    replica.intake.take(folder)
    replica.require_all()
    assert replica.tidy().doubts == [] and replica.names == ["0.1", "0.2"]


def test_from_a_folder_of_our_own_files_are_moved_and_only_what_is_lacking_is_asked_for(machine: Machine, replica: Replica) -> None:
    own = Path(shutil.copytree(machine.folders["0.1"], replica.depot.root.parent / "own"))
    assert set(replica.intake.lacking(machine.generation)) == set(machine.generation.needs)
    assert replica.intake.take(own, UUID, own=True).changed
    assert [path.name for path in own.iterdir()] == [DOCUMENT] and replica.intake.lacking(machine.generation) == ()
    machine.write(0, CLUSTER, 7)
    second = Path(shutil.copytree(machine.point(), replica.depot.root.parent / "second"))
    new = machine.disk.chain[-1].file
    assert replica.intake.lacking(machine.generation) == (machine.generation.files["nvram"], new)
    (second / file_name(new.digest)).write_bytes(bytes(new.size))
    with pytest.raises(Corrupt, match="does not have the digest"):
        replica.intake.take(second, UUID, own=True)
    assert replica.names == ["0.1"]


def test_a_merged_delta_with_the_bytes_of_a_later_one_ends_no_chain(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    replica = Replica(machine, tmp_path / "r")
    for number in range(5):
        machine.write(0, 2 * CLUSTER, number + 1)
        replica.intake.take(machine.point())
    assert replica.tidy(keep=5, quota=replica.depot.bytes_used - 1).merged
    merged = replica.depot.find(UUID).disks[0].chain[0]
    assert merged.of[1] > 1 and merged.digest == machine.disk.chain[merged.of[1] - 1].digest, "each point overwrites the one before"
    machine.write(CLUSTER, CLUSTER, 9)
    folder = machine.point()
    assert len(replica.intake.lacking(machine.generation)) == 2, "the new delta and the NVRAM"
    assert replica.intake.take(folder).changed
    replica.require_all()
