# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qemu-img: always with explicit formats, absolute paths and limits on what one call may use."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from ..._errors import Busy, CommandFailed, Corrupt, NoSpace
from ..._runner import Completed, Runner
from ..._sizes import DELTA_CLUSTER, GIB, MIB, OVERLAY_CLUSTER, length_when_full, show_size, whole_sectors
from ..._space import longer, no_room, reserved
from .. import names
from .bounded import run_bounded
from .wider import widen

LOCKED = "Is another process using the image"
FULL = ("No space left on device", "Disk quota exceeded")
QEMU_PKI = "/etc/pki/qemu/edge"
REMOTE_SECONDS = 15.0
CHECK_SECONDS, CHECK_BYTES_A_SECOND = 2, 64 * 1024**2  # a check takes a hundredth of that
THREAD_STACK = 2 * MIB
CHECK_ERRORS, CHECK_LEAKS, CHECK_UNSUPPORTED = 2, 3, 63


@dataclass(frozen=True)
class Limits:
    """What one qemu-img may use: address space (bytes), processor time (s) and the largest file it writes (bytes).

    The busier the machine, the more of its 64 threads qemu-img starts, and the C library sets apart 64 MiB for each, and 8 MiB for
    its stack. So they share one heap and have small stacks: else it would come to the end of its address space, and abort.
    """

    memory: int = 4 * GIB
    cpu: int | None = None
    file_size: int | None = None

    def prefix(self) -> list[str]:
        """Return the command that sets the limits."""
        argv = ["env", "MALLOC_ARENA_MAX=1", "prlimit", f"--as={self.memory}", f"--stack={THREAD_STACK}:", "--core=0"]
        argv += [f"--cpu={self.cpu}"] if self.cpu else []
        return [*argv, *([f"--fsize={self.file_size}"] if self.file_size else []), "--"]


LEAST_EXTENDED = 16 * 1024  # the smallest cluster that may have subclusters
EXTENDED_ENTRY = 16  # bytes of one cluster's entry in a table, with subclusters
TABLES_AHEAD = 512 * 1024  # bytes of tables that a new overlay has: for its first 4 GiB
ALLOCATED = ("falloc", "full")  # what has all of a disk's space from its start
READING = Limits(memory=GIB, cpu=30)
WORKING = Limits()
Creation: TypeAlias = "Mapping[str, str | int | bool | None]"


TOO_LARGE = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


def too_large(error: CommandFailed) -> bool:
    """Return whether a program ended because its file would become larger than its limit."""
    return error.rc in TOO_LARGE or os.strerror(errno.EFBIG) in error.stderr


@dataclass(frozen=True)
class Checked:
    """What ``qemu-img check`` found: counts of clusters, and how many the disk has, compressed ones too."""

    corruptions: int
    leaks: int
    check_errors: int
    allocated: int = 0
    compressed: int = 0


def _checked(found: Mapping[str, Any]) -> Checked:
    keys = ("corruptions", "leaks", "check-errors", "allocated-clusters", "compressed-clusters")
    return Checked(*(int(found.get(key, 0)) for key in keys))


def for_overlay(creation: Creation) -> dict[str, str | int | bool | None]:
    """Return how an overlay is created: with subclusters (4 KiB by default), so that a guest's small write copies nothing.

    Source: QEMU's docs/interop/qcow2, "Extended L2 Entries". ``make bench-storage`` (f) measures the effect.
    """
    cluster = int(creation.get("cluster_size") or OVERLAY_CLUSTER)
    return {**creation, "cluster_size": cluster, "extended_l2": "on" if cluster >= LEAST_EXTENDED else None}


def _path(path: Path) -> str:
    """Return the path as qemu-img takes it: absolute, so that no part of it can be a protocol or a json: name."""
    return str(names.absolute_path(str(path)))


def options(values: Creation) -> list[str]:
    """Return ``-o`` arguments; commas are doubled as QEMU wants, None is left out."""
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}
    return [part for key, text in texts.items() if text != "None" for part in ("-o", f"{key}={text.replace(',', ',,')}")]


def leave_room(path: Path, size: int) -> None:
    """Extend a new disk's file to ``length_when_full`` by a hole, which takes no space."""
    if path.stat().st_size < (length := length_when_full(size)):
        os.truncate(path, length)


@dataclass(frozen=True)
class QemuImg:
    """The program qemu-img over a runner."""

    runner: Runner

    def _run(self, arguments: Sequence[str], limits: Limits, check: bool = True) -> Completed:
        argv = ["qemu-img", *arguments]
        done = self.runner.run([*limits.prefix(), *argv], check=False)
        if LOCKED in done.stderr:
            raise Busy(
                f"The image is in use: {done.stderr.strip()} Stop what uses it; edge.cloud.domain_disk copies a running VM's disk.",
                argv=argv,
            )
        if done.rc and any(words in done.stderr for words in FULL):
            raise NoSpace(f"No space left for qemu-img {arguments[0]}; free some: {done.stderr.strip()}", argv=argv)
        if check and done.rc:
            raise CommandFailed(argv, done.rc, done.stderr)
        return done

    def run(self, arguments: Sequence[str], limits: Limits = WORKING, *, check: bool = True) -> Completed:
        """Run a command over files that the caller names by ``json:``, which has their formats and what lies below each."""
        return self._run(arguments, limits, check)

    def info(self, path: Path, image_format: str, *, shared: bool = False) -> dict[str, Any]:
        """Return qemu-img's JSON about one file; ``shared`` reads it although a VM writes it."""
        share = ["-U"] if shared else []
        done = self._run(["info", "--output=json", *share, "-f", image_format, _path(path)], READING)
        loaded = json.loads(done.stdout)
        if not isinstance(loaded, dict):
            raise Corrupt(f"qemu-img info of {path} printed no JSON object.", path=str(path))
        return loaded

    def require_unlocked(self, path: Path) -> None:
        """Raise Busy if a process writes the qcow2, by the locks of QEMU."""
        self._run(["info", "--output=json", "-f", "qcow2", _path(path)], READING)

    def create(self, path: Path, size: int, backing: tuple[Path, str] | None = None, creation: Creation | None = None) -> None:
        """Create an empty qcow2 of ``size`` bytes, or an overlay of ``backing`` (path, format); see ``leave_room``."""
        if backing:
            self._create_overlay(path, size, ["-b", _path(backing[0]), "-F", backing[1]], creation or {})
        elif creation and creation.get("preallocation") in ALLOCATED:
            self._create_allocated(path, size, creation)
        else:
            self._run(["create", "-q", "-f", "qcow2", *options(creation or {}), _path(path), str(size)], WORKING)
        leave_room(path, size)

    def _create_allocated(self, path: Path, size: int, creation: Creation) -> None:
        """Create an empty qcow2 that has all its space, which is taken before: its reserve stays, whatever others write meanwhile.

        The space is that of the end of an image without a size, which then grows into it: creating a file gives back what it had.
        """
        size = whole_sectors(size)
        measured = self._run(["measure", "--output=json", "-O", "qcow2", *options(creation), "--size", str(size)], READING)
        needed = int(json.loads(measured.stdout)["required"])
        self._run(["create", "-q", "-f", "qcow2", *options({**creation, "preallocation": None}), _path(path), "0"], WORKING)
        self._resize_allocated(path, size, needed, str(creation["preallocation"]))

    def create_raw(self, path: Path, size: int, preallocation: str | None = None) -> None:
        """Create an empty raw disk of ``size`` bytes: a hole, or with ``preallocation`` space, taken before it is written."""
        size = whole_sectors(size)
        allocated = preallocation in ALLOCATED
        self._run(["create", "-q", "-f", "raw", _path(path), "0" if allocated else str(size)], WORKING)
        if allocated:
            self._resize_allocated(path, size, size, str(preallocation), "raw")

    def _resize_allocated(self, path: Path, size: int, needed: int, preallocation: str, image_format: str = "qcow2") -> None:
        """Give a new image without a size its size, within the ``needed`` bytes of space that are taken first."""
        with longer(path, needed - path.stat().st_size, f"A preallocated disk of {show_size(size)}"):
            self.resize(path, size, preallocation=preallocation, image_format=image_format)

    def _create_overlay(self, path: Path, size: int, base: Sequence[str], creation: Creation) -> None:
        """Create an overlay and write its first ``TABLES_AHEAD`` of tables at once, unless ``creation`` says otherwise.

        A guest's first write there then only marks a subcluster. No other process may have the file: it gets its size at the end.
        """
        how, ahead = for_overlay(creation), size
        if how.get("extended_l2") and how.get("preallocation") is None:
            ahead = min(size, TABLES_AHEAD // EXTENDED_ENTRY * int(how["cluster_size"] or 0))
            how["preallocation"] = "metadata"
        self._run(["create", "-q", "-f", "qcow2", *base, *options(how), _path(path), str(ahead)], WORKING)
        if ahead < size and not widen(path, size):
            # Without the backing file: if that is longer, QEMU would hide the rest of it behind zeroes.
            alone = {"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": _path(path)}}
            self._run(["resize", "-q", f"json:{json.dumps(alone)}", str(size)], WORKING)

    def remote_info(self, host: str, port: int, export: str, image_format: str = "qcow2") -> dict[str, Any]:
        """Return qemu-img's JSON about an image that an NBD server exports over TLS, authenticated by QEMU's client certificate."""
        creds = f"tls-creds-x509,id=edge,dir={QEMU_PKI},endpoint=client,verify-peer=on"
        server = f"file.server.type=inet,file.server.host={host},file.server.port={port}"
        image = f"driver={image_format},file.driver=nbd,{server},file.export={export},file.tls-creds=edge"
        argv = ["qemu-img", "info", "--output=json", "--object", creds, "--image-opts", image]
        return dict(json.loads(self.runner.run([*READING.prefix(), *argv], timeout=REMOTE_SECONDS).stdout))

    def create_remote(self, path: Path, size: int, url: str, image_format: str = "qcow2") -> None:
        """Create an overlay of an image on an NBD server, without connecting to it."""
        self._create_overlay(path, size, ["-u", "-F", image_format, "-b", url], {})
        leave_room(path, size)

    def convert(
        self,
        source: Path,
        source_format: str,
        target: Path,
        *,
        compress: bool = False,
        limits: Limits = WORKING,
        creation: Creation | None = None,
    ) -> None:
        """Write ``source`` as a new standalone qcow2 ``target``; no process may write the source meanwhile.

        The space that it can need is taken before the first byte; where there is less, it may take all but the reserve.
        """
        how = ["convert", "-q", *(["-c"] if compress else []), "-f", source_format, "-O", "qcow2"]
        if (creation or {}).get("preallocation") not in (None, "off"):
            self._run([*how, *options(creation or {}), _path(source), _path(target)], limits)
            return
        size, needed = self._measure(source, source_format, creation or {})
        self._run(["create", "-q", "-f", "qcow2", *options(creation or {}), _path(target), str(size)], WORKING)
        with reserved(target, needed, f"The conversion of {source}") as room:
            bounded = limits if room is None else replace(limits, file_size=min(room, limits.file_size or room))
            try:
                self._run([*how, "-n", "--target-is-zero", _path(source), _path(target)], bounded)
            except CommandFailed as error:
                if bounded.file_size == limits.file_size or not too_large(error):
                    raise
                raise no_room(target.parent, needed, f"The conversion of {source}") from None

    def _measure(self, source: Path, source_format: str, creation: Creation) -> tuple[int, int]:
        """Return the virtual size of an image, and the bytes that it needs as a qcow2 at most."""
        how = ["measure", "--output=json", "-f", source_format, "-O", "qcow2", *options(creation)]
        done = self._run([*how, _path(source)], WORKING)
        return int(self.info(source, source_format)["virtual-size"]), int(json.loads(done.stdout)["required"])

    def resize(
        self, path: Path, size: int, *, shrink: bool = False, preallocation: str | None = None, image_format: str = "qcow2"
    ) -> None:
        """Set the virtual size of a disk in bytes."""
        flags = [*(["--shrink"] if shrink else []), *([f"--preallocation={preallocation}"] if preallocation else [])]
        self._run(["resize", "-q", "-f", image_format, *flags, _path(path), str(size)], WORKING)

    def rebase(self, path: Path, backing: tuple[Path, str] | None, *, unsafe: bool = False) -> None:
        """Change the backing file; safe copies what would differ, ``unsafe`` changes the name alone."""
        base = ["-b", _path(backing[0]), "-F", backing[1]] if backing else ["-b", ""]
        self._run(["rebase", "-q", "-f", "qcow2", *(["-u"] if unsafe else []), *base, _path(path)], WORKING)

    def commit(self, path: Path, base: Path) -> None:
        """Write the data of a qcow2 into its backing file ``base``, growing it if need be; ``path`` keeps its own.

        The caller holds the locks of ``path`` (``unwritten``), which qemu-img opens to write and leaves as it is.
        """
        top = {"driver": "qcow2", "file": {"driver": "file", "filename": _path(path), "locking": "off"}}
        self._run(["commit", "-q", "-d", "-b", _path(base), f"json:{json.dumps(top)}"], WORKING)

    def bitmaps(self, path: Path, *, shared: bool = False) -> dict[str, bool]:
        """Return the dirty bitmaps that a qcow2 has on disk, and whether each can be believed: none of a QEMU that was killed.

        While a QEMU has the file, all of before are not, and those that it made since are not there.
        """
        found = self.info(path, "qcow2", shared=shared).get("format-specific", {}).get("data", {}).get("bitmaps", [])
        return {str(one["name"]): "in-use" not in one["flags"] for one in found}

    def add_bitmap(self, path: Path, name: str, granularity: int) -> None:
        """Let a qcow2 that is not in use note what is written to it from now on, in parts of ``granularity`` bytes."""
        self._run(["bitmap", "--add", "-g", str(granularity), "-f", "qcow2", _path(path), name], WORKING)

    def remove_bitmap(self, path: Path, name: str) -> None:
        """Take out one dirty bitmap of a qcow2 that is not in use."""
        self._run(["bitmap", "--remove", "-f", "qcow2", _path(path), name], WORKING)

    def remove_bitmaps(self, path: Path) -> None:
        """Take out the dirty bitmaps of a qcow2 that is not in use: they tell what changed since a backup of another disk."""
        for name in self.bitmaps(path):
            self.remove_bitmap(path, name)

    def create_delta(self, path: Path, size: int, backing: tuple[str, str] | None = None) -> None:
        """Create an empty qcow2 in clusters of a recovery point, no longer than it must be; nothing looks at the backing yet."""
        base = ["-u", "-b", backing[0], "-F", backing[1]] if backing else []
        how = ["-o", f"compat=1.1,cluster_size={DELTA_CLUSTER}"]
        path.touch(mode=0o600)  # from its first byte: folders of points let others through, and their names are known
        self._run(["create", "-q", "-f", "qcow2", *base, *how, _path(path), str(size)], WORKING)

    def has_data(self, path: Path) -> bool:
        """Return whether a qcow2 has any block of its own, zeroes included."""
        done = self._run(["map", "--output=json", "-f", "qcow2", "-U", _path(path)], READING)
        return any(extent["depth"] == 0 and extent.get("present", True) for extent in json.loads(done.stdout))

    def check_foreign(self, path: Path, image_format: str) -> Checked:
        """Return what a check finds in an image from outside; raise Corrupt if it uses more than such a file may need.

        A format that cannot be checked counts as sound.
        """
        seconds = CHECK_SECONDS + path.stat().st_size // CHECK_BYTES_A_SECOND
        arguments = ["check", "--output=json", "-f", image_format, _path(path)]
        done = run_bounded([*WORKING.prefix(), "qemu-img", *arguments], seconds)
        try:
            found: Mapping[str, Any] = json.loads(done.stdout)
        except ValueError:
            found = {}
        if done.rc == CHECK_UNSUPPORTED:
            return Checked(0, 0, 0)
        if "check-errors" not in found:
            printed = done.stderr.strip()[:500] or "nothing"
            why = f"it ended with {done.rc} after at most {seconds} s of CPU time and printed: {printed}"
            raise Corrupt(f"{path} is damaged or hostile: qemu-img check could not finish it ({why}).", path=str(path), rc=done.rc)
        return _checked(found)

    def check(self, path: Path, *, repair: str | None = None) -> Checked:
        """Return what a check of a qcow2 finds (after the repair of ``leaks`` or ``all``)."""
        fix = ["-r", repair] if repair else []
        arguments = ["check", "--output=json", "-f", "qcow2", *fix, _path(path)]
        done = self._run(arguments, WORKING, check=False)
        try:
            found: Mapping[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise CommandFailed(["qemu-img", *arguments], done.rc, done.stderr) from None
        return _checked(found)
