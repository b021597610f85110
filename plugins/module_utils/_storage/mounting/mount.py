# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the disks of a generation as read-only raw files in a folder, and the files of one partition beside them.

qemu-storage-daemon gives the raw files by FUSE, over the deltas where they are; while it has them open, none is removed. guestmount
gives the files: the kernel of its own small VM reads the guest's file system, not this host's. Only root can look at either.
Nothing is noted but what the kernel knows, so that a run that was killed leaves only what ``unmount`` or another run finds.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import _files
from ..._errors import Busy, CommandFailed, Conflict, EdgeError, InvalidInput, NotFound, Unsupported
from ..._generation import TARGET, Generation
from ..._runner import Runner
from ..recovery.restore import Restore, disk_of
from .holders import DAEMON, GUESTMOUNT, Holder, exports, holders, mounted
from .partitions import content_of, partitions_of

FILES = "files"
OWN_FOLDER, OWN_FILE = 0o700, 0o600  # what is made here has these modes
SETTINGS = "remount,bind,ro,nosuid,nodev,noexec"  # what a guest calls a program of root is a file
DIRECT = {"LIBGUESTFS_BACKEND": "direct"}  # for guestmount: libvirt's user may not look into the raw files
READING = re.compile(r"(?P<disk>[a-z]+)(?P<number>[1-9]\d{0,2})?|(?P<volume>[\w+][\w+.-]{0,126}/[\w+][\w+.-]{0,126})", re.ASCII)
SECONDS = 1800.0  # for the small VM, which is slow without KVM
SHORT, PAUSE = 5.0, 0.25  # seconds


@dataclass(frozen=True)
class Wanted:
    """What is to be shown: the disks by their targets, and the files of a partition: ``vda1``, ``vda`` or ``GROUP/VOLUME``."""

    generation: Generation
    targets: tuple[str, ...]
    partition: str | None = None

    def device(self) -> str | None:
        """Return the partition as the small VM names it; raise InvalidInput for one that cannot be."""
        if self.partition is None:
            return None
        found = READING.fullmatch(self.partition)
        if found and found["volume"]:
            return f"/dev/{found['volume']}"
        if found and found["disk"] in self.targets:
            return f"/dev/sd{_letters(self.targets.index(found['disk']))}{found['number'] or ''}"
        raise InvalidInput(
            f"partition: {self.partition!r:.100} is not a partition of the disks {', '.join(self.targets)}; write one such as "
            f"{self.targets[0]}1, {self.targets[0]} for a disk without partitions, or GROUP/VOLUME of LVM.",
            option="partition",
        )

    def export_id(self, target: str) -> str:
        """Return the name of the export of a disk, which says whose it is."""
        return f"point-{self.generation.vm.uuid}-{self.generation.name}-{target}"


def _is_own(about: os.stat_result, mode: int) -> bool:
    return about.st_mode == mode and about.st_uid == os.geteuid()


def _letters(number: int) -> str:
    """Return the letters of the disk of this number, from 0, as Linux counts: a … z, aa, …"""
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


@dataclass(frozen=True)
class Mounts:
    """Shows generations of a depot, whose images are in a store; ``locks`` is a folder for locks."""

    restore: Restore
    locks: Path
    runner: Runner

    def mount(self, wanted: Wanted, path: Path) -> bool:
        """Return whether anything had to be done to show it; what a killed run left is cleared first.

        Raises Conflict where something else is at ``path``. After an error nothing is left.
        """
        device = wanted.device()
        for target in wanted.targets:
            disk_of(wanted.generation, target)
        with self._lock(path):
            raws, files = self._shown(wanted, path), self._files_of(path)
            self._refuse_others(path, raws)
            if raws and files == (self._guestmount(wanted, path, device) if device else None):
                return False
            try:
                if not raws or files:
                    self._clear(path)
                    self._show(wanted, path)
                if device:
                    self._show_files(wanted, path, device)
            except BaseException:
                with suppress(EdgeError):  # the first error is the one to report; another run clears it
                    self._clear(path)
                raise
            return True

    def unmount(self, path: Path) -> bool:
        """Take away what is shown at ``path``; return whether there was anything. Raises Busy while a program uses it."""
        with self._lock(path):
            return self._clear(path)

    @contextmanager
    def _lock(self, path: Path) -> Iterator[None]:
        name = str(path).replace("_", "__").replace("/", "_")[-200:]
        with _files.locked(self.locks / f"mount{name}", wait=False, make_folder=True):
            yield

    def _shown(self, wanted: Wanted, path: Path) -> bool:
        """Return whether the raw files are there, all of them and of this generation."""
        there = {str(one.get("id")) for holder in holders(path, DAEMON) for one in exports(holder)}
        return there == {wanted.export_id(one) for one in wanted.targets} and {
            self._raw(path, one) for one in wanted.targets
        } <= set(mounted(path))

    def _files_of(self, path: Path) -> tuple[str, ...] | None:
        """Return how the program that shows files there was started; None for none."""
        if path / FILES not in set(mounted(path)):
            return None
        return next((holder.arguments for holder in holders(path, GUESTMOUNT)), ())

    def _refuse_others(self, path: Path, raws: bool) -> None:
        shown = [one for holder in holders(path, DAEMON) for one in exports(holder)]
        whole = shown and {Path(str(one.get("mountpoint"))) for one in shown} <= set(mounted(path))
        if whole and not raws:
            raise Conflict(
                f"path: {path} shows {', '.join(sorted(str(one.get('id')) for one in shown))} already; have that taken away by "
                "edge-host point umount first, or give another path.",
                option="path",
                path=str(path),
            )

    def _raw(self, path: Path, target: str) -> Path:
        return path / f"{target}.raw"

    def _show(self, wanted: Wanted, path: Path) -> None:
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise Conflict(f"path: {path} is there and not an empty folder; it was left alone. Give another one.", option="path")
        path.mkdir(mode=OWN_FOLDER, parents=True, exist_ok=True)
        about = path.stat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o022:  # they could put a link where a file of ours is to be
            raise Conflict(
                f"path: {path} can be written by others than root; give another one, or one that does not exist yet.", option="path"
            )
        argv = [DAEMON, "--daemonize"]
        with ExitStack() as stack:
            for number, target in enumerate(wanted.targets):
                node = stack.enter_context(self.restore.opened(wanted.generation, target))
                self._raw(path, target).touch(mode=OWN_FILE)
                name = f"disk{number}"
                export = {
                    "type": "fuse",
                    "id": wanted.export_id(target),
                    "node-name": name,
                    "writable": False,
                    "allow-other": "off",
                }
                argv += ["--blockdev", json.dumps({**node, "node-name": name, "read-only": True})]
                argv += ["--export", json.dumps({**export, "mountpoint": str(self._raw(path, target))})]
            self.runner.run(argv)  # which returns when all are shown

    def _guestmount(self, wanted: Wanted, path: Path, device: str) -> tuple[str, ...]:
        disks = [word for one in wanted.targets for word in ("-a", str(self._raw(path, one)))]
        return (GUESTMOUNT, "--ro", "--format=raw", *disks, "-m", device, str(path / FILES))

    def _show_files(self, wanted: Wanted, path: Path, device: str) -> None:
        (path / FILES).mkdir(mode=OWN_FOLDER)
        try:
            self.runner.run(self._guestmount(wanted, path, device), timeout=SECONDS)
            self.runner.run(["mount", "-o", SETTINGS, str(path / FILES)])
        except Unsupported as error:
            raise Unsupported(
                f"partition: {GUESTMOUNT}, which reads the guest's file system, is not installed on this host. Install it by 'apt "
                "install libguestfs-tools'; without partition the disks alone are shown.",
                option="partition",
                program=str(error.details.get("program")),
            ) from None
        except CommandFailed as error:
            if "supermin exited" in error.stderr:
                raise Unsupported(
                    "partition: libguestfs cannot make its small VM. It needs a kernel in /boot of this host: 'apt install "
                    "linux-image-amd64'; libguestfs-test-tool shows any other reason.",
                    option="partition",
                ) from None
            raise NotFound(
                f"partition: the files of {wanted.partition} cannot be shown: {error.stderr.strip():.1000}. Without partition the "
                "result lists what the disks have.",
                option="partition",
            ) from None

    def _clear(self, path: Path) -> bool:
        """Unmount, end the programs, and remove the folders and empty files that were made for it, which their modes tell."""
        found = False
        for program in (GUESTMOUNT, DAEMON):
            found |= self._end(path, program)
        for raw in path.glob("*.raw") if path.is_dir() else ():
            about = raw.lstat()
            if TARGET.fullmatch(raw.stem) and _is_own(about, stat.S_IFREG | OWN_FILE) and about.st_size == 0:
                raw.unlink()
        for folder in (path / FILES, path):
            with suppress(OSError):  # one that has other files stays
                if _is_own(folder.lstat(), stat.S_IFDIR | OWN_FOLDER):
                    folder.rmdir()
        return found

    def _end(self, path: Path, program: str) -> bool:
        """End what one program shows; before it ends, what is in use is refused. Return whether there was anything."""
        running = holders(path, program)
        there = [one for one in mounted(path) if (one.name == FILES) == (program == GUESTMOUNT)]
        for one in there:
            self._unmount(one)
        for holder in running:
            self._let_end(holder, bool(there))
        for one in (one for one in mounted(path) if (one.name == FILES) == (program == GUESTMOUNT)):
            self._unmount(one)  # of a program that was just starting
        return bool(running or there)

    def _let_end(self, holder: Holder, was_mounted: bool) -> None:
        if holder.program == GUESTMOUNT and was_mounted:
            holder.wait()  # it ends by itself, with its VM
        holder.end()

    def _unmount(self, path: Path) -> None:
        """Unmount a file or folder; a small VM that was killed may have it for a moment longer."""
        for last in (*[False] * int(SHORT / PAUSE), True):
            done = self.runner.run(["umount", "--", str(path)], check=False)
            if not done.rc or path not in set(mounted(path.parent)):
                return
            if "busy" not in done.stderr:
                raise CommandFailed(["umount", str(path)], done.rc, done.stderr)
            if last:
                raise Busy(f"{path} is in use; end what has files or a working folder there, and run again.", path=str(path))
            time.sleep(PAUSE)

    def content(self, wanted: Wanted, path: Path) -> list[dict[str, Any]]:
        """Return the disks that are shown, with their partitions."""
        found = []
        for target in wanted.targets:
            size = disk_of(wanted.generation, target).virtual_size
            with self._raw(path, target).open("rb", buffering=0) as disk:
                parts = [
                    {"partition": f"{target}{one.number}", "start": one.start, "size": one.size, "content": one.content}
                    for one in partitions_of(disk, size)
                ]
                whole = None if parts else content_of(disk)
            about = {"disk": target, "file": str(self._raw(path, target)), "size": size}
            found.append({**about, "content": whole, "partitions": parts})
        return found
