# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker at a time on a VM of this host: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..._errors import Busy

LOOK_AGAIN = 0.2


@contextmanager
def vm_lock(path: str, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a VM; raise Busy when another holds it for longer than ``seconds``.

    The file is empty, is never removed (who waits for it would then hold another one), and is not followed as a link.
    """
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, name, time.monotonic() + seconds)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: str, name: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Busy(
                    f"name: another task works on domain {name} and holds {path}; run again when it has ended.",
                    option="name",
                    value=name,
                    domain={"name": name},
                    path=path,
                ) from None
            time.sleep(min(LOOK_AGAIN, left))  # flock() has no time limit of its own
        else:
            return
