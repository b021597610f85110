# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real network name space for one test, made without root: ip(8) and bridge(8) on the PATH of this process work in it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from support.waiting import until

SPACE = ("unshare", "--user", "--map-root-user", "--net")


def ip(*words: str) -> str:
    """Run ip(8) where the PATH leads; inside ``netspace`` that is in its name space."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def carrier(*links: str) -> None:
    """Wait until the kernel has noted that links have a carrier, which it does a while after they have it, and adds routes then."""
    for link in links:
        until(lambda link=link: " state UP " in ip("-o", "link", "show", "dev", link), f"a carrier of {link}")  # type: ignore[misc]


def cable(link: str, far: str) -> None:
    """Add two links that are one cable, with a carrier."""
    ip("link", "add", link, "type", "veth", "peer", "name", far)
    ip("link", "set", far, "up")
    ip("link", "set", link, "up")
    carrier(link, far)


def configured(*words: str) -> str:
    """Return what links are set to, without what the kernel changes by itself: states, carriers and timers."""
    return re.sub(r"<[^>]*>|\bstate \S+|\b\w+_timer +\S+", "", ip("-d", "link", *words))


@contextmanager
def netspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``ip`` and ``bridge`` work in a new name space until the end; skip where the kernel lets users make none."""
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a network name space")
    holder = subprocess.Popen([*SPACE, "sh", "-c", "echo ready; exec sleep infinity"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        for name in ("ip", "bridge"):
            enter = f"nsenter --target {holder.pid} --user --net --preserve-credentials"
            program = folder / name
            program.write_text(f'#!/bin/sh\nexec {enter} {shutil.which(name)} "$@"\n')
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield
    finally:
        holder.kill()
        holder.wait()


class Space(SubprocessRunner):
    """A name space of its own, in which commands run."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid = pid

    def argv(self, *words: str) -> list[str]:
        """Return the command that runs ``words`` in the name space."""
        return ["nsenter", "--target", str(self.pid), "--user", "--net", "--preserve-credentials", *words]

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        """See Runner."""
        return super().run(self.argv(*argv), stdin=stdin, check=check, timeout=timeout)

    def ip(self, *words: str) -> str:
        """Run ip(8) there."""
        return self.run(("ip", *words)).stdout


@contextmanager
def spaces(number: int) -> Iterator[list[Space]]:
    """Give name spaces that can be connected with each other, as those of one machine; skip where users can make none."""
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a network name space")
    others = "unshare --net sh -c 'echo $$; exec sleep infinity' & " * (number - 1)
    script = f"{others} echo $$; exec sleep infinity"
    holder = subprocess.Popen([*SPACE, "sh", "-c", script], stdout=subprocess.PIPE, text=True, process_group=0)
    try:
        assert holder.stdout is not None
        yield [Space(int(holder.stdout.readline())) for _ in range(number)]
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
