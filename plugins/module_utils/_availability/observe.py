# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host has of a cluster: the files, and what Corosync and Pacemaker say where they run. Nothing is changed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from .._errors import EdgeError
from .._runner import Runner
from .model import Running, Seen, digest, parse, parse_map, parse_quorum

PATIENCE = 30.0  # seconds for a program that answers at once, or never


@dataclass(frozen=True)
class Observer:
    """Looks at a host whose files are under ``root``."""

    runner: Runner
    root: Path = Path("/")

    def seen(self) -> Seen:
        """Return what the host has."""
        text = self._bytes("etc/corosync/corosync.conf")
        addresses, running = self._addresses(), self._running()
        return Seen(
            release=self._release(),
            installed=(self.root / "usr/sbin/corosync").exists() and (self.root / "usr/sbin/pacemakerd").exists(),
            managed=(self.root / "etc/systemd/system/corosync.service.d/edge-cluster.conf").exists(),
            addresses=addresses,
            running=running,
            conf=parse(text.decode(errors="replace")),
            conf_digest=digest(text) if text else "",
            key=self._digest("etc/corosync/authkey"),
            started_key=self._digest("run/edge-corosync/authkey") if running else "",
            has_run=any((self.root / "var/lib/corosync").glob("ringid_*")),
            resources=self._resources(running is not None),
            cib=(self.root / "var/lib/pacemaker/cib/cib.xml").exists(),
        )

    def _bytes(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return b""

    def _digest(self, path: str) -> str:
        data = self._bytes(path)
        return digest(data) if data else ""

    def _release(self) -> str:
        lines = self._bytes("etc/os-release").decode(errors="replace").splitlines()
        return next((line.partition("=")[2].strip("\"'") for line in lines if line.startswith("VERSION_CODENAME=")), "")

    def _addresses(self) -> tuple[str, ...]:
        links = json.loads(self.runner.run(["ip", "-json", "address", "show"], timeout=PATIENCE).stdout)
        return tuple(one["local"] for link in links for one in link.get("addr_info", []) if "local" in one)

    def _running(self) -> Running | None:
        active = self.runner.run(["systemctl", "is-active", "corosync.service"], check=False, timeout=PATIENCE).stdout.strip()
        if active in ("inactive", "failed", "unknown", ""):
            return None
        shown = "".join(
            self.runner.run(["corosync-cmapctl", prefix], check=False, timeout=PATIENCE).stdout
            for prefix in ("totem.", "nodelist.")
        )
        conf = parse_map(shown)
        if conf is None:
            raise EdgeError(
                f"corosync.service is {active}, and corosync-cmapctl tells of no cluster. Look at journalctl -u corosync; run "
                "this again."
            )
        # It ends with an error where there is no quorum.
        quorum = self.runner.run(["corosync-quorumtool", "-s"], check=False, timeout=PATIENCE).stdout
        return Running(conf, *parse_quorum(quorum))

    def _resources(self, running: bool) -> int | None:
        """Return how many resources the CIB has: that of Pacemaker where it runs, else the file; None if it cannot be read."""
        pacemaker = self.runner.run(["systemctl", "is-active", "pacemaker.service"], check=False, timeout=PATIENCE).stdout.strip()
        if running and pacemaker == "active":
            done = self.runner.run(["cibadmin", "--query", "--local"], check=False, timeout=PATIENCE)
            text = done.stdout if done.rc == 0 else ""
        else:
            file = self._bytes("var/lib/pacemaker/cib/cib.xml")
            if not file:
                return 0
            text = file.decode(errors="replace")
        return resources_in(text)


def resources_in(cib: str) -> int | None:
    """Return how many resources a CIB has, None if this is none."""
    try:
        found = ET.fromstring(cib).find("configuration/resources")  # noqa: S314 - Pacemaker wrote it
    except ET.ParseError:
        return None
    return None if found is None else len(found)
