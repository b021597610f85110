# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of systemd-networkd's folder: reading, writing and deleting the boot files of a bridge."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..._errors import Conflict, InvalidInput, Unsupported
from ..._files import file_lock, fsync, write_atomically
from ..boot.managers import Managers
from ..boot.matching import Answer, Facts, matches
from ..boot.unit_files import UnitFile, read_text, unit_files
from ..link.model import Link
from .boot_files import MARK, file_names
from .steps import RemoveBootFile, WriteBootFile

DIRECTORY = Path("/etc/systemd/network")
LOCK_SECONDS = 30.0
PROGRAMS = (Path("/usr/lib/systemd/systemd-networkd"), Path("/lib/systemd/systemd-networkd"))


class Networkd:
    """The files of networkd in one folder; ``managers`` asks this host, and is None for a folder that is not its own."""

    def __init__(self, directory: Path = DIRECTORY, managers: Managers | None = None) -> None:
        self.directory = directory
        self._managers = managers if directory == DIRECTORY else None

    def read(self, bridge: str) -> dict[str, str]:
        """Return the files of ``bridge`` that are there; raise Conflict for one that is not ours."""
        found = {}
        for name in file_names(bridge):
            path = self.directory / name
            if not os.path.lexists(path):
                continue
            try:
                found[name] = read_text(path)
            except OSError:
                found[name] = ""
            if not found[name].startswith(MARK):
                raise Conflict(
                    f"boot_directory: {path} was not written by edge.cloud.bridge; move it away, or configure the bridge in it.",
                    option="boot_directory",
                    path=str(path),
                )
        return found

    def require(self, bridge: str, ports: Iterable[str], links: Mapping[str, Link] | None = None, mac: str | None = None) -> None:
        """Raise an error where our files would not configure ``bridge`` and ``ports`` at boot, or not alone.

        ``links`` are those of the host and ``mac`` the bridge's MAC address, if known: without, a file that asks for such counts.
        """
        ports = list(ports)
        self._require_program()
        if self._managers is not None:
            self._managers.require_networkd()
            self._managers.refuse_other([bridge, *ports])
        _netdev, network, of_ports = file_names(bridge)
        before = {bridge: network, **dict.fromkeys(ports, of_ports)}
        facts = {bridge: _of_bridge(bridge, mac), **{port: self._facts(port, (links or {}).get(port)) for port in ports}}
        files = unit_files(self.directory, ".network")
        for file in files:
            named = [link for link, ours in before.items() if file.name < ours and file.name not in file_names(bridge)]
            self._refuse(file, named, facts)
        self._refuse_netdev(bridge)
        self._refuse_running(before, files)

    def _require_program(self) -> None:
        if self.directory != DIRECTORY:
            if not self.directory.is_dir():
                raise InvalidInput(f"boot_directory: {self.directory} is not a folder; create it first.", option="boot_directory")
        elif not any(program.exists() for program in PROGRAMS):
            raise Unsupported("boot: networkd was asked for, but systemd-networkd is not installed on this host.", option="boot")

    def _facts(self, name: str, link: Link | None) -> Facts:
        udev = self._managers.properties(name) if self._managers is not None else None
        if link is None:
            return Facts((name,), properties=udev)
        kinds = {"": ("ether", "wlan"), "veth": ("ether",)}.get(link.kind, (link.kind, "ether"))
        return Facts(
            (name, *link.altnames),
            mac=link.mac,
            permanent_mac=link.permanent_mac or ("" if link.kind else link.mac),
            kind=link.kind,
            types=kinds if udev is None else (udev.get("DEVTYPE", "ether"),),
            properties=udev,
        )

    def _condition(self, key: str, value: str) -> Answer:
        return self._managers.condition(key, value) if self._managers is not None else None

    def _refuse(self, file: UnitFile, links: list[str], facts: Mapping[str, Facts]) -> None:
        answers = {link: matches(file.pairs, facts[link], self._condition) for link in links}
        sure = [link for link, answer in answers.items() if answer]
        doubt = [link for link, answer in answers.items() if answer is None]
        if file.problem and links:
            raise _conflict(file.path, f"comes before our files, and {file.problem}, or leave boot out")
        if sure:
            raise _conflict(file.path, f"configures {', '.join(sure)} and comes before our files; {self._remedy(file.path)}")
        if doubt:
            asks = ", ".join(f"{key}={value}" for section, key, value in file.pairs if section == "Match") or "nothing"
            asks = asks.encode("utf-8", "replace").decode()
            raise _conflict(
                file.path,
                f"may configure {', '.join(doubt)}, since its [Match] asks for {asks}, and comes before our files; "
                + self._remedy(file.path),
            )

    def _remedy(self, path: Path) -> str:
        if "netplan" in path.name:
            return "netplan writes it: leave boot out and have the bridge in /etc/netplan, or remove the link there."
        if "cloud-init" in path.name:
            return (
                "cloud-init writes it: turn that off (network: {config: disabled} in /etc/cloud/cloud.cfg.d) and remove the file."
            )
        if path.parent == self.directory:
            return "remove it or exclude them in its [Match], or leave boot out."
        return f"mask it (ln -s /dev/null {self.directory / path.name}), or leave boot out."

    def _refuse_netdev(self, bridge: str) -> None:
        """Raise Conflict for another file that makes the bridge, since networkd takes the first."""
        ours = file_names(bridge)[0]
        for file in unit_files(self.directory, ".netdev"):
            names = [value for section, key, value in file.pairs if (section, key) == ("NetDev", "Name")]
            if file.name < ours and bridge in names[-1:]:
                raise _conflict(file.path, f"makes {bridge} and comes before our files; remove it, or leave boot out.")

    def _refuse_running(self, before: Mapping[str, str], files: list[UnitFile]) -> None:
        """Raise Conflict where networkd itself says that a file configures a link that comes before ours, if it still counts."""
        count = {file.path.resolve() for file in files}
        for link, ours in before.items():
            path = self._managers.network_file(link) if self._managers is not None else None
            if path is not None and path.name < ours and path.name not in before.values() and path.resolve() in count:
                raise _conflict(
                    path,
                    f"configures {link}, says systemd-networkd, and comes before our files (after a change: networkctl reload);"
                    f" {self._remedy(path)}",
                )

    def apply(self, step: WriteBootFile | RemoveBootFile) -> None:
        """Write or delete one file; a reader sees the old or the new one, whole."""
        path = self.directory / step.file
        work = path.with_name(f".{path.name}.new")
        if isinstance(step, WriteBootFile):
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            return
        with file_lock(path.parent, shared=False, wait=LOCK_SECONDS):
            if isinstance(step, WriteBootFile):
                write_atomically(path, step.text.encode(), work, mode=0o644)
                return
            for gone in (path, work):  # the second is what a killed run left
                gone.unlink(missing_ok=True)
            fsync(path.parent)


def _of_bridge(name: str, mac: str | None) -> Facts:
    udev = {"DEVTYPE": "bridge", "INTERFACE": name, "ID_NET_NAME": name, "ID_NET_DRIVER": "bridge"}
    return Facts((name,), mac=mac, permanent_mac="", kind="bridge", types=("bridge",), properties=udev)


def _conflict(path: Path, what: str) -> Conflict:
    return Conflict(f"boot: {path} {what}", option="boot", path=str(path))
