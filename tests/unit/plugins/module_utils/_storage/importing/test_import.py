# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The import: real images of every format come in whole, hostile ones do not come in at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    CommandFailed,
    Conflict,
    Corrupt,
    EdgeError,
    InvalidInput,
    NoSpace,
    Refused,
    Unreachable,
    Unsupported,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.foreign_image import Rules
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qcow2 import read_header
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.download import downloaded
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.import_ import ImageDescription, import_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import catalogue
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from support.hand_check import digest_of
from support.hostile import require_records, write_hostile
from support.image_server import Faults, faulty
from support.images import MIB, QEMU, qcow2, qemu_img, raw

WANTED = ImageDescription("debian", "1", "2026-01-02T03:04:05Z", os="debian 13", arch="x86_64", source="here")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def bring(store: Store, path: Path, wanted: ImageDescription = WANTED, **rules: Any) -> Manifest:
    return import_file(store, QEMU, path, wanted=wanted, rules=Rules(**rules), now=0)


def empty(store: Store) -> bool:
    return [path.name for path in store.root.iterdir()] == ["partial"] and not list(store.partial.iterdir())


def test_a_sound_qcow2_is_kept_byte_for_byte(store: Store, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "a.qcow2", 6)
    image = bring(store, path)
    assert store.image_path(image.digest).read_bytes() == path.read_bytes()
    assert (image.digest, image.virtual_size) == (digest_of(path), 6 * MIB)
    assert image.source_digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert catalogue.parse((store.root / "index.json").read_bytes(), "x")[0].digest == image.digest
    assert list(store.partial.iterdir()) == []
    assert bring(store, path) == image


@pytest.mark.parametrize("form", ["raw", "vmdk", "vdi", "vhdx", "vpc", "qcow2"])
def test_every_format_becomes_a_standalone_qcow2(store: Store, tmp_path: Path, form: str) -> None:
    plain = raw(tmp_path / "plain.raw", 3)
    path = tmp_path / "image"
    options = ("-o", "compat=0.10") if form == "qcow2" else ("-o", "subformat=streamOptimized") if form == "vmdk" else ()
    qemu_img("convert", "-f", "raw", "-O", form, *options, plain, path)
    image = bring(store, path)
    qemu_img("compare", "-f", "raw", "-F", "qcow2", plain, store.image_path(image.digest))
    assert read_header(store.image_path(image.digest)).version == 3


def test_compression_is_made_on_demand(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"\1" * 8 * MIB)
    assert bring(store, path, format="raw", compress=True).size < MIB


def hostile(path: Path, kind: str) -> None:
    secret = path.with_name("secret")
    secret.write_bytes(b"s" * MIB)
    if kind == "backing":
        qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", path)
    elif kind == "data file":
        qemu_img("create", "-f", "qcow2", "-o", f"data_file={secret},data_file_raw=on", path, "1M")
    elif kind == "vmdk descriptor":
        path.write_text(f'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "{secret}" 0\n')
    elif kind == "hidden vmdk descriptor":
        head = bytearray(65536)
        head[:4] = b"KDMV"
        struct.pack_into("<I", head, 4, 1)
        text = f'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\nRW 2048 FLAT "{secret}" 0\n'
        head[512 : 512 + len(text)] = text.encode()
        struct.pack_into("<QQ", head, 28, 1, 4)
        path.write_bytes(head)
    elif kind == "bomb":
        qemu_img("create", "-f", "qcow2", path, "1P")
    else:
        qemu_img("create", "-f", "qcow2", path, "1M")
        data = bytearray(path.read_bytes())
        data[79] |= 2  # marked corrupt
        path.write_bytes(data)


@pytest.mark.parametrize("kind", ["backing", "data file", "vmdk descriptor", "hidden vmdk descriptor", "bomb", "corrupt"])
def test_a_hostile_image_is_refused_and_leaves_nothing(store: Store, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "evil"
    hostile(path, kind)
    with pytest.raises(Refused):
        bring(store, path)
    assert empty(store)


@pytest.mark.parametrize("kind", ["backing file", "json", "data file", "qed", "vmdk text", "broken header"])
def test_a_guest_does_not_decide_what_its_raw_disk_is_imported_as(store: Store, tmp_path: Path, kind: str) -> None:
    disk = tmp_path / "disk"
    write_hostile(disk, kind)
    with pytest.raises(EdgeError):
        bring(store, disk)
    assert empty(store)
    image = bring(store, disk, format="raw")
    found = read_header(store.image_path(image.digest))
    assert (found.backing_file, found.data_file, found.virtual_size) == (None, None, disk.stat().st_size)


def test_a_disk_on_record_as_raw_is_imported_as_raw(store: Store, tmp_path: Path) -> None:
    require_records(tmp_path)
    disk = qcow2(tmp_path / "disk", 1)
    note_format(disk, "raw")
    assert read_header(store.image_path(bring(store, disk).digest)).virtual_size >= disk.stat().st_size
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(bytes(MIB)) + bytes(MIB))
    note_format(packed, "raw")
    image = bring(store, packed, replace(WANTED, version="2"))
    assert read_header(store.image_path(image.digest)).virtual_size >= packed.stat().st_size
    write_hostile(disk, "backing file")
    with pytest.raises(Refused, match="it begins as qcow2 with the backing file"):
        bring(store, disk)


def test_a_qcow2_said_to_be_raw_stays_opaque_and_one_reported_to_be_vdi_is_refused(store: Store, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "a.qcow2", 1)
    with pytest.raises(InvalidInput, match="first bytes are those of qcow2"):
        bring(store, path, format="vdi")
    image = bring(store, path, format="raw")
    assert read_header(store.image_path(image.digest)).virtual_size >= path.stat().st_size


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", EdgeError), (b"n" * 999, InvalidInput), (b"\x1f\x8b" + b"x" * 999, Corrupt), (b"PK\x03\x04" + b"x" * 999, Unsupported)],
)
def test_what_is_no_image_is_refused(store: Store, tmp_path: Path, data: bytes, error: type[EdgeError]) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(error):
        bring(store, path)
    assert empty(store)


@pytest.mark.parametrize("keep", [50, 70_000, 200_000])
def test_a_truncated_image_is_never_visible(store: Store, tmp_path: Path, keep: int) -> None:
    path = qcow2(tmp_path / "a.qcow2", 6)
    os.truncate(path, keep)
    with pytest.raises((Corrupt, CommandFailed)):
        bring(store, path)
    assert empty(store)


def test_a_wrong_checksum_leaves_nothing(store: Store, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "a.qcow2", 1)
    with pytest.raises(Corrupt, match="is expected"):
        bring(store, path, checksum="sha256:" + "0" * 64)
    assert empty(store)
    right = "sha512:" + hashlib.sha512(path.read_bytes()).hexdigest()
    assert bring(store, path, checksum=right).source_digest == right


def test_a_name_and_version_never_get_other_bytes(store: Store, tmp_path: Path) -> None:
    first = bring(store, qcow2(tmp_path / "a.qcow2", 1, seed=1))
    with pytest.raises(Conflict, match="new version"):
        bring(store, qcow2(tmp_path / "b.qcow2", 1, seed=2))
    with pytest.raises(Conflict, match="these bytes"):
        bring(store, tmp_path / "a.qcow2", ImageDescription("other", "1", "2026-01-02T03:04:05Z"))
    assert store.images() == [first]


def test_conversion_cannot_fill_the_disk(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.raw", 8)
    with pytest.raises(CommandFailed):
        QEMU.convert(path, "raw", tmp_path / "out.qcow2", limits=Limits(file_size=2 * MIB))
    assert (tmp_path / "out.qcow2").stat().st_size <= 2 * MIB


def test_no_space_is_seen_before(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.edge.cloud.plugins.module_utils._files.free_bytes", lambda _folder: 1000)
    with pytest.raises(NoSpace, match="1000 are free"):
        bring(store, qcow2(tmp_path / "a.qcow2", 1))
    assert empty(store)


def test_a_download_is_resumed_and_proven(store: Store, tmp_path: Path) -> None:
    store.prepare()
    (tmp_path / "web").mkdir()
    data = raw(tmp_path / "web" / "a.raw", 4).read_bytes()
    checksum = "sha256:" + hashlib.sha256(data).hexdigest()
    faults = Faults(cut_after=2 * MIB)
    with faulty(tmp_path / "web", faults) as url, downloaded(store, url + "a.raw", checksum, Trust()) as path:
        assert path.read_bytes() == data
    assert faults.served <= len(data) + MIB
    assert len(faults.ranges) == 1
    assert list(store.partial.iterdir()) == []


def test_a_download_with_a_wrong_checksum_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.prepare()
    (tmp_path / "web").mkdir()
    raw(tmp_path / "web" / "a.raw", 1)
    with (
        faulty(tmp_path / "web", Faults()) as url,
        pytest.raises(Corrupt, match="is expected"),
        downloaded(store, url + "a.raw", "sha256:" + "0" * 64, Trust()),
    ):
        raise AssertionError("an unproven file was handed out")
    assert list(store.partial.iterdir()) == []


def test_a_stale_partial_download_is_begun_again(store: Store, tmp_path: Path) -> None:
    store.prepare()
    (tmp_path / "web").mkdir()
    data = raw(tmp_path / "web" / "a.raw", 2).read_bytes()
    checksum = "sha256:" + hashlib.sha256(data).hexdigest()
    with faulty(tmp_path / "web", Faults()) as url:
        key = hashlib.sha256(f"{url}a.raw\0{checksum}".encode()).hexdigest()[:32]
        (store.partial / f"download-{key}.part").write_bytes(b"of another version of the file")
        with downloaded(store, url + "a.raw", checksum, Trust()) as path:
            assert path.read_bytes() == data


def test_a_download_that_nothing_proves_is_not_resumed_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.prepare()
    (tmp_path / "web").mkdir()
    data = raw(tmp_path / "web" / "a.raw", 4).read_bytes()
    faults = Faults(cut_after=2 * MIB)
    with faulty(tmp_path / "web", faults) as url:
        with pytest.raises(Unreachable), downloaded(store, url + "a.raw", None, Trust()):
            raise AssertionError("half a file was handed out")
        assert list(store.partial.iterdir()) == []
        with pytest.raises(CommandFailed), downloaded(store, url + "a.raw", None, Trust()) as path:
            assert path.read_bytes() == data
            raise CommandFailed(["x"], 1, "")
    assert faults.ranges == []
    assert list(store.partial.iterdir()) == []
