# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a file: the leases of its store and the scan of all disks. What cannot be seen counts as a use, with the reason.

Every removal, every report and garbage collection ask here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ... import _files
from ..._errors import Busy, NotFound, Refused
from ..._shown import few
from .identity import FileId, Identities, find, identify
from .lease import Lease, Listed, all_leases, drop, folder_of, image_of, is_image, leases_at, leases_of, listed_in, write
from .references import Headers, References, references, stands_on

REMOTE_SECONDS = 24 * 3600.0  # in which a disk that another host makes here has appeared
RELEASE = "mount it where it was, or release the use with `edge-host release` if the disk is gone"


@dataclass(frozen=True)
class Uses:
    """The users of one file: paths of disks, and in ``doubts`` why there may be others, with what to do.

    ``ended`` are leases of disks that are proven gone.
    """

    users: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    ended: tuple[Lease, ...] = ()

    @property
    def any(self) -> bool:
        """Whether the file is or may be in use."""
        return bool(self.users or self.doubts)

    def require_none(self, message: str, **details: object) -> None:
        """Raise Refused with ``message``, the users and the doubts if there are any."""
        shown = {key: found for key, found in self.shown.items() if found or key == "used_by"}
        if self.users:
            raise Refused(f"{message} is in use by {few(self.users)}; remove or rebase those first.", **details, **shown)
        if self.doubts:
            raise Refused(f"{message} may be in use: {'; '.join(self.doubts)}.", **details, **shown)

    @property
    def shown(self) -> dict[str, list[str]]:
        """The uses as results show them."""
        return {"used_by": list(self.users), "doubts": list(self.doubts)}


@dataclass(frozen=True)
class _Verdict:
    """What is known of a lease: ``user`` is its disk's path now, else ``doubt``, else it has ended."""

    user: Path | None = None
    doubt: str | None = None


ENDED = _Verdict()


@dataclass(frozen=True)
class Look:
    """One look at all disks under ``directories``; then the uses of any number of files."""

    seen: References
    identities: Identities = field(default_factory=Identities)
    _listed: dict[Path, Listed] = field(default_factory=dict)
    _leases: dict[Path, list[Lease]] = field(default_factory=dict)

    def users_of(self, path: Path) -> list[str]:
        """Return the disks that stand on a file that is not an image, and the folders where there may be others."""
        return [*self.seen.users_of(path), *self.seen.doubts]

    def uses_of(self, image: Path) -> Uses:
        """Return the uses of a file."""
        users = self.seen.users_of(image)
        paths, known = set(users), {_same(Path(user)) for user in users}
        unclear = self.seen.doubtful | self.seen.broken if is_image(image) else self.seen.doubtful
        doubts = [*self.seen.doubts, *(f"{user} may use it: {why}" for user, why in unclear.items())]
        ended = []
        for lease in self.leases_of(image):
            if lease.path in paths:
                continue
            verdict = _judge(lease, image)
            if verdict.user is not None and _same(verdict.user) not in known:
                known.add(_same(verdict.user))
                users.append(str(verdict.user))
            doubts += [verdict.doubt] if verdict.doubt else []
            ended += [lease] if verdict == ENDED else []
        return Uses(tuple(sorted(users)), tuple(doubts), tuple(ended))

    def leases_of(self, image: Path) -> list[Lease]:
        """Return the leases of an image; their folder is looked at once, and each of them read once."""
        folder = folder_of(image)
        if folder not in self._listed:
            self._listed[folder] = listed_in(folder)
        if image not in self._leases:
            self._leases[image] = leases_of(image, listed=self._listed[folder])
        return self._leases[image]


def look(directories: Sequence[Path], headers: Headers | None = None) -> Look:
    """Read the headers of all disks once; with those of an earlier look only what has changed."""
    return Look(references(directories, headers))


def uses_of(image: Path, directories: Sequence[Path], headers: Headers | None = None) -> Uses:
    """Return the uses of one file."""
    return look(directories, headers).uses_of(image)


def _same(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _judge(lease: Lease, image: Path) -> _Verdict:
    if not lease.path:
        return _Verdict(doubt=f"the lease {lease.file} cannot be read; remove that file if no disk uses the image")
    path = Path(lease.path)
    there = _exists(path)
    uses = stands_on(path, image) if there else False
    if uses:
        return _Verdict(user=path)
    if uses is None:
        return _Verdict(doubt=f"the disk {path} has a lease and cannot be read")
    if lease.disk is None:
        return _judge_awaited(lease, path)
    if there and _is(lease.disk, path):
        return ENDED  # it is that disk, and stands on other files or on none
    return _judge_unseen(lease, lease.disk, image)


def _judge_awaited(lease: Lease, path: Path) -> _Verdict:
    """Judge the lease of a disk that another host makes here: it ends if none has come to its folder for a day."""
    age = time.time() - lease.file.stat().st_mtime if lease.file.exists() else 0.0
    if age > REMOTE_SECONDS and path.parent.is_dir():
        return ENDED
    return _Verdict(doubt=f"another host makes the disk {path} here; if it does not, release the use with `edge-host release`")


def _judge_unseen(lease: Lease, disk: FileId, image: Path) -> _Verdict:
    """Judge the lease of a disk that is not at its path: moved, deleted, or where this process cannot see it."""
    path = Path(lease.path)
    sight = find(disk, path.parent, lambda name: stands_on(name, image))
    if sight.gone:
        return ENDED
    if sight.there:
        return ENDED if sight.verdict is False else _Verdict(user=sight.path or path)
    if sight.by_folder and _same_folder(lease, path.parent):
        return ENDED
    return _Verdict(doubt=f"the disk {path} has a lease and was not found: {sight.why}; {RELEASE}")


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is(disk: FileId, path: Path) -> bool:
    try:
        return identify(path).same(disk)
    except OSError:
        return False


def _same_folder(lease: Lease, folder: Path) -> bool:
    """Return whether the folder is there and is the one that it was: then a file that is not in it is gone."""
    try:
        return lease.folder is not None and identify(folder).same(lease.folder)
    except OSError:
        return False


def settle(image: Path, uses: Uses, *, seen: Look | None = None, locked: bool = False) -> None:
    """Give each disk that was seen a lease of what it is and where, and drop those that ended.

    ``locked`` says that the caller holds the image's lock alone; a lease ends only while no disk is being made.
    """
    with suppress(OSError):  # a store that this host only reads
        leases = seen.leases_of(image) if seen else leases_of(image)
        identities = seen.identities if seen else Identities()
        for user in uses.users:
            _keep(image, Path(user), leases, identities)
        if uses.ended and locked:
            _drop_ended(image, uses.ended)
        elif uses.ended:
            with suppress(Busy, NotFound), _files.file_lock(image, shared=False, wait=False):
                _drop_ended(image, uses.ended)


def _keep(image: Path, disk: Path, known: Sequence[Lease], identities: Identities) -> None:
    """Have one lease of a disk that was seen on the image, what and where it is; only one that is to be written reads it again."""
    try:
        what = identities.of(disk)
    except OSError:
        return
    leases = [one for one in known if (one.disk.same(what) if one.disk else one.path == str(disk))]
    if not any((one.path, one.disk) == (str(disk), what) for one in leases) and stands_on(disk, image):
        kept = write(image, disk, disk)
        for lease in leases:
            if lease.file != kept.file:
                drop(lease)


def _drop_ended(image: Path, leases: Sequence[Lease]) -> None:
    for lease in leases:
        if _judge(lease, image) == ENDED:
            drop(lease)


def end(root: Path, disks: Sequence[str]) -> None:
    """End the leases of disks that the caller removed; a disk that is found after all keeps its lease."""
    for lease in leases_at(root, disks):
        if _judge(lease, image_of(lease)).user is None:
            drop(lease)


def sweep(root: Path) -> None:
    """Drop the leases of images that are not here any more, once their disks are gone too."""
    for stem, files in listed_in(root / "leases").items():
        image = root / f"{stem}.qcow2"
        if image.exists():
            continue
        for lease in leases_of(image, listed={stem: files}):
            if _judge(lease, image) == ENDED:
                drop(lease)


def release(root: Path, path: str, *, check: bool = False) -> list[str]:
    """End the leases of a disk that cannot be seen any more, on the administrator's word, and return the images' file names.

    Raise Refused for a disk that is there and uses its image, NotFound for one that has no lease.
    """
    leases = [lease for lease in all_leases(root) if path in (lease.path, str(lease.file))]
    if not leases:
        raise NotFound(f"path: no image of {root} has a lease for {path}.", option="path", path=path)
    for lease in leases:
        user = _judge(lease, image_of(lease)).user
        if user is not None:
            raise Refused(
                f"path: the disk {user} is there and uses {image_of(lease)}; remove or rebase it instead.", option="path", path=path
            )
    for lease in [] if check else leases:
        drop(lease)
    return sorted({image_of(lease).name for lease in leases})
