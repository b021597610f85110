# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop, Waiter, lifecycle
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection

LONG = 120.0


@pytest.fixture
def running() -> Iterator[tuple[Any, Any]]:
    """A running domain of libvirt's test driver, with events."""
    with EventLoop(), connection("test:///default") as opened:
        domain = opened.lookupByName("test")
        if not domain.isActive():
            domain.create()
        yield opened, domain


def test_an_event_ends_the_wait_long_before_the_next_look(running: tuple[Any, Any]) -> None:
    opened, domain = running
    with lifecycle(opened, domain) as waiter:
        stopper = threading.Timer(0.2, domain.destroy)
        stopper.start()
        assert waiter.until(lambda: not domain.isActive(), 2 * LONG, LONG, lambda: pytest.fail("it was not the event"))
        stopper.join()


def test_no_event_is_heard_after_the_end(running: tuple[Any, Any]) -> None:
    opened, domain = running
    with lifecycle(opened, domain):
        pass
    with pytest.raises(libvirt.libvirtError):
        opened.domainEventDeregisterAny(0)


def test_the_loop_starts_again_after_it_ended() -> None:
    for _any in range(2):
        with EventLoop(), connection("test:///default") as opened, lifecycle(opened, opened.lookupByName("test")) as waiter:
            assert waiter.until(lambda: True, 0, 0)


def test_a_wait_ends_when_its_time_is_up() -> None:
    begun = time.monotonic()
    assert Waiter().until(lambda: False, 0.35, LONG) is False
    assert time.monotonic() - begun >= 0.35


def test_a_wait_asks_again_meanwhile() -> None:
    asked: list[None] = []
    assert Waiter().until(lambda: len(asked) == 3, LONG, 0.05, lambda: asked.append(None))


def test_what_happened_before_the_wait_is_seen() -> None:
    waiter = Waiter()
    waiter.wake("event")
    answers = iter([False, True])
    assert waiter.until(lambda: next(answers), LONG, LONG)
