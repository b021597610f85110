# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of images with checksum files, on the web (as Debian, Ubuntu and Fedora publish) or on this host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ...._errors import InvalidInput
from .. import checksum_list
from .appliance import Appliance, Catalogue, File, Skipped, arch_of, below, gather, printable, version_of

SUMS = ("SHA512SUMS", "SHA256SUMS", "CHECKSUM", "sha256sums")
LIST = re.compile(
    r".*(?:sums?|checksums?|digests?|[._-](?:md5|sha-?1|sha-?256|sha-?512))(?:[._-](?:txt|sha-?\d{3}))*", re.IGNORECASE
)
IMAGE = re.compile(r"(.+?)\.(qcow2|img|raw|vmdk|vdi|vhdx|vhd)(?:\.(?:gz|xz|bz2|zst))?", re.IGNORECASE)
ARCHIVE = re.compile(r".+?\.(tar|ova|box|tgz|txz|tbz2?|tzst|zip|7z)(?:\.(?:gz|xz|bz2|zst))?", re.IGNORECASE)
TARS = ("tar", "ova", "box", "tgz", "txz", "tbz", "tbz2", "tzst")
ARCH = re.compile(
    r"(?:^|[-_.])(x86_64|x86-64|amd64|aarch64|arm64|armhf|armv7l?|i386|i586|i686|ppc64le|ppc64el|ppc64|s390x|riscv64)(?=$|[-_.])",
    re.IGNORECASE,
)
NUMBER = re.compile(r"v?\d[\w.~+]*", re.ASCII)
FORMATS = {"vhd": "vpc", "img": None}


def parse(data: bytes, where: str, base: str, own_name: str = "") -> Catalogue:
    """Return the images that the checksum file called ``own_name`` has; other files are ignored, archives and odd lines skipped."""
    sums = checksum_list.parse(data, f"The catalogue {where}", own_name)
    images = ((name, (name, known)) for name, known in sums.known.items() if IMAGE.fullmatch(name))
    found = gather(images, lambda entry, label: [appliance_of(entry[0], entry[1], label, base)], where)
    return Catalogue(found.appliances, (*found.skipped, *_archives(sums.known), *skipped_of(sums)))


def parse_folder(sizes: Mapping[str, int], sums: Mapping[str, Mapping[str, str]], folder: str) -> Catalogue:
    """Return the images among the files of a folder of this host (name to size), with the checksums that are known."""
    entries = ((name, (name, sums.get(name, {}), size)) for name, size in sorted(sizes.items()) if IMAGE.fullmatch(name))
    found = gather(entries, lambda entry, label: [appliance_of(entry[0], entry[1], label, folder, entry[2])], folder)
    return Catalogue(found.appliances, (*found.skipped, *_archives(sizes)))


def is_list(name: str) -> bool:
    """Return whether a name is that of a checksum file rather than of a folder."""
    return LIST.fullmatch(name) is not None


def is_image_or_archive(name: str) -> bool:
    """Return whether a name is that of a disk image, or of an archive that may have one."""
    return bool(IMAGE.fullmatch(name) or ARCHIVE.fullmatch(name))


def skipped_of(sums: checksum_list.Sums) -> tuple[Skipped, ...]:
    """Return what a checksum file has that was not understood."""
    return tuple(Skipped(printable(label), reason) for label, reason in sums.unread)


def _archives(names: Iterable[str]) -> Iterable[Skipped]:
    for name in names:
        if match := ARCHIVE.fullmatch(name):
            kind = "tar" if match[1].lower() in TARS else match[1].lower()
            yield Skipped(
                printable(name),
                f"It is a {kind} archive, not a disk image; unpack it, and give the disk image in it as source.",
                archive=True,
            )


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
