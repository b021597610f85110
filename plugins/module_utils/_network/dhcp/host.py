# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter: what of a service is on this host, by ip(8), bridge(8), nft(8) and systemctl(1), and the steps that change it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..._errors import CommandFailed
from ..._files import fsync, write_atomically
from ..._runner import Runner
from ..link.addressing import NETWORK_NAME
from . import filtering
from .names import INNER, SPACE, link_of, mark, service_mac, space_of, unit_of
from .places import CONFIG, DEFINITION, HOSTS, LIMIT, NAMES, Places
from .state import Filter, Port, Space, State, as_files
from .steps import CLOSED, Change, Run, inside

TIMEOUT = 60.0
READ = (CONFIG, HOSTS, NAMES)
RUNNING = {"active", "activating", "reloading"}


class Services:
    """Observes and changes the services of this host's networks."""

    def __init__(self, runner: Runner, places: Places | None = None) -> None:
        self.runner, self.places = runner, places or Places()

    def observe(self, name: str) -> State:
        """Return all of one network's service."""
        space, inner, broken = self._space(name)
        running = self._running(name)
        return State(
            name=name,
            files=as_files(_texts(self.places.files / name, (*READ, DEFINITION))),
            port=self._port(name, inner),
            space=space,
            broken=broken,
            filter=self.filter(),
            running=running,
            loaded=as_files(_texts(self.places.run / name, READ)) if running else (),
        )

    def names(self) -> list[str]:
        """Return the networks that have files here."""
        folder = self.places.files
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def spaces(self) -> list[str]:
        """Return the networks that have a name space here, such as those of which a killed run removed the files only."""
        found = [one.removeprefix(SPACE) for one in self._all_spaces() if one.startswith(SPACE)]
        return [name for name in found if NETWORK_NAME.fullmatch(name)]

    def _all_spaces(self) -> list[str]:
        """Return all name spaces of the host, also those of others."""
        return [str(item["name"]) for item in self._json("ip", "-j", "netns", "list") or ()]

    def apply(self, step: Change) -> None:
        """Carry out one step."""
        for run in step.runs:
            self.run(run)

    def run(self, run: Run) -> None:
        """Run one command of a step."""
        try:
            self.runner.run(run.argv, stdin=run.stdin, timeout=TIMEOUT)
        except CommandFailed:
            if not run.shows or self.runner.run(run.shows, check=False, timeout=TIMEOUT).rc == 0:
                raise

    def write(self, name: str, step: Change) -> None:
        """Write the files of a step one by one, each whole or not at all, or remove them with their folder."""
        folder = self.places.files / name
        if step.writes is None:
            self._remove(folder)
        elif step.writes:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            for file, text in step.writes:
                write_atomically(folder / file, text.encode(), folder / f".{file}.new", mode=0o644)

    def _remove(self, folder: Path) -> None:
        if not folder.is_dir():
            return
        for file in (DEFINITION, *READ):  # the definition first: without it nothing is made again at boot
            (folder / file).unlink(missing_ok=True)
            (folder / f".{file}.new").unlink(missing_ok=True)
        folder.rmdir()
        fsync(folder.parent)

    def _json(self, *argv: str, check: bool = True) -> list[dict[str, Any]] | None:
        done = self.runner.run(argv, check=check, timeout=TIMEOUT)
        if done.rc:
            return None
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return [item for item in found if item]

    def _space(self, name: str) -> tuple[Space | None, dict[str, Any], bool]:
        """Return the name space, its end of the pair as ip(8) shows it, and whether it cannot be entered."""
        space = space_of(name)
        if space not in self._all_spaces():
            return None, {}, False
        links = self._json("ip", "-n", space, "-j", "-d", "addr", "show", check=False)
        if links is None:
            return None, {}, True
        found = Space(closed=self._closed(name))
        item = next((one for one in links if one["ifname"] == INNER), None)
        if item is None:
            return found, {}, False
        addresses = frozenset(f"{one['local']}/{one['prefixlen']}" for one in item["addr_info"])
        routes = [
            *(self._json("ip", "-n", space, "-j", "-4", "route", "show", "default") or ()),
            *(self._json("ip", "-n", space, "-j", "-6", "route", "show", "default", check=False) or ()),
        ]
        gateways = frozenset(str(route["gateway"]) for route in routes if "gateway" in route)
        up = "UP" in item["flags"]
        return (
            replace(found, linked=True, mac=item["address"], mtu=item["mtu"], up=up, addresses=addresses, gateways=gateways),
            item,
            False,
        )

    def _closed(self, name: str) -> bool:
        done = self.runner.run(inside(name, "sysctl", "-e", *CLOSED), check=False, timeout=TIMEOUT)
        found = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
        return bool(found) and all(CLOSED.get(key, value) == value for key, value in found.items())

    def _port(self, name: str, inner: dict[str, Any]) -> Port | None:
        link = link_of(name)
        found = self._json("ip", "-j", "-d", "addr", "show", "dev", link, check=False)
        if not found:
            return None
        item = found[0]
        veth = item.get("linkinfo", {}).get("info_kind") == "veth"
        # Each end has the other's number. This also tells a pair that was made just before its mark could be set.
        paired = veth and bool(inner) and (item.get("link_index"), inner.get("link_index")) == (inner["ifindex"], item["ifindex"])
        entries = self._json("bridge", "-j", "fdb", "show", "dev", link, check=False) or ()
        known = any(
            one["mac"] == service_mac(name) and one.get("state") == "static" and "sticky" in one.get("flags", ()) for one in entries
        )
        ours = veth and item.get("ifalias") == mark(name)
        return Port(ours, paired, item.get("master"), item["mtu"], "UP" in item["flags"], known)

    def filter(self) -> Filter:
        """Return our table of nftables."""
        done = self.runner.run(("nft", "-j", "list", "table", *filtering.TABLE.split()), check=False, timeout=TIMEOUT)
        return filtering.read(json.loads(done.stdout)["nftables"]) if done.rc == 0 else Filter()

    def _running(self, name: str) -> bool:
        shown = self.runner.run(
            ("systemctl", "show", "--property=ActiveState", "--value", "--", unit_of(name)), timeout=TIMEOUT
        ).stdout
        return shown.strip() in RUNNING


def _texts(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # the copies are the service's
        except OSError:
            continue
        with os.fdopen(descriptor, "rb") as file:
            found[name] = file.read(LIMIT).decode(errors="replace")
    return found
