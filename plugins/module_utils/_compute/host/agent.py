# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest agent. The guest runs it or not: it may be missing, not answer, or begin to answer and never end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..._libvirt import libvirt

AGENT_SECONDS = 5


def limit_agent(domain: Any, seconds: int = AGENT_SECONDS) -> None:
    """Limit how long libvirt waits for an answer of the agent, which has no limit by default; a missing agent is not an error."""
    with suppress(libvirt.libvirtError):  # a driver without agents, or a guest that has just ended
        domain.agentSetResponseTimeout(seconds, 0)
