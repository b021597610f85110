# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for the sign by which a guest says that it is up: its agent answers, or a text is on its serial console."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._errors import EdgeError, InvalidInput, TimedOut
from ..._libvirt import libvirt
from ..host.agent import is_connected
from ..host.console import console_end
from ..model.spec import DomainSpec
from ..xml.domain import parse_xml

PAUSE = 0.5  # seconds
PING_SECONDS = 5
LONGEST_LOG = 4 * 2**20  # libvirt begins another file after 2 MiB
PING = json.dumps({"execute": "guest-ping"})


@dataclass(frozen=True)
class Sign:
    """``text`` on the console, or with None an answer of the agent."""

    text: str | None

    def __str__(self) -> str:
        return "an answer of its agent" if self.text is None else f"the text {self.text!r} on its console"

    def require_possible(self, spec: DomainSpec) -> None:
        """Raise InvalidInput for a VM that cannot give it."""
        if self.text is None and not spec.agent:
            raise InvalidInput(
                "recovery.sign: the VM has no guest agent, so that nothing says when it is up; give a text that the guest prints "
                "on its serial console then, such as 'login:'.",
                option="recovery.sign",
            )

    def wait(self, domain: Any, console: Path, seconds: float, require: Callable[[], None] = lambda: None) -> float:
        """Return after how many seconds the sign was there; raise TimedOut, or EdgeError where the guest stopped before it.

        ``require`` is called again and again meanwhile, and may raise.
        """
        begun = time.monotonic()
        while not self._is_there(domain, console):
            require()
            passed = time.monotonic() - begun
            if not _is_running(domain):
                raise EdgeError(
                    f"The guest stopped before {self}, after {passed:.0f} s.{_said(console)}", console=console_end(str(console))
                )
            if passed >= seconds:
                raise TimedOut(
                    f"The guest did not give {self} within {seconds:.0f} s. If it was still booting, give more time "
                    f"(--timeout); if it was up, another sign (recovery.sign, or --text).{_said(console)}",
                    console=console_end(str(console)),
                )
            time.sleep(PAUSE)
        return time.monotonic() - begun

    def _is_there(self, domain: Any, console: Path) -> bool:
        if self.text is not None:
            return any(self.text.encode() in _read(path) for path in (console, Path(f"{console}.0")))
        return _answers(domain)


def _read(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(LONGEST_LOG)
    return b""


def _answers(domain: Any) -> bool:
    import libvirt_qemu  # noqa: PLC0415 - a console needs none

    with suppress(libvirt.libvirtError, ValueError):
        if is_connected(parse_xml(domain.XMLDesc())):
            return "return" in json.loads(libvirt_qemu.qemuAgentCommand(domain, PING, PING_SECONDS, 0))
    return False


def _is_running(domain: Any) -> bool:
    try:
        return bool(domain.isActive())
    except libvirt.libvirtError:
        return False


def _said(console: Path) -> str:
    end = console_end(str(console)).splitlines()
    return f" It printed last: {end[-1]}" if end else " It printed nothing on its serial console."
