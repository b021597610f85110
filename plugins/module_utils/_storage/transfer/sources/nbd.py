# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NBD server of a replica as a source: it gives images that have not arrived there yet, too.

The client is libnbd, which does TLS with client certificates and is kept by the authors of nbdkit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from ...._errors import NotFound, Unreachable, Unsupported
from ... import names
from ...store import manifest
from ...store.catalogue import Entry
from ...store.manifest import Manifest
from .protocol import Reader

PORT = 10809
LARGEST_READ = 256 * 1024  # of one request, so that a slow line answers each within its time
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # the replica may have to ask its own sources first


class NbdSource:
    """Reads the exports ``HEX``, ``HEX.json`` and ``HEX.pieces`` of ``nbds://HOST:PORT``.

    ``certificates`` has the files that libnbd looks for.
    """

    def __init__(self, url: str, certificates: Path, connect: float = CONNECT_SECONDS, answer: float = ANSWER_SECONDS) -> None:
        self.name = url
        self._certificates = certificates
        self._connect, self._answer = connect, answer
        self._open: dict[str, Any] = {}
        self._lock = Lock()

    def catalogue(self) -> list[Entry]:
        """See Source; an NBD server has none."""
        raise NotFound(f"{self.name} has no catalogue.", source=self.name)

    def manifest(self, digest: str) -> Manifest:
        """See Source."""
        export = f"{names.hex_of(digest)}.json"
        with self._lock:
            size = self._handle(export).get_size()
            if size > manifest.LARGEST_JSON:
                raise Unreachable(f"{self.name} ({export}) is larger than a manifest can be.", source=self.name)
            data = b"".join(self._pread(export, at, min(LARGEST_READ, size - at)) for at in range(0, size, LARGEST_READ))
            self._drop(export)
        listed = f"{names.hex_of(digest)}.pieces"
        return manifest.parse(data, f"{self.name} ({export})", digest, lambda at, length, _check: self._whole(listed, at, length))

    def _whole(self, export: str, offset: int, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            found += self.part(export, offset + len(found), length - len(found))
        return bytes(found)

    @contextmanager
    def read(self, digest: str, offset: int, length: int) -> Iterator[Reader]:
        """See Source."""
        yield _Range(self, names.hex_of(digest), offset, offset + length)

    def close(self) -> None:
        """See Source."""
        with self._lock:
            for export in tuple(self._open):
                self._drop(export)

    def part(self, export: str, offset: int, length: int) -> bytes:
        """Return some bytes of an export, at least one."""
        with self._lock:
            return self._pread(export, offset, min(length, LARGEST_READ))

    def _pread(self, export: str, offset: int, length: int) -> bytes:
        nbd = _library()
        handle = self._handle(export)
        buffer = nbd.Buffer(length)
        try:
            cookie = handle.aio_pread(buffer, offset)
            self._wait(handle, self._answer, lambda: handle.aio_command_completed(cookie))
        except (nbd.Error, Unreachable) as error:
            self._drop(export)
            raise self._lost(error) from None
        return bytes(buffer.to_bytearray())

    def _handle(self, export: str) -> Any:
        if export not in self._open:
            self._open[export] = self._connected(export)
        return self._open[export]

    def _connected(self, export: str) -> Any:
        nbd = _library()
        parts = urlsplit(self.name)
        handle = nbd.NBD()
        try:
            handle.set_tls(nbd.TLS_REQUIRE)
            handle.set_tls_certificates(str(self._certificates))
            handle.set_tls_verify_peer(True)
            handle.set_export_name(export)
            handle.aio_connect_tcp(parts.hostname, str(parts.port or PORT))
            self._wait(handle, self._connect, handle.aio_is_ready)
        except (nbd.Error, Unreachable) as error:
            _close(handle)
            raise self._lost(error) from None
        return handle

    def _wait(self, handle: Any, seconds: float, done: Any) -> None:
        end = time.monotonic() + seconds
        while not done():
            left = end - time.monotonic()
            if left <= 0:
                raise Unreachable(f"no answer within {seconds:g} s")
            handle.poll(max(1, int(left * 1000)))

    def _drop(self, export: str) -> None:
        handle = self._open.pop(export, None)
        if handle is not None:
            _close(handle)

    def _lost(self, error: Exception) -> Unreachable:
        reason = error.message if isinstance(error, Unreachable) else getattr(error, "string", str(error))
        return Unreachable(f"{self.name} does not give the image: {reason}.", source=self.name)


class _Range:
    def __init__(self, source: NbdSource, export: str, offset: int, end: int) -> None:
        self._source, self._export, self._at, self._end = source, export, offset, end

    def readinto(self, buffer: memoryview, /) -> int:
        """See Reader."""
        length = min(len(buffer), self._end - self._at)
        if length <= 0:
            return 0
        data = self._source.part(self._export, self._at, length)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _close(handle: Any) -> None:
    """End a connection; where libnbd has no call for it (before 1.16), that happens with the last reference."""
    if hasattr(handle, "close"):
        handle.close()


def _library() -> Any:
    try:
        return import_module("nbd")  # only where it is needed
    except ImportError:
        raise Unsupported("The Python library of libnbd is not installed on this host; install python3-libnbd.") from None
