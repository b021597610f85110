# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A marketplace of any kind: which documents it has, how they are verified, and the catalogue that they form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...._errors import InvalidInput, NotFound, about_option
from . import checksum_files, index, opennebula, simplestreams
from .appliance import Catalogue, Skipped, below, web_url
from .documents import Access, document

KINDS = ("opennebula", "index", "simplestreams", "checksums", "folder")
Verify = Callable[[bytes, bytes, str], str]


@dataclass(frozen=True)
class Marketplace:
    """A marketplace: its kind, and its URL or absolute path.

    With ``verify`` each document must have a detached signature at its own URL or path with ``suffix`` appended.
    """

    kind: str
    where: str
    access: Access = field(default_factory=Access)
    suffix: str = ""
    verify: Verify | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(
                f"marketplace.kind: {self.kind!r} is not known; use one of {', '.join(KINDS)}.", option="marketplace.kind"
            )
        if not self.where.startswith("/"):
            if self.kind == "folder":
                raise InvalidInput(
                    f"marketplace.url: {self.where!r} is given; a marketplace of the kind folder needs path.",
                    option="marketplace.url",
                )
            with about_option("marketplace.url"):
                web_url(self.where)

    @property
    def proven(self) -> bool:
        """Whether the catalogue is authentic: signed, over TLS, or a file of this host."""
        return self.verify is not None or not self.where.startswith("http://")

    def read(self) -> Catalogue:
        """Return what the marketplace offers now (or offered within the access's ``max_age``)."""
        with about_option("marketplace"):
            return getattr(self, f"_{self.kind}")()

    def _document(self, address: str) -> bytes:
        data = document(address, self.access)
        if self.verify:
            self.verify(data, document(address + self.suffix, self.access), address)
        return data

    @property
    def _base(self) -> str:
        return self.where.rstrip("/")

    def _opennebula(self) -> Catalogue:
        local = self.where.startswith("/")
        base = self._base.removesuffix("/appliance")
        return opennebula.parse(self._document(self.where if local else f"{base}/appliance"), self.where, base)

    def _index(self) -> Catalogue:
        base = self._base.removesuffix("/index.json")
        return index.parse(self._document(f"{base}/index.json"), self.where, base)

    def _simplestreams(self) -> Catalogue:
        base = self._base.removesuffix(f"/{simplestreams.INDEX}")
        paths = simplestreams.parse_index(self._document(f"{base}/{simplestreams.INDEX}"), self.where)
        label = f"The catalogue {self.where}"
        read = [self._products(base, below(base, path, label)) for path in paths]
        return Catalogue(
            tuple(one for catalogue in read for one in catalogue.appliances),
            tuple(one for catalogue in read for one in catalogue.skipped),
        )

    def _products(self, base: str, address: str) -> Catalogue:
        return simplestreams.parse_products(self._document(address), address, base)

    def _checksums(self) -> Catalogue:
        last = self._base.rsplit("/", 1)[-1].upper()
        if "SUMS" in last or "CHECKSUM" in last:
            return checksum_files.parse(self._document(self._base), self.where, self._base.rsplit("/", 1)[0])
        for name in checksum_files.SUMS:
            try:
                return checksum_files.parse(self._document(f"{self._base}/{name}"), self.where, self._base)
            except NotFound:
                continue
        raise NotFound(f"{self.where} has none of {', '.join(checksum_files.SUMS)}; name the checksum file itself.")

    def _folder(self) -> Catalogue:
        """Return the images of a folder of this host; links are not followed."""
        folder = Path(self.where)
        if not folder.is_dir():
            raise NotFound(f"The folder {folder} does not exist on this host.", path=self.where)
        sums: dict[str, tuple[str, dict[str, str]]] = {}
        for name in checksum_files.SUMS:
            if (folder / name).is_file():
                for image, (_name, known) in checksum_files.gather_sums(self._document(str(folder / name)), self.where).items():
                    sums.setdefault(image, (image, {}))[1].update(known)
        entries = [path for path in folder.iterdir() if checksum_files.IMAGE.fullmatch(path.name)]
        sizes = {path.name: path.stat().st_size for path in entries if path.is_file() and not path.is_symlink()}
        odd = tuple(Skipped(path.name, "It is not a regular file.") for path in sorted(entries) if path.name not in sizes)
        found = checksum_files.parse_folder(sizes, sums, self.where)
        return Catalogue(found.appliances, (*found.skipped, *odd))
