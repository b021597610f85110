# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of images with checksum files, on the web (as Debian, Ubuntu and Fedora publish) or on this host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ...._errors import InvalidInput
from .appliance import DIGITS, LARGEST_CATALOGUE, Appliance, Catalogue, File, arch_of, below, gather, version_of

SUMS = ("SHA512SUMS", "SHA256SUMS")
GNU = re.compile(r"([0-9a-fA-F]{32,128}) [ *](.+)")
BSD = re.compile(r"(?:MD5|SHA1|SHA256|SHA512) \((.+)\) = ([0-9a-fA-F]{32,128})")
IMAGE = re.compile(r"(.+?)\.(qcow2|img|raw|vmdk|vdi|vhdx|vhd)(?:\.(?:gz|xz|bz2|zst))?", re.IGNORECASE)
ARCH = re.compile(
    r"(?:^|[-_.])(x86_64|x86-64|amd64|aarch64|arm64|armhf|armv7l?|i386|i586|i686|ppc64le|ppc64el|ppc64|s390x|riscv64)(?=$|[-_.])",
    re.IGNORECASE,
)
NUMBER = re.compile(r"v?\d[\w.~+]*", re.ASCII)
FORMATS = {"vhd": "vpc", "img": None}
ALGORITHMS = {digits: algorithm for algorithm, digits in DIGITS.items()}


def parse(data: bytes, where: str, base: str) -> Catalogue:
    """Return the images that a checksum file names; other files and other lines are ignored."""
    sums = gather_sums(data, where)
    return gather(sums.items(), lambda entry, label: [appliance_of(entry[0], entry[1], label, base)], where)


def parse_folder(sizes: Mapping[str, int], sums: Mapping[str, tuple[str, dict[str, str]]], folder: str) -> Catalogue:
    """Return the images among the files of a folder of this host (name to size), with the checksums that are known."""
    known = {name: found[1] for name, found in sums.items()}
    entries = ((name, (name, known.get(name, {}), size)) for name, size in sorted(sizes.items()) if IMAGE.fullmatch(name))
    return gather(entries, lambda entry, label: [appliance_of(entry[0], entry[1], label, folder, entry[2])], folder)


def gather_sums(data: bytes, where: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the images that a checksum file names: name to (name, checksums)."""
    if len(data) > LARGEST_CATALOGUE:
        raise InvalidInput(f"The catalogue {where} is larger than {LARGEST_CATALOGUE} bytes; it was not read.", catalogue=where)
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"The catalogue {where} is not text; is it a checksum file?", catalogue=where) from None
    found: dict[str, tuple[str, dict[str, str]]] = {}
    count = 0
    for name, hex_ in _lines(lines):
        count += 1
        algorithm = ALGORITHMS.get(len(hex_))
        if algorithm and IMAGE.fullmatch(name):
            known = found.setdefault(name, (name, {}))[1]
            if known.setdefault(algorithm, hex_) != hex_:
                raise InvalidInput(f"The catalogue {where} has two checksums {algorithm} of {name!a:.120}.", catalogue=where)
    if not count and any(line.strip() for line in lines):
        raise InvalidInput(f"The catalogue {where} has no line with a checksum and a name.", catalogue=where)
    return found


def _lines(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if match := GNU.fullmatch(line.strip()):
            yield match[2].removeprefix("./"), match[1].lower()
        elif match := BSD.fullmatch(line.strip()):
            yield match[1], match[2].lower()


def appliance_of(name: str, checksums: Mapping[str, str], where: str, base: str, size: int | None = None) -> Appliance:
    """Return the appliance that a file name means: ``debian-13-genericcloud-amd64.qcow2`` is debian-genericcloud 13 for x86_64."""
    url = below(base, name, where)
    last = name.rsplit("/", 1)[-1]
    match = IMAGE.fullmatch(last)
    if match is None:
        raise InvalidInput(f"{where}: {name!a:.120} is not the name of a disk image.")
    stem, suffix = match[1], match[2].lower()
    arch = ARCH.search(stem)
    if arch:
        stem = stem[: arch.start()] + stem[arch.end() :]
    words = [word for word in re.split(r"[-_]", stem) if word]
    numbers = [word for word in words if NUMBER.fullmatch(word)]
    named = [word for word in words if word not in numbers] or [last]
    return Appliance(
        name,
        "-".join(named),
        version_of("-".join(numbers), where),
        os=" ".join([named[0], *numbers[:1]]).lower(),
        arch=arch_of(arch[1]) if arch else "",
        files=(File(url, size, None, tuple(sorted(checksums.items())), FORMATS.get(suffix, suffix)),),
    )
