# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's event loop in a thread, and waiting for a domain's lifecycle events with a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from ..._libvirt import intent, libvirt


class EventLoop:
    """Runs libvirt's default event loop while it is entered; enter it before the connection is opened."""

    _registered = False

    def __enter__(self) -> EventLoop:
        if libvirt is None:  # connection() explains it
            return self
        if not EventLoop._registered:
            libvirt.virEventRegisterDefaultImpl()
            EventLoop._registered = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="libvirt-events", daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._stop.is_set():
            libvirt.virEventRunDefaultImpl()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if libvirt is None:
            return
        self._stop.set()
        timer = libvirt.virEventAddTimeout(0, lambda *_args: None, None)  # wakes the thread from its poll
        self._thread.join(10)
        libvirt.virEventRemoveTimeout(timer)


class Waiter:
    """Wakes on events of one domain."""

    def __init__(self) -> None:
        self._changed = threading.Event()

    def wake(self, *_event: Any) -> None:
        """Be the callback of libvirt's event."""
        self._changed.set()

    def until(self, done: Callable[[], bool], seconds: float, every: float, again: Callable[[], None] | None = None) -> bool:
        """Return True once ``done()``, False when ``seconds`` have passed.

        ``done`` is asked after each event and at least ``every`` seconds, when ``again`` is called too.
        """
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not self._changed.wait(min(every, left)) and again is not None:
                again()
            self._changed.clear()
        return True


@contextmanager
def hearing(connection: Any, domain: Any, event: int, callback: Callable[..., None]) -> Iterator[None]:
    """Call ``callback`` within for each event of one kind of the domain.

    A connection that is lost by the end raises nothing here: that would hide the error which it caused.
    """
    with intent(f"listen to the events of domain {domain.name()}"):
        number = connection.domainEventRegisterAny(domain, event, callback, None)
    try:
        yield
    finally:
        with suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(number)


@contextmanager
def lifecycle(connection: Any, domain: Any) -> Iterator[Waiter]:
    """Give a Waiter for the domain's lifecycle events; enter it before the change that is waited for."""
    waiter = Waiter()
    with hearing(connection, domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, waiter.wake):
        yield waiter
