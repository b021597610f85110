# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The import: a disk image from outside becomes an immutable, standalone qcow2 in the image datastore."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..._errors import CommandFailed, Corrupt, Refused
from ..._secrets import public_url
from .. import names
from ..format import probe, qcow2
from ..format.foreign_image import Rules, judge, require_sound
from ..format.qemu_img import Limits, QemuImg, too_large
from ..format.source_file import held, named
from ..store import catalogue
from ..store import digest as digests
from ..store.manifest import Manifest
from ..store.store import Store
from . import decompress


@dataclass(frozen=True)
class ImageDescription:
    """Name and description of an image; ``source`` is what the user named, for people to read.

    The manifest has a URL without its user, password and query. ``template`` is what a VM of the image begins with, as JSON.
    """

    name: str
    version: str
    created: str
    os: str = ""
    arch: str = ""
    min_disk: int = 0
    source: str = ""
    template: Mapping[str, Any] | None = None


def import_file(store: Store, qemu: QemuImg, path: Path, *, wanted: ImageDescription, rules: Rules, now: float) -> Manifest:
    """Bring the image in ``path`` into the store and its catalogue, and return its manifest.

    Nothing becomes visible before it is whole, checked and hashed. A second import of the same name and version at the same time
    waits and finds it done. Raises Corrupt, Refused, Conflict, InvalidInput or NoSpace; an error leaves nothing behind.
    """
    store.prepare()
    store.sweep(now)
    key = "import-" + hashlib.sha256(f"{wanted.name}\0{wanted.version}".encode()).hexdigest()[:32]
    work, plain = store.partial / f"{key}.qcow2", store.partial / f"{key}.unpacked"
    with store.named_lock(key):
        work.unlink(missing_ok=True)
        plain.unlink(missing_ok=True)
        try:
            with named(plain, str(path)), named(work, str(path)):
                there, source_digest = _bring(store, qemu, path, work, wanted=wanted, rules=rules)
                return there or _finish(store, qemu, work, wanted, source_digest)
        finally:
            work.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)


def _bring(
    store: Store, qemu: QemuImg, source: Path, work: Path, *, wanted: ImageDescription, rules: Rules
) -> tuple[Manifest | None, str]:
    """Return the image that is there already, or None with ``work`` made, and the source's checksum; all reads are of one file."""
    with held(source) as path:
        there = store.named(wanted.name, wanted.version)
        source_digest = source_checksum(path, rules) if there else None
        if there is not None and source_digest == there.source_digest:
            return there, source_digest
        packed = decompress.packed_as(path)
        if packed:
            source_digest = source_digest or source_checksum(path, rules)
            _unpack_and_make(qemu, path, packed, work, rules)
        else:
            source_digest = _make(qemu, path, work, rules, source_digest)
    return None, source_digest


def _unpack_and_make(qemu: QemuImg, path: Path, packed: str, work: Path, rules: Rules) -> None:
    """Make the qcow2 of a packed source; the checksum was that of the packed bytes."""
    plain = work.with_suffix(".unpacked")
    decompress.unpack(path, packed, plain, rules.largest_unpacked)
    unpacked_rules = replace(rules, checksum=None)
    if judge(qemu, plain, unpacked_rules) == "qcow2" and _kept_as_it_is(plain, unpacked_rules):
        plain.rename(work)
    else:
        _convert(qemu, plain, work, unpacked_rules)
        plain.unlink()


def _make(qemu: QemuImg, path: Path, work: Path, rules: Rules, source_digest: str | None) -> str:
    """Make the qcow2 of a source and return the checksum of exactly the bytes that it was made of."""
    if judge(qemu, path, rules) == "qcow2" and _kept_as_it_is(path, rules):
        source_digest = digests.copy_with_checksum(path, work, rules.algorithm)
        _require_checksum(path, source_digest, rules)
        qcow2.refuse_unless_standalone(qcow2.read_header(work), str(path))
        return source_digest
    source_digest = source_digest or source_checksum(path, rules)
    _convert(qemu, path, work, rules)
    return source_digest


def _convert(qemu: QemuImg, path: Path, work: Path, rules: Rules) -> None:
    largest = rules.largest_unpacked
    try:
        qemu.convert(path, probe.format_of(path, rules.format), work, compress=rules.compress, limits=Limits(file_size=largest))
    except CommandFailed as error:
        if not too_large(error):
            raise
        raise Refused(
            f"The conversion of {path} makes more than {largest} bytes (max_unpacked_size); it was not imported.", path=str(path)
        ) from None


def _finish(store: Store, qemu: QemuImg, work: Path, wanted: ImageDescription, source_digest: str) -> Manifest:
    require_sound(qemu, work, "qcow2")
    description = digests.describe(work)
    header = qcow2.read_header(work)
    wanted = replace(wanted, source=public_url(wanted.source))  # the manifest is served to all hosts
    manifest = Manifest.new(**vars(description), **asdict(wanted), virtual_size=header.virtual_size, source_digest=source_digest)
    with store.lock(manifest.digest):
        catalogue.require_free_name(store, manifest.name, manifest.version, manifest.digest)
        there = store.find(manifest.digest)
        if there is None:
            store.publish(work, manifest)
    catalogue.write(store)
    return there or manifest


def source_checksum(path: Path, rules: Rules, algorithm: str | None = None) -> str:
    """Return the source's checksum, compared with that of the rules if they have one."""
    with held(path) as source:
        found = digests.checksum_of(source, rules.algorithm)
        _require_checksum(source, found, rules)
        return found if algorithm in (None, rules.algorithm) else digests.checksum_of(source, str(algorithm))


def _require_checksum(path: Path, found: str, rules: Rules) -> None:
    if rules.checksum and found != names.checksum(rules.checksum):
        raise Corrupt(f"{path} has the checksum {found}, but {rules.checksum} is expected; it was not imported.", found=found)


def _kept_as_it_is(path: Path, rules: Rules) -> bool:
    header = qcow2.read_header(path)
    return not (rules.compress or header.dirty or header.snapshots or header.version < 3)


def judge_source(qemu: QemuImg, path: Path, rules: Rules) -> None:
    """Raise what an import of ``path`` would raise, as far as that is known without unpacking it."""
    with held(path) as source:
        packed = decompress.packed_as(source)
        if packed:
            decompress.require_program(packed, str(source))
        else:
            judge(qemu, source, rules)
