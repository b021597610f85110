# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that change what a defined domain does now."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..model.state import VmState


@dataclass(frozen=True)
class Restore:
    """Let a saved guest go on where it was; ``paused`` leaves it halted there."""

    name: str
    paused: bool = False

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Restore domain {self.name} from its saved state{' and leave it paused' if self.paused else ''}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="paused" if self.paused else "running")


@dataclass(frozen=True)
class Pause:
    """Halt a running guest where it is; it stays in memory."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Pause domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="paused")


@dataclass(frozen=True)
class Save:
    """Write the memory of a guest to disk and stop it; its next start goes on from there."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Save domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="saved")


@dataclass(frozen=True)
class Resume:
    """Let a paused domain run on."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Resume domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="running")


@dataclass(frozen=True)
class Wake:
    """Wake a guest that sleeps (ACPI S3), as the power button would."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Wake domain {self.name}, whose guest sleeps"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return replace(state, run="running", condition="")


@dataclass(frozen=True)
class Reset:
    """Press the reset button of a running guest: it boots again, and does not shut down before."""

    name: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Reset domain {self.name}"

    def predict(self, state: VmState) -> VmState:
        """See Step."""
        return state
