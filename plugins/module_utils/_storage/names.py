# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names at the edge: what a digest, an image name, a version and a size may look like, and paths that stay under a root."""

from __future__ import annotations

import re
from pathlib import Path

from .._errors import InvalidInput
from .._sizes import parse_size

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
LARGEST = 2**63 - 1


def _match(pattern: re.Pattern[str], value: object, what: str, rule: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise InvalidInput(f"{what} {value!r:.200} is not valid: {rule}.")


def image_name(value: object) -> str:
    """Return ``value`` if it is an image name."""
    return _match(NAME, value, "The image name", "up to 128 letters, digits and ._+- that begin with a letter or digit")


def image_version(value: object) -> str:
    """Return ``value`` if it is a version."""
    return _match(VERSION, value, "The version", "up to 64 letters, digits and ._+~- that begin with a letter or digit")


def digest(value: object) -> str:
    """Return ``value`` if it is a digest, ``sha256:`` and 64 lower-case hexadecimal digits."""
    return _match(DIGEST, value, "The digest", "sha256: and 64 lower-case hexadecimal digits")


def checksum(value: object) -> str:
    """Return ``value`` in lower case if it is a checksum strong enough to prove a download: sha256 or sha512."""
    lowered = value.lower() if isinstance(value, str) else value
    return _match(CHECKSUM, lowered, "The checksum", "sha256: and 64, or sha512: and 128 hexadecimal digits")


def hex_of(valid_digest: str) -> str:
    """Return the hexadecimal part of a digest: the name of its files."""
    return digest(valid_digest).removeprefix("sha256:")


def size_in_bytes(value: object, what: str = "The size") -> int:
    """Return bytes for ``10G``, ``512MiB`` or ``1048576``; units are powers of 1024."""
    size = parse_size(str(value), what)
    if not 0 < size <= LARGEST:
        raise InvalidInput(f"{what} {value} is out of range: from 1 byte to {LARGEST} bytes.")
    return size


def absolute_path(value: str, what: str = "The path") -> Path:
    """Return ``value`` as a path if it is absolute and free of ``..`` and NUL, so that no program takes it for a protocol."""
    if not value.startswith("/") or "\0" in value or ".." in Path(value).parts:
        raise InvalidInput(f"{what} {value!r} must be absolute, without '..'.")
    return Path(value)


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key: runs of digits compare as numbers, ``~`` sorts before everything, so 12.9 < 12.10 and 13~rc1 < 13."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    return (*(_part_key(part) for part in parts), (1, 0, ""))


def _part_key(part: str) -> tuple[int, int, str]:
    if part == "~":
        return (0, 0, "")
    return (3, int(part), "") if part.isdigit() else (2, 0, part)
