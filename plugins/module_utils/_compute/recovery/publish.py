# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the files of a point final: named by their digests, durable, with the document, and visible by one rename.

The journal has the document before the rename, so that a host that lost its power finishes or knows it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..._errors import Conflict, InvalidInput, Refused
from ..._files import fsync, rename_new
from ..._generation import DOCUMENT, File, Generation, file_name, point_of
from ..._sizes import MIB
from ..job.point_job import WORK
from . import journal as journals
from .journal import Journal

LARGEST_SMALL = 256 * MIB  # as replicas take them
FOLDER_MODE, MODE = 0o711, 0o600  # QEMU, which is not root, opens its file in a folder that it cannot list


def make_folder(path: Path) -> None:
    """Make a folder of points with its parents."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(FOLDER_MODE)


def work_folder(home: Path, name: str) -> Path:
    """Return the folder of a point that is being made."""
    return home / f".{name}{WORK}"


def empty_work_folder(home: Path, name: str) -> Path:
    """Make that folder again."""
    drop_unfinished(home)
    work = work_folder(home, name)
    make_folder(work)
    return work


def drop_unfinished(home: Path) -> None:
    """Delete what points left that were not finished; one whose document is in the journal is whole, and stays for ``settle``."""
    ready = journals.read(home).ready
    whole = work_folder(home, ready.name) if ready else None
    for path in home.glob(f".*{WORK}"):
        if path != whole:
            shutil.rmtree(path)


def newest_number(home: Path) -> int:
    """Return the highest number of the points here, 0 for none: no other point gets it, whatever the journal says."""
    return max((_number(path.name) for path in home.iterdir()), default=0)


def _number(name: str) -> int:
    try:
        return point_of(name)[1]
    except InvalidInput:
        return 0


def settled(path: Path) -> File:
    """Make a file durable and ours, name it by its digest, and return it."""
    path.chmod(MODE)
    os.chown(path, os.geteuid(), os.getegid())
    with path.open("rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    path.rename(path.with_name(file_name(digest)))
    return File(digest, size)


def copied(files: Mapping[str, Path], work: Path) -> dict[str, File]:
    """Copy small files of the VM into the point, those that are there."""
    found = {}
    for what, path in files.items():
        if (data := _content(path)) is not None:
            (work / what).write_bytes(data)
            found[what] = settled(work / what)
    return found


def are_copied(files: Mapping[str, Path], copies: Mapping[str, File]) -> bool:
    """Return whether the small files of the VM are those that a point has."""
    now = {what: data for what, path in files.items() if (data := _content(path)) is not None}
    return {what: f"sha256:{hashlib.sha256(data).hexdigest()}" for what, data in now.items()} == {
        what: file.digest for what, file in copies.items()
    }


def _content(path: Path) -> bytes | None:
    """Return what a small file has, None where there is none.

    QEMU and swtpm, which are not root, own the folders of some: no link is followed, no pipe waited for, and no length believed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be in a recovery point: {error.strerror}.", path=str(path)) from None
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if regular:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST_SMALL + 1)
    else:
        os.close(descriptor)
    if not regular or len(data) > LARGEST_SMALL:
        why = f"it has more than {LARGEST_SMALL} bytes" if regular else "it is not a regular file"
        raise Refused(f"{path} cannot be in a recovery point: {why}.", path=str(path))
    return data


def publish(home: Path, journal: Journal, generation: Generation) -> Journal:
    """Let a point whose files are in its folder appear, and return the journal, which is written."""
    work = work_folder(home, generation.name)
    document = work / DOCUMENT
    document.write_bytes(generation.to_json())
    document.chmod(MODE)
    fsync(document)
    fsync(work)
    ready = replace(journal, ready=generation)
    journals.write(home, ready)
    after = settle(home, ready)
    if not _is_there(home, generation):
        target = home / generation.name
        raise Conflict(f"{target} is there already and is another point; the next one has all above the images.", path=str(target))
    return after


def settle(home: Path, journal: Journal) -> Journal:
    """Finish a point whose document is in the journal, and return the journal, which is written.

    Where neither the point nor what was to become it is there, what its checkpoint followed is lost: no checkpoint is kept, so that
    the next point has all above the images. Its number stays used.
    """
    if journal.ready is None:
        return journal
    work, target = work_folder(home, journal.ready.name), home / journal.ready.name
    if (work / DOCUMENT).exists() and not target.exists():
        rename_new(work, target)
        fsync(home)
    checkpoint = journal.begun if _is_there(home, journal.ready) else None
    after = replace(journal, checkpoint=checkpoint, begun=None, last=journal.ready, ready=None)
    journals.write(home, after)
    return after


def _is_there(home: Path, generation: Generation) -> bool:
    """Return whether a point has its name and is this one."""
    try:
        return (home / generation.name / DOCUMENT).read_bytes() == generation.to_json()
    except FileNotFoundError:
        return False
