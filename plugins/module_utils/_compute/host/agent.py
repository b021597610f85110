# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest agent, which is the guest's to run: it may be missing, deaf, or begin to answer and never end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..._libvirt import libvirt

AGENT_SECONDS = 5


def limit_agent(domain: Any, seconds: int = AGENT_SECONDS) -> None:
    """Let libvirt wait for an answer of the agent for some seconds, where it would wait without end; no agent is no error."""
    with suppress(libvirt.libvirtError):  # a driver without agents, or a guest that ended meanwhile
        domain.agentSetResponseTimeout(seconds, 0)
