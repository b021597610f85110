# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of a marketplace, cached on disk with their validators: fetched again only if they changed and are old enough."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import TypeVar

from .... import _files
from ...._errors import Corrupt, EdgeError, InvalidInput, NotFound
from ...._json import load_object
from ...._secrets import public_url
from ...transfer.http_client import Trust, announced_length, require_whole
from ...transfer.web.redirects import follow
from .appliance import LARGEST_CATALOGUE

BLOCK = 256 * 1024
LARGEST_HEAD = 64 * 1024
T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """How documents are fetched: the trust, the cache folder, and the age in seconds up to which the cache is used unasked."""

    trust: Trust = field(default_factory=Trust)
    cache: Path = Path("/var/cache/edge/marketplaces")
    max_age: int = 0
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class Kept:
    """A document on disk: a line of JSON with all but the data, then the data. The URL is without what gives access to it."""

    url: str
    etag: str
    modified: str
    asked: float
    sha256: str
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the file's bytes."""
        head = {key: value for key, value in asdict(self).items() if key != "data"}
        return json.dumps(head, sort_keys=True).encode() + b"\n" + self.data


def document(url: str, access: Access, read: Callable[[bytes], T]) -> T:
    """Return what ``read`` makes of a document, by its URL or its absolute path. At most 32 MiB are read.

    One that ``read`` refuses is not kept, and what is kept stays. A kept one that it refuses is asked for again.
    """
    if url.startswith("/"):
        return read(_local(Path(url)))
    access.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = hashlib.sha256(url.encode()).hexdigest()[:40]
    with _files.locked(access.cache / f"{key}.lock"):
        kept = _kept(access.cache / key, url)
        if kept and 0 <= access.clock() - kept.asked < access.max_age:
            with contextlib.suppress(EdgeError):
                return read(kept.data)
            kept = None
        fresh, found = _ask_and_read(url, access, kept, read)
        _files.write_atomically(access.cache / key, fresh.to_bytes(), access.cache / f"{key}.new", 0o600)
        return found


def _ask_and_read(url: str, access: Access, kept: Kept | None, read: Callable[[bytes], T]) -> tuple[Kept, T]:
    fresh = _ask(url, access, kept)
    try:
        return fresh, read(fresh.data)
    except EdgeError:
        if kept is None or fresh.data is not kept.data:
            raise
    fresh = _ask(url, access, None)
    return fresh, read(fresh.data)


def fetch(url: str, trust: Trust) -> bytes:
    """Return a document by its URL, or the file at an absolute path, and cache nothing."""
    return _local(Path(url)) if url.startswith("/") else _ask(url, Access(trust), None).data


def _local(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_CATALOGUE + 1)
    except FileNotFoundError:
        raise NotFound(f"The file {path} does not exist on this host.", path=str(path)) from None
    except IsADirectoryError:
        raise InvalidInput(f"{path} is a folder; a file is expected.", path=str(path)) from None
    if len(data) > LARGEST_CATALOGUE:
        raise _too_large(str(path))
    return data


def _kept(path: Path, url: str) -> Kept | None:
    """Return what is kept of a URL; a file that is not whole is ignored."""
    try:
        head, _newline, data = path.read_bytes().partition(b"\n")
        kept = Kept(**load_object(head, str(path), LARGEST_HEAD), data=data)
    except (FileNotFoundError, Corrupt, TypeError):
        return None
    return kept if kept.url == public_url(url) and kept.sha256 == hashlib.sha256(data).hexdigest() else None


def _ask(url: str, access: Access, kept: Kept | None) -> Kept:
    headers = {"If-None-Match": kept.etag, "If-Modified-Since": kept.modified} if kept else {}
    statuses = (200, 304) if kept else (200,)
    with follow(url, access.trust, {name: value for name, value in headers.items() if value}, statuses) as response:
        if kept and response.status == 304:
            return Kept(kept.url, kept.etag, kept.modified, access.clock(), kept.sha256, kept.data)
        data = _read(response, url)
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    return Kept(public_url(url), etag, modified, access.clock(), hashlib.sha256(data).hexdigest(), data)


def _read(response: HTTPResponse, url: str) -> bytes:
    data = bytearray()
    if (announced_length(response, url) or 0) > LARGEST_CATALOGUE:
        raise _too_large(url)
    while block := response.read(BLOCK):
        data += block
        if len(data) > LARGEST_CATALOGUE:
            raise _too_large(url)
    require_whole(response, len(data), url)
    return _unpacked(bytes(data), response.headers.get("Content-Encoding", ""), url)


def _unpacked(data: bytes, encoding: str, url: str) -> bytes:
    """Return a document as it was before a server packed it for the way, although that was not asked for."""
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        return data
    try:
        packed = zlib.decompressobj(wbits=31)
        plain = packed.decompress(data, LARGEST_CATALOGUE + 1)
    except zlib.error as error:
        raise InvalidInput(f"{url} cannot be unpacked (gzip): {error}.", catalogue=url) from None
    if len(plain) > LARGEST_CATALOGUE:
        raise _too_large(url)
    if not packed.eof or packed.unused_data:
        raise InvalidInput(f"{url} cannot be unpacked (gzip): it is cut short, or there is more behind it.", catalogue=url)
    return plain


def _too_large(where: str) -> InvalidInput:
    return InvalidInput(f"{where} is larger than {LARGEST_CATALOGUE} bytes; it was not read.", catalogue=where)
