# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA's folder as one tar archive, and the folder from it: proven to be whole in both directions, and restored by one rename."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..._errors import Conflict, InvalidInput
from ..._files import fsync
from . import x509
from .folder import NAME, PARTS, ROLES, Folder
from .state import CURRENT, HELD, ISSUED, REVOKED, State

LARGEST = 512 * 1024 * 1024
LARGEST_FILE = 1024 * 1024
OF_A_CA = re.compile(rf"({'|'.join(ROLES)}|retired-[0-9a-f]{{32}})\.({'|'.join(PARTS)})")
OF_A_HOST = re.compile(rf"({ISSUED}|{HELD}|{REVOKED})/{NAME.pattern}/[0-9a-f]{{32}}\.crt|delivered/{NAME.pattern}")


@dataclass(frozen=True)
class Kept:
    """A file: its bytes, its mode, and the second of its last change, which is that of a revocation."""

    data: bytes
    mode: int
    changed: int

    @classmethod
    def of(cls, data: bytes, mode: int, changed: float) -> Kept:
        """Return it with a mode that only its owner may write, and only root read if it is a key."""
        return cls(data, mode & (0o600 if b"PRIVATE KEY" in data else 0o644), int(changed))


Files = Mapping[str, Kept]


def read(folder: Path) -> Files:
    """Return the files of a CA, by their names in its folder; what else is there belongs to others. The caller holds the CA."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if _known(name) and path.is_file() and not path.is_symlink():
            about = path.stat()
            found[name] = Kept.of(path.read_bytes(), about.st_mode, about.st_mtime)
    return found


def _known(name: str) -> bool:
    return bool(OF_A_CA.fullmatch(name) or OF_A_HOST.fullmatch(name))


def pack(files: Files) -> bytes:
    """Return the archive; the same files make the same bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kept in sorted(files.items()):
            entry = tarfile.TarInfo(f"ca/{name}")
            entry.size, entry.mtime, entry.mode = len(kept.data), kept.changed, kept.mode
            archive.addfile(entry, io.BytesIO(kept.data))
    return made.getvalue()


def unpack(archive: bytes) -> Files:
    """Return the files of an archive; raise InvalidInput for one that is damaged or has anything that no CA has."""
    if len(archive) > LARGEST:
        raise InvalidInput(f"restore: the backup has {len(archive)} bytes; that of a CA has {LARGEST} at most.")
    found: dict[str, Kept] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            for entry in opened:
                if entry.isdir():  # as tar itself packs them
                    continue
                name = entry.name.removeprefix("./").removeprefix("ca/")
                if not entry.isreg() or not _known(name) or name in found or entry.size > LARGEST_FILE:
                    raise InvalidInput(
                        f"restore: the backup has {entry.name!r:.200}, which is not a file of a CA, or has it twice."
                    )
                content = opened.extractfile(entry)
                found[name] = Kept.of(content.read() if content else b"", entry.mode, entry.mtime)
    except (tarfile.TarError, EOFError, OverflowError, ValueError) as error:
        raise InvalidInput(f"restore: the backup is damaged or none: {error}. Use another one.") from None
    if not {f"{CURRENT}.crt", f"{CURRENT}.key"} <= found.keys():
        raise InvalidInput("restore: this is not a whole backup of a CA: ca.crt or ca.key is missing. Use another one.")
    return found


def prove(folder: Folder) -> State:
    """Return what a CA's folder holds; raise InvalidInput unless all can be read and each CA's key is that of its certificate."""
    state = folder.observe()
    for role in state.authorities:
        if not folder.file(role, "key").exists():
            raise InvalidInput(f"path: the key of the CA, {folder.file(role, 'key')}, is missing.")
        x509.private_key(folder.file(role, "crt").read_bytes(), folder.file(role, "key").read_bytes())
    return state


def lay(files: Files, work: Path) -> Folder:
    """Write the files to a folder of this run, durably."""
    if work.exists():
        shutil.rmtree(work)  # of a run that was killed
    work.mkdir(mode=0o700)
    for name, kept in files.items():
        path = work / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(kept.data)
            os.fchmod(file.fileno(), kept.mode)
            file.flush()
            os.fsync(file.fileno())
        os.utime(path, (kept.changed, kept.changed))
    for made in sorted((path for path in work.rglob("*") if path.is_dir()), reverse=True):
        fsync(made)
    fsync(work)
    return Folder(work)


def require_place(path: Path) -> None:
    """Raise Conflict where anything is in the folder, which may be another CA."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise Conflict(
            f"path: {path} is not empty, and its files are not those of the backup; nothing is replaced. To use the backup, move "
            "what is there to a safe place first.",
            path=str(path),
        )


def put(work: Path, path: Path) -> None:
    """Give the folder its name, in one step."""
    try:
        work.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            require_place(path)
        raise
    fsync(path.parent)
