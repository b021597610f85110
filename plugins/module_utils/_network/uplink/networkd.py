# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The uplink of a host that systemd-networkd configures by its own files, which are left alone: ours stand before them."""

from __future__ import annotations

import re
from pathlib import Path

from ..._errors import Conflict, NotFound
from ..boot.managers import Managers
from ..boot.matching import Facts, matches
from ..boot.unit_files import UnitFile, read_text, unit_files
from ..link.model import Host
from . import network_text
from .live import Carried
from .marks import OURS
from .model import BootFile, Parts

ETC, RUN = "etc/systemd/network", "run/systemd/network"
WAIT = 20  # seconds that networkd may take to attach the port
PINNED = re.compile(r"\n\[DHCPv[46]\]\nIAID=\d+\n")
RELOAD = "networkctl reload || systemctl restart systemd-networkd"


class Networkd:
    """The files of systemd-networkd below ``root``."""

    name: str = "networkd"

    def __init__(self, managers: Managers, root: Path = Path("/")) -> None:
        self._managers, self._root = managers, root

    def owns(self, link: str) -> bool:
        """Return whether systemd-networkd configures ``link`` now."""
        return self._managers.network_file(link) is not None

    def made(self, bridge: str) -> str | None:
        """Return the port of the bridge that we wrote, or None where our last file is not there."""
        text = self.boot(bridge).get(str(self._root / ETC / network_text.names(bridge)[2]), "")
        found = re.search(r"^Name=(\S+)$", text, re.MULTILINE)
        return found[1] if found else None

    def boot(self, bridge: str) -> dict[str, str]:
        """Return our files of ``bridge`` that are there; raise Conflict for one of that name that is not ours."""
        found = {}
        for name in network_text.names(bridge):
            path = self._root / ETC / name
            if path.exists():
                found[str(path)] = read_text(path)
                if not found[str(path)].startswith(OURS):
                    raise Conflict(f"name: {path} was not written by edge.cloud.uplink; move it away.", option="name")
        return found

    def present(self, host: Host, held: Carried) -> Parts:
        """Return what moves all from the port to the bridge."""
        self._managers.require_networkd()
        source = self._source(self._managers.network_file(held.port))
        self._refuse_earlier(host, held)
        number = iaid(self._root, held.port)
        texts = network_text.files(held.bridge, held.port, held.mac, source=str(source.path), texts=source.texts, iaid=number)
        has = self.boot(held.bridge)
        paths = [(str(self._root / ETC / name), text) for name, text in texts.items()]
        boot = tuple(BootFile(path, has.get(path), text) for path, text in paths if has.get(path) != text)
        trial = tuple((str(self._root / RUN / name), text) for name, text in texts.items())
        return Parts(boot, trial, (RELOAD, wait_for(held), rest(held, held.port, held.bridge)), back_to_port(held), keep=True)

    def absent(self, host: Host, held: Carried) -> Parts:
        """Return what moves all back to the port, which the user's file configures again."""
        has = self.boot(held.bridge)
        boot = tuple(BootFile(path, text, None) for path, text in reversed(has.items()))
        if held.bridge not in host.links:
            return Parts(boot)
        source = self._unedited(held, has)
        trial = str(self._root / RUN / f"{network_text.TRIAL}{held.bridge}.network")
        drop = f"ip link del dev {held.bridge} || true"
        return Parts(
            boot,
            ((trial, network_text.trial_without(held.port, source.texts)),),
            (drop, RELOAD, rest(held, held.bridge, held.port)),
            (_batch(held.to_bridge), RELOAD, f"networkctl reconfigure {held.port} {held.bridge} || true"),
            (*(f"rm -f {self._root / RUN / name}" for name in network_text.names(held.bridge)), drop, RELOAD),
        )

    def _unedited(self, held: Carried, has: dict[str, str]) -> UnitFile:
        """Return the user's file of the port; raise Conflict where ours does not say the same any more."""
        path = self._root / ETC / network_text.names(held.bridge)[1]
        text = has.get(str(path), "")
        found = re.search(r"; made of (.+)", text)
        source = self._source(Path(found[1]) if found else None)
        ours = network_text.files(held.bridge, held.port, held.mac, source=str(source.path), texts=source.texts)
        if PINNED.sub("", text) != PINNED.sub("", ours[path.name]):
            raise Conflict(
                f"state: {path} or {source.path} was edited since, and what only the first says would be lost. Have the second say"
                " the same, or take the bridge out by hand.",
                option="state",
            )
        return source

    def _source(self, path: Path | None) -> UnitFile:
        for file in unit_files(self._root / ETC, ".network"):
            if path is not None and file.path == path and not file.problem:
                return file
        raise NotFound(f"port: the file {path} by which systemd-networkd configures the link cannot be read.", option="port")

    def _refuse_earlier(self, host: Host, held: Carried) -> None:
        """Raise Conflict for a file that comes before ours and configures the bridge or its port, or may."""
        link = host.links[held.port]
        port = Facts((link.name, *link.altnames), link.mac, link.permanent_mac or None, link.kind)
        bridge = Facts((held.bridge,), held.mac, "", "bridge", ("bridge",))
        ours = network_text.names(held.bridge)
        for file in unit_files(self._root / ETC, ".network"):
            before = file.name < ours[1] and file.name not in ours
            if before and any(matches(file.pairs, facts, self._managers.condition) is not False for facts in (port, bridge)):
                raise Conflict(
                    f"port: {file.path} comes before the files that edge.cloud.uplink would write ({ours[1]}) and may configure"
                    f" {held.port} or {held.bridge}; give it a later name.",
                    option="port",
                    path=str(file.path),
                )


def iaid(root: Path, link: str) -> int | None:
    """Return what systemd-networkd identifies ``link`` by to its DHCP server, or None where it has no such lease."""
    try:
        index = (root / f"sys/class/net/{link}/ifindex").read_text().strip()
        lease = (root / f"run/systemd/netif/leases/{index}").read_text()
    except OSError:
        return None
    found = re.search(r"^CLIENTID=ff([0-9a-f]{8})", lease, re.MULTILINE)
    return int(found[1], 16) if found else None


def wait_for(held: Carried) -> str:
    """Return the line that waits until the port is one."""
    there = f"[ -e /sys/class/net/{held.bridge}/brif/{held.port} ]"
    return f"n=0; until {there}; do n=$((n+1)); [ $n -lt {WAIT * 5} ] || exit 1; sleep 0.2; done"


def rest(held: Carried, source: str, target: str) -> str:
    """Return the line that moves what networkd does not know."""
    return _batch(held.rest(source, target))


def back_to_port(held: Carried) -> tuple[str, ...]:
    """Return the lines that put all on the port at once, and then have networkd see to it again."""
    return (_batch(held.to_port), RELOAD, f"networkctl reconfigure {held.port} || true")


def _batch(lines: str) -> str:
    return f"ip -force -batch - <<'END' || true\n{lines}END"
