# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin of nbdkit that exports the images of a host, by the library."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.realpath("/usr/lib/edge/current"))

import nbdkit
from edge_cloud import _cluster
from edge_cloud._errors import EdgeError, NotFound
from edge_cloud._host.images import NBD_CERTIFICATES, quick_sources
from edge_cloud._host.nbd_export import Exports
from edge_cloud._storage.store.store import Store

API_VERSION = 2
READERS = Path("/etc/edge/nbd/readers")
LARGEST_REQUEST = 32 * 1024 * 1024
_settings = {"config": str(_cluster.FILE)}
_exports: list[Exports] = []
_readers: set[str] = set()


def config(key: str, value: str) -> None:
    """Take ``config=FILE``, another cluster.json."""
    if key not in _settings:
        raise ValueError(f"unknown parameter {key}")
    _settings[key] = value


def config_complete() -> None:
    """Read the configuration, so that an invalid one stops the service at once."""
    cluster = _cluster.load(Path(_settings["config"]))
    certificates = Path(os.environ.get("CREDENTIALS_DIRECTORY", NBD_CERTIFICATES))
    _readers.update(f"CN={name}" for name in READERS.read_text().split("\n") if name)
    _exports[:] = [Exports(Store(cluster.images.root), lambda: quick_sources(cluster, certificates))]


def thread_model() -> int:
    """Serve requests in parallel: one that waits for the network must not delay those that are served from this host."""
    return int(nbdkit.THREAD_MODEL_PARALLEL)


def open(readonly: bool) -> str:  # noqa: ARG001 - names and arguments of nbdkit
    """Open the export that the client named, if it may read images by the name in its certificate."""
    named = nbdkit.peer_tls_dn() if hasattr(nbdkit, "peer_tls_dn") else None  # since nbdkit 1.42: Debian 12 has an older one
    if named is not None and named not in _readers:
        nbdkit.set_error(errno.EPERM)
        raise RuntimeError(f"{named!r} is not among the names in {READERS}, which come from image_server_nbd_readers.")
    return _told(lambda: _exports[0].open(nbdkit.export_name()))


def get_size(handle: str) -> int:
    """Return the image's length in bytes."""
    return _exports[0].size(handle)


def block_size(_handle: str) -> tuple[int, int, int]:
    """Prefer whole clusters of qcow2."""
    return (1, 65536, LARGEST_REQUEST)


def can_multi_conn(_handle: str) -> bool:
    """Allow several connections of a client: nothing is ever written."""
    return True


def pread(handle: str, buffer: bytearray, offset: int, _flags: int) -> None:
    """Fill the buffer with verified bytes."""
    buffer[:] = _told(lambda: _exports[0].read(handle, offset, len(buffer)))


def close(handle: str) -> None:
    """Close the export."""
    _exports[0].close(handle)


def _told(action):
    """Run ``action``; on a failure the client gets an errno and the journal our message."""
    try:
        return action()
    except EdgeError as error:
        nbdkit.set_error(errno.ENOENT if isinstance(error, NotFound) else errno.EIO)
        raise RuntimeError(error.message) from None
