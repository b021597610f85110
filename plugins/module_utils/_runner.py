# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands: argument lists only, C locale, and an error that carries the program's output."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
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
    """Runs commands by subprocess; text that is not UTF-8 comes back with surrogates, as file names do in Python.

    ``environment`` is for the commands alone: a secret that a list of processes must not show.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(environment or {})

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        """See Runner; on a timeout the command and all that it started are killed first."""
        try:
            process = subprocess.Popen(
                list(argv),
                executable=self._find(argv[0]),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="surrogateescape",
                env={**os.environ, **C_LOCALE, **self._environment},
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

    def _find(self, program: str) -> str:
        """Return the program's file, or its name if it is to be looked for in PATH."""
        return program


class ModuleRunner(SubprocessRunner):
    """Runs commands for an Ansible module, which finds programs in the sbin folders that a user's PATH may lack.

    AnsibleModule.run_command is not used: it runs Python between fork and exec, which is unsafe beside the thread of libvirt's
    events, ends the module by itself where a command does not read its input, and can miss the last output on a busy machine.
    """

    def __init__(self, module: Any, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(environment)
        self._module = module

    def _find(self, program: str) -> str:
        found: str | None = self._module.get_bin_path(program)
        if found is None:
            raise _missing(program)
        return found
