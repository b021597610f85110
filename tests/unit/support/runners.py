# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Runner that knows its commands beforehand and fails on one that it does not expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed


@dataclass
class ScriptedRunner:
    """Answers each expected argument list once, in order; ``done()`` asserts that all were asked."""

    script: list[tuple[tuple[str, ...], Completed]] = field(default_factory=list)

    def expect(self, *argv: str, rc: int = 0, stdout: str = "", stderr: str = "") -> ScriptedRunner:
        self.script.append((argv, Completed(rc, stdout, stderr)))
        return self

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        assert self.script, f"unexpected command: {argv}"
        wanted, answer = self.script.pop(0)
        assert tuple(argv) == wanted
        if check and answer.rc:
            raise CommandFailed(argv, answer.rc, answer.stderr)
        return answer

    def done(self) -> None:
        assert not self.script, f"never asked: {self.script}"
