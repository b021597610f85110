# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real network name space for one test, made without root: ip(8) on the PATH of this process works in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SPACE = ("unshare", "--user", "--map-root-user", "--net")


def ip(*words: str) -> str:
    """Run ip(8) where the PATH leads; inside ``netspace`` that is in its name space."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def netspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ``ip`` work in a new name space until the end; skip where the kernel lets users make none."""
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a network name space")
    holder = subprocess.Popen([*SPACE, "sh", "-c", "echo ready; exec sleep infinity"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        program = folder / "ip"
        program.write_text(
            f'#!/bin/sh\nexec nsenter --target {holder.pid} --user --net --preserve-credentials {shutil.which("ip")} "$@"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield
    finally:
        holder.kill()
        holder.wait()
