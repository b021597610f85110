# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file from the web: an interrupted download is resumed, and the file is used only if its checksum is right."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import _space, _sparse
from ..._errors import Conflict, Corrupt, DiskFailed, InvalidInput, NoSpace, Refused, Unreachable, Unsupported
from ..._secrets import public_url
from .. import names
from ..format.probe import not_a_disk
from ..store import digest as digests
from ..store.store import Store
from ..transfer.http_client import Trust, announced_length, require_whole
from ..transfer.web.redirects import follow

BLOCK = 1024 * 1024
MOST_ATTEMPTS = 3
NO_DISK = (NoSpace, DiskFailed, OSError)  # these leave nothing, so that there is room again
RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


@contextmanager
def downloaded(store: Store, url: str, checksum: str | None, trust: Trust) -> Iterator[Path]:
    """Yield the file at ``url`` once its checksum (sha256:… or sha512:…) is verified; it is removed after use.

    After an interruption the received bytes are kept, and the next try asks only for the rest. A wrong checksum leaves nothing.
    Without a checksum two versions of a file look alike, so nothing is resumed.
    """
    expected = names.checksum(checksum) if checksum else None
    same = public_url(url) if expected else url  # a signed URL has another query at each try
    key = "download-" + hashlib.sha256(f"{same}\0{expected}".encode()).hexdigest()[:32]
    path = store.partial / f"{key}.part"
    with store.named_lock(key):
        if expected:
            _proven(path, url, expected, trust)
        else:
            _unproven(path, url, trust)
        try:
            yield path
        except BaseException as error:
            if not expected or _final(error) or isinstance(error, NO_DISK):
                path.unlink()
            raise
        path.unlink()


def _final(error: BaseException) -> bool:
    """Return whether the same bytes would fail again; they would not if only a program is missing on this host."""
    return isinstance(error, Conflict | Corrupt | InvalidInput | Refused | Unsupported) and "program" not in getattr(
        error, "details", {}
    )


def _unproven(path: Path, url: str, trust: Trust) -> None:
    path.unlink(missing_ok=True)
    try:
        _complete(path, url, trust, attempts=1)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _proven(path: Path, url: str, expected: str, trust: Trust) -> None:
    algorithm = expected.split(":", maxsplit=1)[0]
    resumed = path.exists()
    found = hint = ""
    for _any in range(2 if resumed else 1):  # a resumed file may mix two versions of the same URL: then try again from the start
        _complete(path, url, trust)
        found = digests.checksum_of(path, algorithm)
        if found == expected:
            return
        hint = _what_it_is(path, url)
        path.unlink()
    raise Corrupt(f"{url} has the checksum {found}, but {expected} is expected; nothing was kept.{hint}", url=url, found=found)


def _what_it_is(path: Path, url: str) -> str:
    """Return what a server may have sent in place of a file."""
    with path.open("rb") as file:
        head = file.read(512)
    if says := not_a_disk(head):
        return f" {says[0].upper()}{says[1:]}"
    if head.startswith(b"\x1f\x8b") and not public_url(url).lower().endswith((".gz", ".tgz")):
        return " It is packed with gzip: the server may have packed it for the way, although that was not asked for."
    return ""


def _complete(path: Path, url: str, trust: Trust, attempts: int = MOST_ATTEMPTS) -> None:
    for left in reversed(range(attempts)):
        before = path.stat().st_size if path.exists() else 0
        try:
            return _append(path, url, trust, before)
        except Unreachable as error:
            grown = path.exists() and path.stat().st_size > before
            if "status" in error.details or not (left and grown):
                if path.exists() and not path.stat().st_size:
                    path.unlink()
                raise
        except NO_DISK:
            path.unlink(missing_ok=True)
            raise
    return None


def _append(path: Path, url: str, trust: Trust, have: int) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    with follow(url, trust, headers, (206, 200, 416) if have else (200,)) as response:
        if response.status == 416:
            return
        start = RANGE.fullmatch(response.headers.get("Content-Range", "")) if response.status == 206 else None
        if response.status == 206 and (start is None or int(start[1]) != have):
            raise Corrupt(f"{url} was asked for bytes from {have} and sent others.", url=url)
        _receive(response, path, have if response.status == 206 else 0, url)


def _receive(response: http.client.HTTPResponse, path: Path, begin: int, url: str) -> None:
    """Write the body from ``begin`` on; the space of what is announced is taken first, else as it comes, which can be endless."""
    space = _space.Space(path.parent, f"The download of {url}")
    with space.writing():
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (0 if begin else os.O_TRUNC), 0o600)
    try:
        _space.give_back(file)  # what a killed download had taken is not needed twice
        room, end = _space.Growing(space, file, begin), begin
        announced = announced_length(response, url)
        write = _sparse.write if announced else _sparse.write_all  # zeros without end take space, so that they end
        room.reach(begin + (announced or 0))
        while block := response.read(BLOCK):
            with space.writing():
                room.reach(end + len(block))
                write(file, block, end)
            end += len(block)
        require_whole(response, end - begin, url)
    finally:
        _space.give_back(file)
        os.close(file)
