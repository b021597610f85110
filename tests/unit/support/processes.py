# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts real, separate processes that run the library, so that a test can kill one, or have it killed at a certain step."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
LIBRARY = "ansible_collections.edge.cloud.plugins.module_utils"
CHANGES = {"os.rename", "os.remove", "os.chmod", "os.mkdir", "fcntl.flock", "os.truncate"}


def python(code: str, *arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    """Run ``code`` (``LIBRARY`` in it is the library's package) with ``sys.argv[1:]``, its output to be read."""
    argv = [sys.executable, "-c", code.replace("LIBRARY", LIBRARY), *map(str, arguments)]
    environment = {"PYTHONPATH": str(TREE / "collections"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, text=True, env=environment)


def at_once(works: Sequence[Callable[[], list[str]]]) -> list[str]:
    """Run each in a forked process of its own, which all begin when the last one is there; return the words of all of them."""
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(len(works))

    def run(work: Callable[[], list[str]], answer: Connection) -> None:
        barrier.wait()
        answer.send(work())

    pipes = [fork.Pipe(duplex=False) for _work in works]
    started = [fork.Process(target=run, args=(work, end)) for work, (_own, end) in zip(works, pipes, strict=True)]
    for process in started:
        process.start()
    for _own, end in pipes:
        end.close()
    found = [own.recv() for own, _end in pipes]
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * len(started)
    return [word for words in found for word in words]


def killed(work: Callable[[], object], call: int, opens: Callable[[str], bool]) -> bool:
    """Run ``work`` in a forked process that is killed at its ``call``-th change of the file system; tell whether it was.

    A file that is opened counts where ``opens`` says so of its path.
    """
    status = _forked(work, opens, lambda number: number == call and os.kill(os.getpid(), signal.SIGKILL))
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "it failed and was not killed"
    return os.WIFSIGNALED(status)


def changes(work: Callable[[], object], opens: Callable[[str], bool]) -> int:
    """Return how many changes of the file system ``work`` makes, in a forked process; each is one that ``killed`` can be given."""
    reading, writing = os.pipe()
    status = _forked(work, opens, lambda _number: os.write(writing, b"."))
    assert os.WEXITSTATUS(status) == 0, "it failed"
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        return len(file.read())


def _forked(work: Callable[[], object], opens: Callable[[str], bool], at: Callable[[int], object]) -> int:
    """Run ``work`` in a forked process, with ``at`` before each change, and return its status."""
    child = os.fork()
    if child == 0:
        count = [0]

        def watch(event: str, args: tuple[object, ...]) -> None:
            if event in CHANGES or (event == "open" and opens(str(args[0]))):
                count[0] += 1
                at(count[0])

        sys.addaudithook(watch)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]
