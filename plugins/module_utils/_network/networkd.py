# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of systemd-networkd's folder: reading, writing and deleting the boot files of a bridge."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .._errors import Conflict, InvalidInput, Unsupported
from .._files import fsync
from .boot_files import MARK, file_names, matches
from .links import RemoveBootFile, WriteBootFile

DIRECTORY = Path("/etc/systemd/network")
PROGRAMS = (Path("/usr/lib/systemd/systemd-networkd"), Path("/lib/systemd/systemd-networkd"))


class Networkd:
    """The files of networkd in one folder."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory

    def read(self, bridge: str) -> dict[str, str]:
        """Return the files of ``bridge`` that are there; raise Conflict for one that is not ours."""
        found = {}
        for name in file_names(bridge):
            path = self.directory / name
            if not path.exists():
                continue
            found[name] = path.read_text(encoding="utf-8")
            if not found[name].startswith(MARK):
                raise Conflict(
                    f"boot_directory: {path} was not written by edge.cloud.bridge; move it away, or configure the bridge in it.",
                    option="boot_directory",
                    path=str(path),
                )
        return found

    def require(self, bridge: str, ports: Iterable[str]) -> None:
        """Raise Unsupported without systemd-networkd, InvalidInput without the folder, Conflict if another file comes first."""
        if self.directory != DIRECTORY:
            if not self.directory.is_dir():
                raise InvalidInput(f"boot_directory: {self.directory} is not a folder; create it first.", option="boot_directory")
        elif not any(program.exists() for program in PROGRAMS):
            raise Unsupported("boot: networkd was asked for, but systemd-networkd is not installed on this host.", option="boot")

        ours = file_names(bridge)
        for path in sorted(self.directory.glob("*.network")):
            text = path.read_text(encoding="utf-8") if path.name not in ours else ""
            found = [link for link in (bridge, *ports) if matches(text, link)]
            if found and path.name < ours[1]:
                raise Conflict(
                    f"boot: {path} configures {', '.join(found)} and comes before our files; remove it there, or leave boot out.",
                    option="boot",
                    path=str(path),
                )

    def apply(self, step: WriteBootFile | RemoveBootFile) -> None:
        """Write or delete one file; a reader sees the old or the new one, whole."""
        path = self.directory / step.file
        if isinstance(step, RemoveBootFile):
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, step.text)
        fsync(path.parent)


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
