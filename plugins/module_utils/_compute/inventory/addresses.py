# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of all guests of a hypervisor: an agent that does not answer costs only its own guest something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from ..host.addresses import first_addresses
from ..host.agent import AGENT_SECONDS
from ..model.spec import Nic

AT_A_TIME = 4  # libvirtd takes five requests of a client at a time, and each waits in one of its own twenty workers
SHORTLY = 1  # second


@dataclass(frozen=True)
class Guest:
    """A running domain of libvirt, and its interfaces."""

    handle: Any
    nics: Sequence[Nic]


def addresses_of_all(guests: Sequence[Guest], found: Callable[[int, list[dict[str, Any]]], None]) -> None:
    """Tell ``found`` the addresses of each guest by its place, as soon as they are known.

    Each agent has one second; one that is silent is asked again, longer, when all others have been asked. Until it answers the
    addresses are those of leases or ARP.
    """
    silent = _asked(guests, range(len(guests)), SHORTLY, found)
    _asked(guests, sorted(silent), AGENT_SECONDS, found)


def _asked(
    guests: Sequence[Guest], places: Iterable[int], seconds: int, found: Callable[[int, list[dict[str, Any]]], None]
) -> list[int]:
    """Ask some guests, a few at a time, and return those whose agent was silent."""
    left: SimpleQueue[int] = SimpleQueue()
    for place in places:
        left.put(place)
    silent: list[int] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            while True:
                place = left.get_nowait()
                answer = first_addresses(guests[place].handle, guests[place].nics, seconds)
                found(place, answer.addresses)
                if answer.silent:
                    silent.append(place)
        except Empty:
            return
        except Exception as error:  # noqa: BLE001 - the caller raises it
            errors.append(error)

    threads = [Thread(target=work, daemon=True) for _any in range(min(AT_A_TIME, left.qsize()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return silent
