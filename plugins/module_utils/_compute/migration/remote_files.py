# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of another host, through libvirt's storage pools and streams: seen, made, copied to, compared, removed.

libvirt shows a folder through a pool. Where none is there, a transient one is made, which is a view and changes no file.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ..._errors import Corrupt, EdgeError
from ..._libvirt import error_name, intent, libvirt, lookup
from ..._sizes import KIB, OVERLAY_CLUSTER, length_when_full
from .sparse_digest import SparseDigest

POOL = "edge-"
CHUNK = 256 * KIB
Progress = Callable[[int], None]


def _xml(tag: str, values: dict[str, str], **attributes: str) -> str:
    """Return the XML of an element whose ``values`` are paths (with ``@attribute``) and texts."""
    root = Element(tag, attributes)
    for path, text in values.items():
        place, _at, attribute = path.partition("@")
        element = root
        for part in place.split("/"):
            found = element.find(part)
            element = SubElement(element, part) if found is None else found
        if attribute:
            element.set(attribute, text)
        else:
            element.text = text
    return tostring(root, encoding="unicode")


def pool_xml(folder: str) -> str:
    """Return a pool that shows ``folder``; where it is built, QEMU's user passes through it and lists nothing."""
    name = POOL + hashlib.sha256(folder.encode()).hexdigest()[:16]
    permissions = {"target/permissions/mode": "0711", "target/permissions/owner": "0", "target/permissions/group": "0"}
    return _xml("pool", {"name": name, "target/path": folder, **permissions}, type="dir")


def volume_xml(name: str, size: int, form: str, backing: tuple[str, str] | None = None) -> str:
    """Return a volume that only root reads, until QEMU's user is given it; ``backing`` is a path and its format.

    A qcow2 is of version 3 in every libvirt, since one of version 2, libvirt 9's default, keeps no dirty bitmaps.
    """
    permissions = {"target/permissions/mode": "0600", "target/permissions/owner": "0", "target/permissions/group": "0"}
    values = {"name": name, "capacity": str(size), "allocation": "0", "target/format@type": form, **permissions}
    if form == "qcow2":
        values["target/compat"] = "1.1"
    if backing:
        values |= {"backingStore/path": backing[0], "backingStore/format@type": backing[1]}
    if backing and form == "qcow2":  # as every overlay of ours is: a small write copies nothing from below
        values |= {"target/clusterSize": str(OVERLAY_CLUSTER), "target/features/extended_l2": ""}
    return _xml("volume", values)


def _refreshed(pool: Any) -> bool:
    """Make a pool show what its folder has now; a view of ours whose folder went away is ended, and False returned."""
    try:
        if pool.isActive():
            pool.refresh()
        else:
            pool.create()
    except libvirt.libvirtError:
        if not pool.name().startswith(POOL):
            raise
        if pool.isActive():
            pool.destroy()
        return False
    return True


@dataclass
class Volumes:
    """The files of the host at the other end of ``connection``, which ``host`` names in messages."""

    connection: Any
    host: str
    _ours: dict[str, Any] = field(default_factory=dict)
    _pools: dict[str, Any] = field(default_factory=dict)

    def _pool(self, folder: str, build: bool = False) -> Any:
        if folder in self._pools:
            return self._pools[folder]
        with intent(f"look at {folder} on {self.host}"):
            found = lookup(self.connection.storagePoolLookupByTargetPath, folder)
            if found is not None and not _refreshed(found):
                found = None
            if found is None:
                flags = libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD if build else 0
                found = self.connection.storagePoolCreateXML(pool_xml(folder), flags)
        if found.name().startswith(POOL):
            self._ours[folder] = found
        self._pools[folder] = found
        return found

    def exists(self, folder: str) -> bool:
        """Return whether the folder exists."""
        try:
            self._pool(folder)
        except EdgeError as error:
            if error.details.get("libvirt") == "VIR_ERR_SYSTEM_ERROR":  # no such folder
                return False
            raise
        return True

    def names(self, folder: str) -> dict[str, int]:
        """Return the files in a folder with their lengths in bytes; raise where it does not exist."""
        pool = self._pool(folder)
        with intent(f"list {folder} on {self.host}"):
            found = {one.name(): one.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL) for one in pool.listAllVolumes()}
        return {name: info[2] for name, info in found.items() if info[0] == libvirt.VIR_STORAGE_VOL_FILE}

    def free(self, folder: str) -> int:
        """Return the free bytes of the file system of a folder."""
        pool = self._pool(folder)
        with intent(f"read the free space of {folder} on {self.host}"):
            return int(pool.info()[3])

    def create(self, path: str, size: int, form: str, backing: tuple[str, str] | None = None) -> Any:
        """Make a file of ``size`` bytes for a guest, and its folder if need be; one that is there stays and is an error."""
        folder, name = os.path.split(path)
        pool = self._pool(folder, build=True)
        with intent(f"create {path} on {self.host}"):
            volume = pool.createXML(volume_xml(name, size, form, backing), 0)
        if form == "qcow2":
            with _stream(self.connection, f"make room for {path} on {self.host}") as stream:
                volume.upload(stream, 0, 0, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
                stream.sendHole(length_when_full(size))  # libvirt passes over what is there and makes the file longer
        return volume

    def write(self, path: str, data: bytes) -> None:
        """Make a small file with ``data``; one that is there stays as it is."""
        folder, name = os.path.split(path)
        pool = self._pool(folder, build=True)
        with intent(f"look up {path} on {self.host}"):
            found = lookup(pool.storageVolLookupByName, name)
        volume = found or self.create(path, len(data), "raw")
        if found is None:
            with _stream(self.connection, f"write {path} on {self.host}") as stream:
                volume.upload(stream, 0, len(data), 0)
                stream.send(data)

    def read(self, path: str, limit: int) -> bytes:
        """Return the first ``limit`` bytes of a small file, which exists."""
        folder, name = os.path.split(path)
        pool = self._pool(folder)
        found: list[bytes] = []
        with intent(f"look up {path} on {self.host}"):
            volume = pool.storageVolLookupByName(name)
            length = min(limit, volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])
        with _stream(self.connection, f"read {path} of {self.host}") as stream:
            volume.download(stream, 0, length, 0)
            stream.recvAll(lambda _stream, data, _opaque: found.append(data), None)
        return b"".join(found)

    def copy(self, path: str, length: int, on_progress: Progress, rate: int | None = None) -> str:
        """Write the file ``path`` of this host as ``path`` of the other; return the SparseDigest of what was sent."""
        volume = self.create(path, length, "raw")
        with open(path, "rb", buffering=0) as file, _stream(self.connection, f"copy {path} to {self.host}") as stream:  # noqa: PTH123 - libvirt's text
            sender = _Sender(file, length, on_progress, rate)
            volume.upload(stream, 0, length, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
            stream.sparseSendAll(sender.read, sender.hole, sender.skip, None)
        return sender.digest.hexdigest()

    def verify(self, path: str, digest: str) -> None:
        """Read the file back, raise Corrupt unless its SparseDigest is ``digest``, and make it durable."""
        found = SparseDigest()
        folder, name = os.path.split(path)
        with intent(f"look up {path} on {self.host}"):
            volume = self._pool(folder).storageVolLookupByName(name)
        with _stream(self.connection, f"read {path} back from {self.host}") as stream:
            volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
            stream.sparseRecvAll(lambda _s, data, _o: found.update(data), lambda _s, size, _o: found.zeros(size), None)
        if (read := found.hexdigest()) != digest:
            raise Corrupt(f"The copy {path} on {self.host} is not what was sent (digest {read}, not {digest}).", path=path)

    def settle(self, path: str) -> None:
        """Make a copied qcow2 durable: a resize to the size that it has writes nothing new, and flushes the file."""
        folder, name = os.path.split(path)
        pool = self._pool(folder)
        with intent(f"flush {path} on {self.host}"):
            pool.refresh()
            volume = pool.storageVolLookupByName(name)
            volume.resize(volume.info()[1])

    def remove(self, path: str) -> bool:
        """Delete a file; return whether it existed. The folder goes with its last file."""
        folder, name = os.path.split(path)
        if not self.exists(folder):
            return False
        pool = self._pool(folder)
        with intent(f"delete {path} on {self.host}"):
            volume = lookup(pool.storageVolLookupByName, name)
            if volume is not None:
                volume.delete()
        return volume is not None

    def close(self, folder: str, *, delete: bool = False) -> None:
        """End our view of ``folder``; with ``delete`` an empty folder goes too."""
        pool = self._ours.pop(folder, None)
        self._pools.pop(folder, None)
        if pool is None:
            return
        with intent(f"end the view of {folder} on {self.host}"):
            empty = not pool.listAllVolumes()
            pool.destroy()
        if delete and empty:
            self._remove_folder(folder)

    def _remove_folder(self, folder: str) -> None:
        """Delete an empty folder, which only a defined pool can do."""
        try:
            pool = self.connection.storagePoolDefineXML(pool_xml(folder), 0)
        except libvirt.libvirtError as error:
            if error_name(error) == "VIR_ERR_OPERATION_FAILED":
                return
            raise
        try:
            pool.delete(0)
        except libvirt.libvirtError:  # something hidden is in it, which is not ours
            pass
        finally:
            pool.undefine()


class _Sender:
    """Feeds libvirt's sparse stream from a file, and digests it as it is read."""

    def __init__(self, file: Any, length: int, on_progress: Progress, rate: int | None) -> None:
        self._file = file
        self._length = length
        self._on_progress = on_progress
        self._rate = rate
        self._began = time.monotonic()
        self._sent = 0
        self.digest = SparseDigest()

    def read(self, _stream: Any, size: int, _opaque: Any) -> bytes:
        """Return the next bytes; libvirt asks for no more than up to the next hole."""
        data: bytes = self._file.read(min(size, CHUNK))
        self.digest.update(data)
        self._sent += len(data)
        self._on_progress(len(data))
        if self._rate:
            time.sleep(max(0.0, self._sent / self._rate - (time.monotonic() - self._began)))
        return data

    def hole(self, _stream: Any, _opaque: Any) -> tuple[bool, int]:
        """Return whether data is next, and how much of it or of the hole."""
        at = self._file.tell()
        if at >= self._length:
            return False, 0
        try:
            data = os.lseek(self._file.fileno(), at, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            data = self._length
        end = os.lseek(self._file.fileno(), at, os.SEEK_HOLE) if data == at else data
        self._file.seek(at)
        return data == at, min(end, self._length) - at

    def skip(self, _stream: Any, size: int, _opaque: Any) -> int:
        """Pass over a hole."""
        self._file.seek(size, os.SEEK_CUR)
        self.digest.zeros(size)
        return 0


@contextmanager
def _stream(connection: Any, what: str) -> Iterator[Any]:
    """Give a stream that ends whole, or is aborted."""
    with intent(what):
        stream = connection.newStream(0)
        try:
            yield stream
        except BaseException:
            _abort(stream)
            raise
        stream.finish()


def _abort(stream: Any) -> None:
    try:
        stream.abort()
    except libvirt.libvirtError:  # libvirt ended it already, with the error that is raised
        return
