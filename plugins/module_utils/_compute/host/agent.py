# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest agent. The guest runs it or not: it may be missing, not answer, or begin to answer and never end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..._libvirt import libvirt
from ..xml.fixed_devices import AGENT

AGENT_SECONDS = 5
BLOCK = -2  # libvirt's VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, the default: no limit
STATUS = Path("/run/libvirt/qemu")
TIMEOUT = re.compile(r"<agentTimeout>(-?\d+)</agentTimeout>")


def is_connected(root: Element) -> bool:
    """Return whether a running domain's XML says that an agent listens in the guest; it may be silent all the same."""
    targets = root.iterfind("devices/channel/target")
    return any(one.get("name") == AGENT.value and one.get("state") == "connected" for one in targets)


@contextmanager
def limited_agent(domain: Any, seconds: int = AGENT_SECONDS) -> Iterator[None]:
    """Limit within how long libvirt waits for an answer of the agent, which has no limit by default; then it is as it was found.

    A shorter limit of others stays. libvirt tells what is set only in its own state on its host: elsewhere it is set back to the
    default. A missing agent is not an error.
    """
    found = _found(domain)
    if found is not None and found != BLOCK and found <= seconds:
        yield
        return
    _set(domain, seconds)
    try:
        yield
    finally:
        _set(domain, BLOCK if found is None else found)


def _set(domain: Any, seconds: int) -> None:
    with suppress(libvirt.libvirtError):  # a driver without agents, or a guest that has just ended
        domain.agentSetResponseTimeout(seconds, 0)


def _found(domain: Any) -> int | None:
    """Return the limit that is set, in seconds or as a constant of libvirt; None where it cannot be read."""
    with suppress(libvirt.libvirtError, OSError):
        if domain.connect().getURI() == "qemu:///system":
            head = (STATUS / f"{domain.name()}.xml").read_text(encoding="utf-8", errors="replace").partition("<domain ")[0]
            found = TIMEOUT.search(head)
            return int(found[1]) if found else None
    return None
