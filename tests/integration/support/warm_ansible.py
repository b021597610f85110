# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook many times without loading Ansible, and packing each of our modules, many times.

A process loads ansible-core once and forks for each playbook; what a fork packs of a module, all later ones find in Ansible's
own folder for that. A playbook of one task of ours takes 2 instead of 4.5 s so. Each fork runs Ansible's own command line.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO


class WarmAnsible:
    """ansible-playbook in one environment, until this process ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="edge-ansible-"))
        self._door = self._folder / "door"
        self._settings = _settings(environment)
        settings = {**environment, "ANSIBLE_LOCAL_TEMP": str(self._folder)}
        argv = [sys.executable, __file__, str(self._door)]
        self._process = subprocess.Popen(argv, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"{argv} ended with {self._process.wait()} before it was ready")
        atexit.register(self.close)

    def run(self, argv: Sequence[str], cwd: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run ``ansible-playbook`` with the arguments that follow its name in ``argv``; an exception ends it.

        Ansible's own settings were read at the start: others are refused.
        """
        if _settings(environment) != self._settings:
            raise ValueError(f"Ansible was loaded with {self._settings}, and is to run with {_settings(environment)}")
        order = json.dumps({"argv": list(argv), "cwd": cwd, "environment": dict(environment)}).encode()
        with (
            socket.socket(socket.AF_UNIX) as link,
            tempfile.TemporaryFile() as asked,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            asked.write(order)
            asked.seek(0)
            link.connect(str(self._door))
            socket.send_fds(link, [b"."], [asked.fileno(), out.fileno(), err.fileno()])
            answers = link.makefile("r")
            pid = int(answers.readline())
            try:
                code = int(answers.readline() or -signal.SIGKILL)
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise
            return subprocess.CompletedProcess(list(argv), code, _text(out), _text(err))

    def close(self) -> None:
        """End the process, which ends when its input does."""
        self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("ANSIBLE_") and name != "ANSIBLE_LOCAL_TEMP"}


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _serve(door: str) -> None:
    """Fork for each connection until standard input ends; the kernel reaps the forks."""
    from ansible.cli.playbook import PlaybookCLI

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(door)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
            link, _ = listener.accept()
            if os.fork() == 0:
                try:
                    link.sendall(b"%d\n" % _play(link, PlaybookCLI.cli_executor))
                finally:
                    os._exit(0)
            link.close()


def _play(link: socket.socket, ansible_playbook: Callable[[list[str]], None]) -> int:
    """Do in a fork what the command ansible-playbook does, and return its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.register_at_fork(after_in_child=link.close)  # whoever waits for an answer waits for this process alone
    _, (asked, *files), _, _ = socket.recv_fds(link, 1, 3)
    link.sendall(b"%d\n" % os.getpid())
    with os.fdopen(asked) as order:
        wanted = json.load(order)
    for target, source in enumerate((os.open(os.devnull, os.O_RDONLY), *files)):
        os.dup2(source, target)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    random.seed()
    try:
        ansible_playbook(["ansible-playbook", *wanted["argv"]])  # which shows all errors itself
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
