# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of values at the edge: digests, image names, versions, sizes and absolute paths."""

from __future__ import annotations

import re
from pathlib import Path

from .._checked import a_path
from .._errors import InvalidInput
from .._sizes import parse_size

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CHECKSUM = re.compile(r"(sha256|image):[0-9a-f]{64}|sha512:[0-9a-f]{128}")
LARGEST = 2**63 - 1


def _match(pattern: re.Pattern[str], value: object, option: str, rule: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise InvalidInput(f"{option}: {value!r:.200} is not valid; use {rule}.", option=option)


def image_name(value: object) -> str:
    """Return ``value`` if it is an image name."""
    return _match(NAME, value, "name", "up to 128 letters, digits and ._+- that begin with a letter or digit")


def image_version(value: object) -> str:
    """Return ``value`` if it is a version."""
    return _match(VERSION, value, "version", "up to 64 letters, digits and ._+~- that begin with a letter or digit")


def digest(value: object) -> str:
    """Return ``value`` if it is a digest, ``sha256:`` and 64 lower-case hexadecimal digits."""
    return _match(DIGEST, value, "digest", "sha256: and 64 lower-case hexadecimal digits")


def checksum(value: object) -> str:
    """Return ``value`` in lower case if it is a checksum strong enough to prove a download: sha256, sha512 or image.

    ``image:`` and the hexadecimal part of a digest prove an image that comes from another image datastore as a plain file.
    """
    lowered = value.lower() if isinstance(value, str) else value
    return _match(CHECKSUM, lowered, "checksum", "sha256: and 64, sha512: and 128, or image: and 64 hexadecimal digits")


def hex_of(valid_digest: str) -> str:
    """Return the hexadecimal part of a digest: the name of its files."""
    return digest(valid_digest).removeprefix("sha256:")


def size_in_bytes(value: object, option: str) -> int:
    """Return bytes for ``10G``, ``512MiB`` or ``1048576``; units are powers of 1024."""
    size = parse_size(str(value), option)
    if not 0 < size <= LARGEST:
        raise InvalidInput(f"{option}: {value} is out of range; use 1 to {LARGEST} bytes.", option=option)
    return size


def absolute_path(value: str, option: str = "path") -> Path:
    """Return ``value`` as ``a_path`` does."""
    return a_path(value, option)


def optional_path(value: str | None, option: str) -> Path | None:
    """Return ``value`` as ``absolute_path`` does, None for one that was left out."""
    return absolute_path(value, option) if value else None


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key: runs of digits compare as numbers, ``~`` sorts before everything, so 12.9 < 12.10 and 13~rc1 < 13."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    return (*(_part_key(part) for part in parts), (1, 0, ""))


def _part_key(part: str) -> tuple[int, int, str]:
    if part == "~":
        return (0, 0, "")
    return (3, int(part), "") if part.isdigit() else (2, 0, part)
