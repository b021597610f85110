# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether a gateway answers on a link, by the kernel's own question for its MAC address, which no firewall filters."""

from __future__ import annotations

import json
import socket
import time

from ..._runner import Runner

DISCARD_PORT = 9  # the port of discard: what is sent there is not answered
PATIENCE = 3.0
FAILED = ("FAILED", "INCOMPLETE", "NONE")


def answers(runner: Runner, gateway: str, link: str) -> bool:
    """Return whether the neighbour ``gateway`` on ``link`` has a MAC address, after a packet was sent to it."""
    family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
    end = time.monotonic() + PATIENCE
    while True:
        if _known(runner, gateway, link):
            return True
        if time.monotonic() > end:
            return False
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                scope = socket.if_nametoindex(link)
                sender.sendto(b"", (gateway, DISCARD_PORT) if family == socket.AF_INET else (gateway, DISCARD_PORT, 0, scope))
        except OSError:  # no route yet
            pass
        time.sleep(0.2)


def _known(runner: Runner, gateway: str, link: str) -> bool:
    done = runner.run(("ip", "-json", "neigh", "show", "to", gateway, "dev", link), check=False, timeout=10)
    found = json.loads(done.stdout or "[]") if done.rc == 0 else []
    return any(item.get("lladdr") and not set(item.get("state", ())) & set(FAILED) for item in found)
