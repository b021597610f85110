# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A generation: one recovery point of a VM as frozen data, a JSON document over immutable files, parsed strictly from any host.

A folder of a generation on its way has the document ``generation.json`` and beside it each file by ``file_name`` of its digest.

The content of a disk is its image with the chain of deltas above it, the oldest first. A delta is a qcow2 (version 3, clusters of
``DELTA_CLUSTER`` bytes) that names no other file: who opens the chain says what lies below. It has the clusters that were written
since the point before; what was made zero is an explicit zero cluster. Its virtual size is that of the disk at its point.

Deltas are merged on replicas, each in its own way, so digests alone do not tell whether two chains have the same content. ``state``
does: the SHA-256 of the state before a delta and of its digest, and the first state is the image. A delta merged from several has
the state of the last of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import pairwise
from typing import Any

from ._errors import Corrupt, InvalidInput
from ._json import load_object, require_schema

SCHEMA = 1
DOCUMENT = "generation.json"
FILES = ("nvram", "tpm", "seed", "context")
LARGEST_JSON = 16 * 2**20
DEEPEST = 64  # lists and objects in each other
LARGEST_SIZE = 2**63 - 1
LARGEST_NUMBER = 2**53 - 1
MOST_DISKS, LONGEST_CHAIN = 256, 65536
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
STATE = re.compile(r"[0-9a-f]{64}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
TARGET = re.compile(r"[a-z]{1,8}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
Point = tuple[int, int]  # epoch and number: the later generation of a VM is the larger


def file_name(digest: str) -> str:
    """Return the name of the file with this digest, in every folder."""
    return digest.removeprefix("sha256:")


def export_name(uuid: str, generation: str, target: str) -> str:
    """Return the name by which a disk of a generation is exported by NBD, the same on every host that has it."""
    return "point-" + hashlib.sha256(f"{uuid} {generation} {target}".encode()).hexdigest()


def state_after(before: str, digest: str) -> str:
    """Return the state of a disk after a delta; ``before`` is the state before it, or what ``first_state`` gives."""
    return hashlib.sha256(f"{before} {digest}".encode()).hexdigest()


def first_state(image: str | None) -> str:
    """Return the state of a disk that is just its image, or empty."""
    return hashlib.sha256((image or "").encode()).hexdigest()


@dataclass(frozen=True)
class Vm:
    """The VM that a generation is of; it is known by its UUID."""

    name: str
    uuid: str


@dataclass(frozen=True)
class File:
    """An immutable file: the SHA-256 of its bytes as ``sha256:HEX``, and its length."""

    digest: str
    size: int


@dataclass(frozen=True)
class Delta:
    """A file of changed clusters; ``of`` are the numbers of the first and the last point whose changes it has."""

    digest: str
    size: int
    of: tuple[int, int]
    state: str
    kept: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def file(self) -> File:
        """Its file."""
        return File(self.digest, self.size)


@dataclass(frozen=True)
class Disk:
    """A disk at the point: its image by digest (None for one without), its size, and its deltas, the oldest first."""

    target: str
    image: str | None
    virtual_size: int
    chain: tuple[Delta, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def state(self) -> str:
        """What tells whether two chains of any deltas have the same content."""
        return self.chain[-1].state if self.chain else first_state(self.image)

    def followed_by(self, file: File, number: int, virtual_size: int) -> Disk:
        """Return the disk at its next point, with one more delta."""
        delta = Delta(file.digest, file.size, (number, number), state_after(self.state, file.digest))
        return Disk(self.target, self.image, virtual_size, (*self.chain, delta), self.kept)

    def begun_again(self, file: File, of: tuple[int, int], virtual_size: int) -> Disk:
        """Return the disk with one delta that has all that is above its image, for where no chain can be trusted."""
        delta = Delta(file.digest, file.size, of, state_after(first_state(self.image), file.digest))
        return Disk(self.target, self.image, virtual_size, (delta,), self.kept)


@dataclass(frozen=True)
class Generation:
    """A recovery point of a VM: all its disks at one instant.

    ``number`` counts the points of a VM, on over epochs: the first point of a restored VM has the next number after that of the
    generation that it was restored from. ``previous`` is the number of the point before it, None for the first. ``final``: the VM
    was stopped cleanly and wrote nothing after it. ``spec`` is the VM's whole record. ``files`` are of FILES; one that the VM does
    not have is left out. ``kept`` has the keys of a newer version.
    """

    vm: Vm
    epoch: int
    number: int
    instant: str
    quiesced: bool
    final: bool
    spec: Mapping[str, Any] = field(hash=False)
    files: Mapping[str, File] = field(hash=False)
    disks: tuple[Disk, ...]
    previous: int | None = None
    kept: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def point(self) -> Point:
        """What orders the generations of a VM."""
        return self.epoch, self.number

    @property
    def timestamp(self) -> float:
        """Its instant, in seconds since 1970."""
        return datetime.fromisoformat(self.instant).timestamp()

    @property
    def name(self) -> str:
        """EPOCH.NUMBER, as folders and users name it."""
        return point_name(self.point)

    @property
    def needs(self) -> tuple[File, ...]:
        """All files that it is made of, each once."""
        found = (*self.files.values(), *(delta.file for disk in self.disks for delta in disk.chain))
        return tuple(dict.fromkeys(found))

    @property
    def content(self) -> tuple[object, ...]:
        """What two documents of a point have in common, however their chains are merged."""
        disks = [(disk.target, disk.image, disk.virtual_size, disk.state) for disk in self.disks]
        return disks, self.vm, self.instant, self.quiesced, self.final, self.spec, self.files

    def disk(self, target: str) -> Disk | None:
        """Return the disk with this target, or None."""
        return next((one for one in self.disks if one.target == target), None)

    def to_json(self) -> bytes:
        """Return the canonical JSON: sorted keys, no spaces, one newline at the end."""
        return json.dumps(_plain(self) | {"schema": SCHEMA}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Vm | File | Delta | Disk | Generation):
        known = {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name != "kept"}
        return {**getattr(value, "kept", {}), **known}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) if isinstance(one, File) else one for key, one in value.items()}
    return value


def point_name(point: Point) -> str:
    """Return EPOCH.NUMBER; ``point_of`` reads it."""
    return f"{point[0]}.{point[1]}"


def point_of(name: object, option: str = "generation") -> Point:
    """Return epoch and number of ``EPOCH.NUMBER``; raise InvalidInput for anything else."""
    found = re.fullmatch(r"(0|[1-9]\d{0,15})\.([1-9]\d{0,15})", name) if isinstance(name, str) else None
    if found is None:
        raise InvalidInput(
            f"{option}: {name!r:.100} is not a generation; write EPOCH.NUMBER, such as 0.12, as a list of them has it.",
            option=option,
        )
    return int(found[1]), int(found[2])


def parse(data: bytes, where: str) -> Generation:
    """Return the generation in ``data``; anything wrong raises Corrupt that names ``where``.

    Raises Unsupported where a newer major version wrote it.
    """
    loaded = load_object(data, where, LARGEST_JSON)
    require_schema(loaded, SCHEMA, where)
    try:
        found: Generation = _generation({key: value for key, value in loaded.items() if key != "schema"}, "")
        _require_consistent(found)
        found.to_json()
    except (InvalidInput, ValueError, RecursionError) as error:  # such as a lone surrogate or NaN in the spec
        raise Corrupt(f"{where} is not a generation: {error!s:.500}", where=where) from None
    return found


def _require_consistent(found: Generation) -> None:
    """Raise InvalidInput where parts contradict each other."""
    targets = [disk.target for disk in found.disks]
    _require(len(set(targets)) == len(targets), "disks", "a target is there twice")
    _require(found.previous is None or found.previous < found.number, "previous", f"{found.previous} is not before {found.number}")
    sizes: dict[str, int] = {}
    for file in found.needs:
        _require(sizes.setdefault(file.digest, file.size) == file.size, "disks", f"{file.digest} has two sizes")
    for disk in found.disks:
        ends = [delta.of for delta in disk.chain]
        rising = all(before[1] < after[0] for before, after in pairwise(ends))
        _require(rising, f"disks.{disk.target}.chain", "its points are not in order")
        _require(not ends or ends[-1][1] <= found.number, f"disks.{disk.target}.chain", "it ends after the generation")
        _require(bool(ends) or disk.image is not None, f"disks.{disk.target}", "it has neither an image nor a delta")
        _require_states(disk)


def _require_states(disk: Disk) -> None:
    """Raise InvalidInput where the state of a delta that is not merged is not what its digest gives."""
    before = first_state(disk.image)
    for number, delta in enumerate(disk.chain):
        single = delta.of[0] == delta.of[1]
        right = not single or delta.state == state_after(before, delta.digest)
        _require(right, f"disks.{disk.target}.chain[{number}].state", "it is not the state after this delta")
        before = delta.state


def _require(condition: bool, where: str, otherwise: str) -> None:
    if not condition:
        raise InvalidInput(f"{where}: {otherwise}.", option=where)


Rule = Callable[[Any, str], Any]


def _integer(low: int, high: int) -> Rule:
    def rule(value: Any, where: str) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        _require(whole, where, f"{value!r:.80} is not a whole number from {low} to {high}")
        return int(value)

    return rule


def _text(pattern: re.Pattern[str]) -> Rule:
    def rule(value: Any, where: str) -> str:
        _require(isinstance(value, str) and bool(pattern.fullmatch(value)), where, f"{value!r:.120} is not valid")
        return str(value)

    return rule


def _boolean(value: Any, where: str) -> bool:
    _require(isinstance(value, bool), where, f"{value!r:.80} is neither true nor false")
    return bool(value)


def _instant(value: Any, where: str) -> str:
    _text(INSTANT)(value, where)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        _require(False, where, f"{value!r} is not a time")
    return str(value)


def _free(value: Any, where: str) -> dict[str, Any]:
    _require(isinstance(value, dict), where, "it is not an object")
    _require(not _deeper(value, DEEPEST), where, f"it has more than {DEEPEST} levels")
    json.dumps(value, allow_nan=False).encode()
    return dict(value)


def _deeper(value: Any, levels: int) -> bool:
    below = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return below is not None and (levels == 0 or any(_deeper(one, levels - 1) for one in below))


def _null_or(rule: Rule) -> Rule:
    return lambda value, where: None if value is None else rule(value, where)


def _list(rule: Rule, most: int) -> Rule:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        _require(isinstance(value, list) and len(value) <= most, where, f"it is not a list of at most {most}")
        return tuple(rule(one, f"{where}[{number}]") for number, one in enumerate(value))

    return read


def _range(value: Any, where: str) -> tuple[int, int]:
    found = _list(_integer(1, LARGEST_NUMBER), 2)(value, where)
    _require(len(found) == 2 and found[0] <= found[1], where, "it is not the first and the last number of a range")
    return found[0], found[1]


def _object(build: Callable[..., Any], rules: Mapping[str, Rule], optional: tuple[str, ...] = (), keep: bool = False) -> Rule:
    """Return the rule of an object; keys of a newer version are kept where the dataclass has a place for them, else ignored."""

    def read(value: Any, where: str) -> Any:
        at = f"{where}." if where else ""
        _require(isinstance(value, dict), where or "it", "it is not an object")
        missing = [key for key in rules if key not in value and key not in optional]
        _require(not missing, f"{at}{missing[0] if missing else ''}", "it is missing")
        known = {key: rule(value[key], f"{at}{key}") for key, rule in rules.items() if key in value}
        kept = {key: one for key, one in value.items() if key not in rules and key != "kept"} if keep else {}
        return build(**known, **({"kept": _free(kept, where)} if kept else {}))

    return read


_digest, _size = _text(DIGEST), _integer(1, LARGEST_SIZE)
_file = _object(File, {"digest": _digest, "size": _integer(0, LARGEST_SIZE)})
_delta = _object(Delta, {"digest": _digest, "size": _size, "of": _range, "state": _text(STATE)}, keep=True)
_disk = _object(
    Disk,
    {"target": _text(TARGET), "image": _null_or(_digest), "virtual_size": _size, "chain": _list(_delta, LONGEST_CHAIN)},
    keep=True,
)
_files = _object(dict, dict.fromkeys(FILES, _file), FILES)
_generation = _object(
    Generation,
    {
        "vm": _object(Vm, {"name": _text(VM_NAME), "uuid": _text(UUID)}),
        "epoch": _integer(0, LARGEST_NUMBER),
        "number": _integer(1, LARGEST_NUMBER),
        "instant": _instant,
        "quiesced": _boolean,
        "final": _boolean,
        "spec": _free,
        "files": _files,
        "disks": _list(_disk, MOST_DISKS),
        "previous": _null_or(_integer(1, LARGEST_NUMBER)),
    },
    ("previous",),
    keep=True,
)
