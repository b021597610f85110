# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands: argument lists only, C locale, and an error that carries the program's output."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ._errors import CommandFailed, TimedOut, Unsupported

C_LOCALE = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "LANGUAGE": ""}


@dataclass(frozen=True)
class Completed:
    """The outcome of a command: exit code and both outputs as text."""

    rc: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs one command and waits for its end."""

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        """Return the outcome; raise CommandFailed (with ``check``), TimedOut (seconds) or Unsupported (no such program)."""


def _checked(argv: Sequence[str], done: Completed, check: bool) -> Completed:
    if check and done.rc != 0:
        raise CommandFailed(argv, done.rc, done.stderr)
    return done


def _missing(program: str) -> Unsupported:
    return Unsupported(f"The program {program} is not installed on this host; install the package that holds it.", program=program)


def _late(argv: Sequence[str], timeout: float | None) -> TimedOut:
    return TimedOut(f"{argv[0]} did not end within {timeout} s.", argv=list(argv), seconds=timeout)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a process that still runs, with its group: a child that holds the pipes would keep us waiting."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class SubprocessRunner:
    """Runs commands by subprocess, for programs that are not Ansible modules."""

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        """See Runner; on a timeout the command and all that it started are killed first."""
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **C_LOCALE},
                process_group=0,
            )
        except FileNotFoundError:
            raise _missing(argv[0]) from None
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            raise _late(argv, timeout) from None
        finally:
            _end(process)
        return _checked(argv, Completed(process.returncode, stdout, stderr), check)


class ModuleRunner:
    """Runs commands by AnsibleModule.run_command, so that Ansible's logging and environment rules hold.

    run_command has no time limit of its own: with ``timeout`` the command runs under coreutils' timeout(1).
    """

    TIMEOUT_RCS = (124, 137, -signal.SIGKILL)

    def __init__(self, module: Any) -> None:
        self._module = module

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        """See Runner."""
        if self._module.get_bin_path(argv[0]) is None:
            raise _missing(argv[0])
        limited = ["timeout", "--kill-after=5", str(timeout), *argv] if timeout else list(argv)
        began = time.monotonic()
        # Without the last option run_command would put variables and home folders into our arguments.
        rc, stdout, stderr = self._module.run_command(
            limited, data=stdin, binary_data=True, environ_update=C_LOCALE, expand_user_and_vars=False
        )
        if timeout and rc in self.TIMEOUT_RCS and time.monotonic() - began >= timeout:
            raise _late(argv, timeout)
        return _checked(argv, Completed(rc, stdout, stderr), check)
