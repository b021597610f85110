# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A marketplace of any kind: which documents it has, how they are verified, and the catalogue that they form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...._errors import EdgeError, InvalidInput, NotFound, Unreachable, about_option
from ...._secrets import public_url
from ... import names
from ...store import manifest
from .. import checksum_list
from ..signatures import Signatures
from . import checksum_files, index, opennebula, simplestreams
from .appliance import Appliance, Catalogue, Skipped, below, printable, web_url
from .documents import Access, document

KINDS = ("opennebula", "index", "simplestreams", "checksums", "folder")
T = TypeVar("T")


@dataclass(frozen=True)
class Marketplace:
    """A marketplace: its kind, and its URL or absolute path. A URL's query goes with each request below it, and is shown nowhere.

    With ``keys`` each document must be signed: detached, at its own URL or path with ``suffix`` appended, or, without a suffix,
    clear-signed.
    """

    kind: str
    where: str
    access: Access = field(default_factory=Access)
    suffix: str = ""
    keys: Signatures | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(
                f"marketplace.kind: {self.kind!r} is not known; use one of {', '.join(KINDS)}.", option="marketplace.kind"
            )
        if not self._local:
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
        return self.keys is not None or not self.where.startswith("http://")

    def read(self) -> Catalogue:
        """Return what the marketplace offers now (or offered within the access's ``max_age``)."""
        with about_option("marketplace"):
            return getattr(self, f"_{self.kind}")()

    def with_query(self, url: str) -> str:
        """Return what to ask for a URL of the catalogue: one below the marketplace gets the query that gives access to it."""
        _address, mark, query = self.where.partition("?")
        inside = url.startswith(f"{self._base}/") and not self._local and mark and "?" not in url
        return f"{url}?{query}" if inside else url

    def _document(self, address: str, read: Callable[[bytes], T]) -> T:
        def signed(data: bytes) -> T:
            if self.keys is None:
                return read(data)
            if not self.suffix:
                return read(self.keys.signed_text(data, address))
            return document(self.with_query(address + self.suffix), self.access, lambda found: verified(data, found))

        def verified(data: bytes, signature: bytes) -> T:
            if self.keys:
                self.keys.verify(data, signature, address)
            return read(data)

        return document(self.with_query(address), self.access, signed)

    @property
    def _local(self) -> bool:
        return self.where.startswith("/")

    @property
    def _shown(self) -> str:
        return self.where if self._local else public_url(self.where)

    @property
    def _base(self) -> str:
        return self._shown.rstrip("/")

    def _opennebula(self) -> Catalogue:
        base = self._base.removesuffix("/appliance")
        address = self.where if self._local else f"{base}/appliance"
        return self._document(address, lambda data: opennebula.parse(data, self._shown, base))

    def _index(self) -> Catalogue:
        base = self._base.removesuffix("/index.json")
        return self._document(f"{base}/index.json", lambda data: index.parse(data, self._shown, base))

    def template_of(self, one: Appliance) -> Mapping[str, Any] | None:
        """Return the JSON of the template that the manifest of an image of another image datastore has.

        A server that has the catalogue and the images alone has none.
        """
        if self.kind != "index" or self.keys:  # manifests have no signatures of their own
            return None
        address = below(self._base.removesuffix("/index.json"), f"{names.hex_of(one.id)}.json", f"The catalogue {self._shown}")
        try:
            return self._document(address, lambda data: manifest.parse(data, address, one.id)).template
        except (NotFound, Unreachable) as error:
            if _is_missing(error):
                return None
            raise

    def _simplestreams(self) -> Catalogue:
        """Return the products of all documents; one that cannot be read hides no other."""
        base = self._base.removesuffix(f"/{simplestreams.INDEX}")
        paths, skipped = self._document(f"{base}/{simplestreams.INDEX}", lambda data: simplestreams.parse_index(data, self._shown))
        read: list[Catalogue] = []
        failed: list[EdgeError] = []
        for path in paths:
            try:
                read.append(self._products(base, below(base, path, f"The catalogue {self._shown}")))
            except EdgeError as error:
                failed.append(error)
                skipped.append(Skipped(printable(path), error.message))
        if failed and not read:
            raise failed[0]
        return _together(read, skipped)

    def _products(self, base: str, address: str) -> Catalogue:
        return self._document(address, lambda data: simplestreams.parse_products(data, address, base))

    def _checksums(self) -> Catalogue:
        folder, _slash, last = self._base.rpartition("/")
        named = not self._shown.endswith("/") and (checksum_files.is_list(last) or last.endswith((".txt", ".asc")))
        if Path(self.where).is_file() if self._local else named:
            return self._sums(folder, last)
        failed: list[EdgeError] = []
        for name in checksum_files.SUMS:
            try:
                found = self._sums(self._base, name)
            except (NotFound, InvalidInput, Unreachable) as error:
                if isinstance(error, Unreachable) and not _is_missing(error):
                    raise
                failed += [] if isinstance(error, NotFound) else [error]
            else:
                return _together(
                    [found], [Skipped(self._shown, error.message) for error in failed if error.code == "invalid_input"]
                )
        if failed:
            raise failed[0]
        raise NotFound(f"{self._shown} has none of {', '.join(checksum_files.SUMS)}; name the checksum file itself.")

    def _sums(self, folder: str, name: str) -> Catalogue:
        return self._document(f"{folder}/{name}", lambda data: checksum_files.parse(data, f"{folder}/{name}", folder, name))

    def _folder(self) -> Catalogue:
        """Return the images of a folder of this host; links are not followed."""
        folder = Path(self.where)
        if not folder.is_dir():
            raise NotFound(f"The folder {folder} does not exist on this host.", path=self.where)
        sums: dict[str, dict[str, str]] = {}
        skipped: list[Skipped] = []
        paths = sorted(folder.iterdir())
        regular = [path for path in paths if path.is_file() and not path.is_symlink()]
        for path in regular:
            if checksum_files.is_list(path.name):
                skipped += self._add_sums(path, sums)
        sizes = {path.name: path.stat().st_size for path in regular if checksum_files.is_image_or_archive(path.name)}
        odd = [path.name for path in paths if checksum_files.is_image_or_archive(path.name) and path.name not in sizes]
        skipped += [Skipped(name, "It is not a regular file.") for name in odd]
        return _together([checksum_files.parse_folder(sizes, sums, self.where)], skipped)

    def _add_sums(self, path: Path, sums: dict[str, dict[str, str]]) -> Sequence[Skipped]:
        """Add what a checksum file of the folder says; one that cannot be read or verified proves nothing."""
        try:
            found = self._document(str(path), lambda data: checksum_list.parse(data, f"The catalogue {path}", path.name))
        except EdgeError as error:
            return [Skipped(path.name, error.message)]
        for name, known in found.known.items():
            sums.setdefault(name, {}).update(known)
        return checksum_files.skipped_of(found)


def _is_missing(error: EdgeError) -> bool:
    return isinstance(error, NotFound) or error.details.get("status") == 403  # S3 answers so for what is not there


def _together(catalogues: Sequence[Catalogue], skipped: Sequence[Skipped]) -> Catalogue:
    return Catalogue(
        tuple(one for catalogue in catalogues for one in catalogue.appliances),
        (*(one for catalogue in catalogues for one in catalogue.skipped), *skipped),
    )
