# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An appliance of a marketplace, as frozen data, and strict readers of fields, because an entry can come from anyone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from ...._errors import EdgeError, InvalidInput
from ...._json import load_object
from ...._secrets import shown_url
from ...._template import json_form
from ...._template.model import Template
from ..checksum_list import DIGITS

LARGEST_CATALOGUE = 32 * 1024 * 1024
MOST_ENTRIES = 100_000
LARGEST_SIZE = 2**60
KINDS = ("IMAGE", "VMTEMPLATE", "SERVICE_TEMPLATE")
STRONG = ("image", "sha512", "sha256")
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
VERSION = re.compile(r"[!-~]([ -~]{0,126}[!-~])?")
URL = re.compile(r"https?://[!-~]+")
ARCHES = {
    "amd64": "x86_64", "x86-64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "armv8": "aarch64", "i386": "i686", "i586": "i686",
    "x86": "i686", "ppc64el": "ppc64le", "armhf": "armv7l", "armv7": "armv7l",
}  # fmt: skip


@dataclass(frozen=True)
class File:
    """A disk of an appliance: where it is (a URL, or an absolute path), and what the catalogue says of the published bytes."""

    url: str
    size: int | None = None
    virtual_size: int | None = None
    checksums: tuple[tuple[str, str], ...] = ()
    format: str | None = None

    @property
    def proof(self) -> str | None:
        """The strongest checksum that proves anything, ``image:…``, ``sha512:…`` or ``sha256:…``; md5 and sha1 do not."""
        known = dict(self.checksums)
        return next((f"{algorithm}:{known[algorithm]}" for algorithm in STRONG if algorithm in known), None)


@dataclass(frozen=True)
class Appliance:
    """One entry of a catalogue; ``arch`` is written as the kernel writes it (x86_64, aarch64).

    ``template`` is what a VM, or a service, of it begins with.
    """

    id: str
    name: str
    version: str
    os: str = ""
    arch: str = ""
    kind: str = "IMAGE"
    tags: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    template: Template | None = None

    def view(self) -> dict[str, Any]:
        """Return the appliance as modules show it."""
        files = [{**asdict(file), "checksums": dict(file.checksums)} for file in self.files]
        template = json_form.to_json(self.template) if self.template else None
        return {**asdict(replace(self, template=None)), "tags": list(self.tags), "files": files, "template": template}


@dataclass(frozen=True)
class Skipped:
    """An entry that cannot be used, and why; ``id`` is what it may be asked for by. Archives beside the images are no loss."""

    entry: str
    reason: str
    id: str = ""
    archive: bool = False

    def view(self) -> dict[str, str]:
        """Return the entry as modules show it."""
        return {"entry": self.entry, "reason": self.reason}


@dataclass(frozen=True)
class Catalogue:
    """What a marketplace offers, and its entries that could not be read."""

    appliances: tuple[Appliance, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def gather(entries: Iterable[tuple[str, Any]], read: Callable[[Any, str], Iterable[Appliance]], where: str) -> Catalogue:
    """Read each (label, entry); one that cannot be read is listed in ``skipped`` and hides no other."""
    appliances: list[Appliance] = []
    skipped: list[Skipped] = []
    for number, (label, entry) in enumerate(entries):
        if number >= MOST_ENTRIES:
            raise InvalidInput(f"The catalogue {where} has more than {MOST_ENTRIES} entries; it was not read.", catalogue=where)
        try:
            appliances += read(entry, f"The catalogue {where}, entry {label!a:.120}")
        except EdgeError as error:
            skipped.append(Skipped(printable(label), error.message, _identity(entry)))
    return Catalogue(tuple(appliances), tuple(skipped))


def _identity(entry: Any) -> str:
    """Return the identifier of an entry that may be wrong in all else."""
    fields = entry if isinstance(entry, dict) else {}
    wrapped = fields.get("_id", fields.get("digest"))
    found = wrapped.get("$oid") if isinstance(wrapped, dict) else wrapped
    return found if isinstance(found, str) else ""


def printable(label: str) -> str:
    """Return a label that can be shown to a person, whatever it holds."""
    return label[:200] if TEXT.fullmatch(label) else ascii(label[:200])[1:-1]


def load_catalogue(data: bytes, where: str) -> Mapping[str, Any]:
    """Return the JSON object of a catalogue, or raise InvalidInput that names it."""
    return load_object(data, f"The catalogue {where}", LARGEST_CATALOGUE, InvalidInput)


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is {value!a:.80}; a JSON object is expected.", where=where)
    return value


def listing(value: Any, where: str, longest: int = MOST_ENTRIES) -> list[Any]:
    """Return ``value`` if it is a JSON list; None is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > longest:
        raise InvalidInput(f"{where} is {value!a:.80}; a JSON list of up to {longest} is expected.", where=where)
    return value


def text(entry: Mapping[str, Any], key: str, where: str, *, needed: bool = False, longest: int = 256) -> str:
    """Return a field as text: a string or a number without control characters; a missing one is empty unless ``needed``."""
    value = entry.get(key)
    if value is None or (value == "" and not needed):
        value = ""
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > longest or not TEXT.fullmatch(value) or (needed and not value.strip()):
        raise InvalidInput(f"{where}: its {key} is {value!a:.80}; a text of 1 to {longest} printable characters is expected.")
    return value.strip()


def version_of(value: str, where: str) -> str:
    """Return a version: printable ASCII; an empty one becomes ``0``."""
    if not value:
        return "0"
    if not VERSION.fullmatch(value):
        raise InvalidInput(f"{where}: its version is {value!a:.80}; up to 128 printable ASCII characters are expected.")
    return value


def number(entry: Mapping[str, Any], key: str, where: str) -> int | None:
    """Return a field as a count of bytes, written as a number or as its digits; None if it is missing."""
    value = entry.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if value is None or value == "":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_SIZE:
        raise InvalidInput(f"{where}: its {key} is {value!a:.80}; a number of bytes is expected.")
    return value


def checksums(entry: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    """Return the checksums among an entry's fields, (algorithm, lower-case hexadecimal), by algorithm."""
    found = []
    for algorithm, digits in sorted(DIGITS.items()):
        value = entry.get(algorithm)
        if value in (None, ""):
            continue
        if not isinstance(value, str) or not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", value):
            raise InvalidInput(f"{where}: its {algorithm} is {value!a:.80}; {digits} hexadecimal digits are expected.")
        found.append((algorithm, value.lower()))
    return tuple(found)


def arch_of(value: str) -> str:
    """Return a processor architecture in one spelling."""
    return ARCHES.get(value.lower(), value.lower())


def web_url(value: str, where: str | None = None) -> str:
    """Return ``value`` if it is an http or https URL of a host, without user and fragment."""
    try:
        parts = urlsplit(value)
        sound = (
            URL.fullmatch(value) and parts.hostname and parts.port != 0 and not (parts.username or parts.password or parts.fragment)
        )
    except ValueError:
        sound = False
    if not sound or len(value) > 2048:
        raise InvalidInput(f"{f'{where}: ' if where else ''}{shown_url(value)!a:.200} is not an http or https URL.")
    return value


def below(base: str, path: str, where: str) -> str:
    """Return what ``path`` of a catalogue names under ``base`` (a URL or an absolute folder); nothing leads out of it."""
    parts = path.split("/")
    hostile = "\\" in path or not path.isprintable() or len(path) > 1024 or re.search(r"%2[ef]|%5c|%00", path, re.IGNORECASE)
    if hostile or any(part in ("", ".", "..") for part in parts):
        raise InvalidInput(f"{where}: {path!a:.200} is not a path below the marketplace.")
    if base.startswith("/"):
        return f"{base.rstrip('/')}/{path}"
    return f"{base.rstrip('/')}/{quote(path, safe='/:@+~=,!()')}"
