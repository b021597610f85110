# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: an image as frozen data, parsed strictly because it may come from any host.

The digest binds what a guest reads. It is ``sha256:`` and the hexadecimal SHA-256 of these bytes, numbers in decimal:

    edge.cloud image 1\\n
    format qcow2\\n
    size BYTES OF THE FILE\\n
    virtual_size BYTES OF THE DISK\\n
    piece_size BYTES\\n
    pieces ROOT OF THE TREE OF THEIR SHA-256, IN HEXADECIMAL\\n

So one who knows the digest can prove the manifest, then any page of the list of pieces (``format.pieces``), and then each piece
alone, from any source. The list is a file of its own, which only those read who need it.

``format`` and ``virtual_size`` are bound because they decide how QEMU reads the bytes; what a manifest says beside these five
(name, version, os, arch, min_disk, source, created, template) describes an image and is the word of the host that gave it.

So is a key that a newer version added: this one keeps it as it is, and it cannot change what a guest reads. Where the digest is to
bind more, the first line above is another one and ``schema`` is higher.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from ..._errors import Corrupt, InvalidInput
from ..._json import load_object, require_schema
from .. import names
from ..format.pieces import Check, Pieces, Read

# Small pieces let a new version reuse more of an old one. A VM that reads from an image that is not here waits for a whole piece.
MOST_PIECES = 16384  # except for images of more than 8 GiB
SMALLEST_PIECE, LARGEST_PIECE = 64 * 1024, 512 * 1024
LARGEST_JSON = 1024 * 1024
LARGEST_SIZE = 2**50
LONGEST_LIST = 2**24  # pieces; programs have some bytes in memory for each
LARGEST_TEXT = 2048
LARGEST_KEPT = 64 * 1024
DEEPEST_KEPT = 32  # lists and objects in each other
SCHEMA = 1
HEADER = "edge.cloud image 1\nformat {format}\nsize {size}\nvirtual_size {virtual_size}\npiece_size {piece_size}\npieces {root}\n"
HEX = re.compile(r"[0-9a-f]{64}")
CREATED = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\dZ")
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
SOURCE_DIGEST = re.compile(rf"|{names.CHECKSUM.pattern}")


def piece_size_for(size: int) -> int:
    """Return the piece size for a new image of ``size`` bytes: a cluster of qcow2 (64 KiB) up to 1 GiB, at most 512 KiB."""
    length = SMALLEST_PIECE
    while size > MOST_PIECES * length and length < LARGEST_PIECE:
        length *= 2
    return length


def digest_of(*, format: str, size: int, virtual_size: int, piece_size: int, root: str) -> str:
    """Return the digest of an image; see above."""
    header = HEADER.format(format=format, size=size, virtual_size=virtual_size, piece_size=piece_size, root=root)
    return "sha256:" + hashlib.sha256(header.encode()).hexdigest()


NOTHING = Pieces.of([])


def _nowhere(_offset: int, _length: int, _check: Check) -> bytes:
    return b""


@dataclass(frozen=True)
class Manifest:
    """An immutable image, whose digest was computed from it: no other list of pieces can have its name.

    ``pieces`` has the SHA-256 of each piece, so that a piece can be recognised, proven and repaired anywhere; it is read from where
    the manifest came from when it is used, and proven by ``root``. Sizes are in bytes; ``min_disk`` 0 means the virtual size.
    ``template`` is what a VM of it begins with, as JSON that ``_template`` reads when it is asked for: one that cannot be read does
    no harm to the image. ``kept`` has the keys of a newer version.
    """

    digest: str
    size: int
    virtual_size: int
    piece_size: int
    root: str
    name: str
    version: str
    created: str
    format: str = "qcow2"
    os: str = ""
    arch: str = ""
    min_disk: int = 0
    source: str = ""
    source_digest: str = ""
    template: Mapping[str, Any] | None = field(default=None, hash=False)
    kept: Mapping[str, Any] = field(default_factory=dict, hash=False)
    pieces: Pieces = field(default_factory=lambda: NOTHING, compare=False, repr=False)

    def __post_init__(self) -> None:
        for key, rule in RULES.items():
            rule(getattr(self, key), key)
        if self.count > LONGEST_LIST:
            raise InvalidInput(
                f"size: {self.size} bytes are {self.count} pieces of {self.piece_size} bytes; at most {LONGEST_LIST} are taken.",
                option="size",
            )
        if self.pieces is NOTHING:
            object.__setattr__(self, "pieces", self.list_from(_nowhere, self.digest))
        if len(self.pieces) != self.count or self.pieces.root != self.root:
            raise InvalidInput(
                f"pieces: there are {len(self.pieces)}; a size of {self.size} bytes needs {self.count}.", option="pieces"
            )
        found = digest_of(**{key: getattr(self, key) for key in BOUND})
        if found != self.digest:
            raise InvalidInput(
                f"digest: it is {self.digest}, but {', '.join(BOUND)} give {found}; they belong to another image.", option="digest"
            )

    @classmethod
    def new(cls, *, pieces: Pieces | Iterable[str], **fields: Any) -> Manifest:
        """Return the manifest of a new image, with the digest that the other fields give; ``pieces`` may be hexadecimal values."""
        listed = pieces if isinstance(pieces, Pieces) else Pieces.of(bytes.fromhex(one) for one in pieces)
        known = {"format": "qcow2", **fields, "root": listed.root}
        return cls(digest=digest_of(**{key: known[key] for key in BOUND}), root=listed.root, pieces=listed, **fields)

    @property
    def count(self) -> int:
        """How many pieces it has."""
        return -(-self.size // self.piece_size)

    def list_from(self, read: Read, where: str) -> Pieces:
        """Return its list of pieces as ``read`` gives it; messages name ``where``."""
        return Pieces(self.count, self.root, read, where)

    @property
    def hex(self) -> str:
        """The digest's hexadecimal part."""
        return names.hex_of(self.digest)

    def piece_length(self, index: int) -> int:
        """Return the bytes of piece ``index``; only the last may be short."""
        return min(self.piece_size, self.size - index * self.piece_size)

    def summary(self) -> dict[str, Any]:
        """Return what modules and the catalogue show of it."""
        return {key: getattr(self, key) for key in SHOWN}

    def to_json(self) -> bytes:
        """Return the canonical JSON: sorted keys, no spaces, one newline at the end."""
        known = {key: getattr(self, key) for key in KEYS if key != "template" or self.template is not None}
        return (
            json.dumps({**self.kept, **known, "schema": SCHEMA}, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
            + b"\n"
        )

    def described(self, **changes: Any) -> Manifest:
        """Return the same bytes with another description; None leaves a field alone."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})


def _integer(low: int, high: int) -> Callable[[object, str], None]:
    def rule(value: object, key: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidInput(f"{key}: {value!r:.80} is not a whole number from {low} to {high}.", option=key)

    return rule


def _text(pattern: re.Pattern[str], longest: int) -> Callable[[object, str], None]:
    def rule(value: object, key: str) -> None:
        if not isinstance(value, str) or len(value) > longest or not pattern.fullmatch(value):
            raise InvalidInput(f"{key}: {value!r:.80} is not valid.", option=key)

    return rule


def _template(value: object, key: str) -> None:
    if value is not None and (not isinstance(value, dict) or _deeper(value, DEEPEST_KEPT) or _length(value) > LARGEST_KEPT):
        raise InvalidInput(
            f"{key}: this is not a JSON object of at most {LARGEST_KEPT} bytes and {DEEPEST_KEPT} levels.", option=key
        )


def _length(value: object) -> int:
    try:
        return len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return LARGEST_KEPT + 1


def _piece_size(value: object, key: str) -> None:
    _integer(SMALLEST_PIECE, LARGEST_PIECE)(value, key)
    if int(value) & (int(value) - 1):  # type: ignore[call-overload]
        raise InvalidInput(f"{key}: {value} is not a power of two.", option=key)


RULES: Mapping[str, Callable[[object, str], None]] = {
    "digest": _text(names.DIGEST, 71),
    "size": _integer(1, LARGEST_SIZE),
    "virtual_size": _integer(1, names.LARGEST),
    "format": _text(re.compile("qcow2"), 5),
    "piece_size": _piece_size,
    "root": _text(HEX, 64),
    "name": _text(names.NAME, 128),
    "version": _text(names.VERSION, 64),
    "os": _text(PRINTABLE, 128),
    "arch": _text(PRINTABLE, 64),
    "min_disk": _integer(0, names.LARGEST),
    "source": _text(PRINTABLE, LARGEST_TEXT),
    "source_digest": _text(SOURCE_DIGEST, 135),
    "created": _text(CREATED, 20),
    "template": _template,
}
BOUND = ("format", "size", "virtual_size", "piece_size", "root")
UNWRITTEN = {"kept", "pieces"}
SHOWN = tuple(one.name for one in fields(Manifest) if one.name not in {*UNWRITTEN, "root"})
KEYS = frozenset(one.name for one in fields(Manifest)) - UNWRITTEN
REQUIRED = frozenset(one.name for one in fields(Manifest) if one.default is MISSING) - UNWRITTEN


def parse(data: bytes, where: str, expected: str | None = None, read: Read = _nowhere) -> Manifest:
    """Return the manifest in ``data``; anything wrong raises Corrupt that names ``where``. ``expected`` is the digest asked for.

    ``read`` gives its list of pieces when that is used. Raises Unsupported where a newer major version wrote it.
    """
    loaded = load_object(data, where, LARGEST_JSON)
    require_schema(loaded, SCHEMA, where)
    missing = ", ".join(sorted(REQUIRED - set(loaded)))
    if missing:
        raise Corrupt(f"{where} is not a manifest: it has no {missing}.", where=where)
    try:
        values: dict[str, Any] = {key: value for key, value in loaded.items() if key in KEYS}
        manifest = Manifest(**values, kept=kept_of(loaded, where))
    except InvalidInput as error:
        raise Corrupt(f"{where}: {error.message}", where=where) from None
    if expected is not None and manifest.digest != expected:
        raise Corrupt(f"{where} describes {manifest.digest}, but {expected} was asked for.", where=where)
    object.__setattr__(manifest, "pieces", manifest.list_from(read, where))
    return manifest


def kept_of(loaded: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the keys that a newer version added to a manifest; raise Corrupt where they are too many to keep, or no JSON."""
    kept = {key: value for key, value in loaded.items() if key not in KEYS and key != "schema"}
    if _deeper(kept, DEEPEST_KEPT):
        raise Corrupt(f"{where} has keys that this version does not know, deeper than {DEEPEST_KEPT} levels.", where=where)
    try:
        length = len(json.dumps(kept, allow_nan=False))
    except ValueError:
        raise Corrupt(f"{where} has numbers that are none in JSON.", where=where) from None
    if length > LARGEST_KEPT:
        raise Corrupt(f"{where} has more than {LARGEST_KEPT} bytes of keys that this version does not know.", where=where)
    return kept


def _deeper(value: object, levels: int) -> bool:
    below = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return below is not None and (levels == 0 or any(_deeper(one, levels - 1) for one in below))


def timestamp(now: float) -> str:
    """Return seconds since the epoch as a manifest's ``created``."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
