# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands: argument lists only, C locale, and an error that carries the program's own words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ._errors import CommandFailed, TimedOut, Unsupported

C_LOCALE = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "LANGUAGE": ""}


@dataclass(frozen=True)
class Completed:
    """What a command left: exit code and both outputs as text."""

    rc: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs one command and waits for its end."""

    def run(
        self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None
    ) -> Completed:
        """Return the outcome; raise CommandFailed (with ``check``), TimedOut (seconds) or Unsupported (no such program)."""


def _checked(argv: Sequence[str], done: Completed, check: bool) -> Completed:
    if check and done.rc != 0:
        raise CommandFailed(argv, done.rc, done.stderr)
    return done


def _missing(program: str) -> Unsupported:
    return Unsupported(f"The program {program} is not installed on this host; install the package that holds it.", program=program)


class SubprocessRunner:
    """Runs commands by subprocess, for programs that are not Ansible modules."""

    def run(
        self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None
    ) -> Completed:
        """See Runner; on a timeout the command is killed first."""
        try:
            done = subprocess.run(
                list(argv),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env={**os.environ, **C_LOCALE},
            )
        except FileNotFoundError:
            raise _missing(argv[0]) from None
        except subprocess.TimeoutExpired:
            raise TimedOut(f"{argv[0]} did not end within {timeout} s.", argv=list(argv), seconds=timeout) from None
        return _checked(argv, Completed(done.returncode, done.stdout, done.stderr), check)


class ModuleRunner:
    """Runs commands by AnsibleModule.run_command, so that Ansible's logging and environment rules hold.

    run_command has no time limit of its own: with ``timeout`` the command runs under coreutils' timeout(1).
    """

    TIMEOUT_RC = 124

    def __init__(self, module: Any) -> None:
        self._module = module

    def run(
        self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None
    ) -> Completed:
        """See Runner."""
        if self._module.get_bin_path(argv[0]) is None:
            raise _missing(argv[0])
        limited = ["timeout", "--kill-after=5", str(timeout), *argv] if timeout else list(argv)
        rc, stdout, stderr = self._module.run_command(limited, data=stdin, binary_data=True, environ_update=C_LOCALE)
        if timeout and rc == self.TIMEOUT_RC:
            raise TimedOut(f"{argv[0]} did not end within {timeout} s.", argv=list(argv), seconds=timeout)
        return _checked(argv, Completed(rc, stdout, stderr), check)
