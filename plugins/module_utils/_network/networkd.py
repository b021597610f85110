# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot configuration of a bridge for systemd-networkd: its text, and reading and writing it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .._errors import Conflict, InvalidInput, Unsupported
from .links import Bridge, RemoveBootFile, Route, WriteBootFile

MARK = "# Written by edge.cloud.bridge; changes here are lost."
DIRECTORY = Path("/etc/systemd/network")
PROGRAMS = (Path("/usr/lib/systemd/systemd-networkd"), Path("/lib/systemd/systemd-networkd"))
SUFFIXES = (".netdev", ".network", "-ports.network")


def file_names(bridge: str) -> tuple[str, ...]:
    """Return the names of all files that a bridge can have."""
    return tuple(f"50-edge-{bridge}{suffix}" for suffix in SUFFIXES)


def boot_files(bridge: Bridge, routes: Iterable[Route], *, mac: str | None, mtu: int | None) -> dict[str, str]:
    """Return file name and text of all that makes ``bridge`` again at boot; VM ports attach themselves.

    ``mac`` and ``mtu`` are written only where a user asked for them: else they follow the ports, at boot as now.
    """
    netdev, network, ports = file_names(bridge.name)
    files = {
        netdev: _text(
            ("NetDev", [("Name", bridge.name), ("Kind", "bridge"), ("MACAddress", mac), ("MTUBytes", mtu)]),
            ("Bridge", [("STP", "yes" if bridge.stp else "no"), ("ForwardDelaySec", f"{bridge.forward_delay:g}")]),
        ),
        network: _text(
            ("Match", [("Name", bridge.name)]),
            ("Network", [("ConfigureWithoutCarrier", "yes"), *(("Address", address) for address in bridge.addresses)]),
            *(("Route", _route(route)) for route in routes),
        ),
    }
    if bridge.ports:
        files[ports] = _text(("Match", [("Name", " ".join(bridge.ports))]), ("Network", [("Bridge", bridge.name)]))
    return files


def _route(route: Route) -> list[tuple[str, str | int | None]]:
    destination = None if route.dst == "default" else route.dst
    words = dict(zip(route.words[1::2], route.words[2::2], strict=False))
    return [
        ("Gateway", route.gateway),
        ("Destination", destination),
        ("Metric", words.get("metric")),
        ("Table", words.get("table")),
        ("PreferredSource", words.get("src")),
    ]


def _text(*sections: tuple[str, list[tuple[str, str | int | None]]]) -> str:
    lines = [MARK]
    for name, pairs in sections:
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in pairs if value is not None)]
    return "\n".join(lines) + "\n"


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
                raise Conflict(f"{path} was not written by edge.cloud.bridge; move it away, or keep the bridge in that file alone.")
        return found

    def require(self) -> None:
        """Raise Unsupported where systemd-networkd is not installed, InvalidInput for a missing folder of a user's own."""
        if self.directory != DIRECTORY:
            if not self.directory.is_dir():
                raise InvalidInput(f"boot_directory: {self.directory} is no folder; make it first.", where="boot_directory")
        elif not any(program.exists() for program in PROGRAMS):
            raise Unsupported("boot: networkd was asked for, but systemd-networkd is not installed on this host.")

    def apply(self, step: WriteBootFile | RemoveBootFile) -> None:
        """Write or delete one file; a reader sees the old or the new one, whole."""
        path = self.directory / step.file
        if isinstance(step, RemoveBootFile):
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, step.text)
        _sync(path.parent)


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


def _sync(directory: Path) -> None:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
