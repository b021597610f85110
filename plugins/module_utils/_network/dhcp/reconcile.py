# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the service of a network on this host to what was asked: observe, plan, apply. Modules and ``edge-host`` call this."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..._errors import EdgeError, from_os_error
from ..._files import locked
from ..._json import load_object
from ..._plan import Plan, execute
from ..link.addressing import network_name
from ..link.iproute import IpRoute
from ..link.model import Host
from .definition import Definition
from .host import Services
from .places import DEFINITION, LIMIT
from .plan import Facts, plan
from .state import State
from .steps import Change

LOCK_SECONDS = 120.0


def reconcile(services: Services, name: str, wanted: Definition | None, *, check: bool) -> tuple[Plan[State], State]:
    """Return the plan and the state after it, in check mode as predicted; None for ``wanted`` removes all of the service."""
    network_name(name)
    if check:
        made = _plan(services, name, wanted)
        return made, made.after
    with _alone(services):
        return _carry_out(services, name, wanted)


def make_recorded(services: Services) -> dict[str, EdgeError | None]:
    """Make the services whose definitions this host has, as at boot; one that cannot be made does not stop the others."""
    found: dict[str, EdgeError | None] = {}
    with _alone(services):
        for name in services.names():
            path = services.places.files / name / DEFINITION
            try:
                definition = Definition.checked({**load_object(path.read_bytes(), str(path), LIMIT), "name": name})
                _carry_out(services, name, definition)
                found[name] = None
            except FileNotFoundError:
                continue  # it was removed, or never made whole
            except EdgeError as error:
                found[name] = error
            except OSError as error:  # such as a full disk
                found[name] = from_os_error(error)
    return found


def listing(services: Services, name: str | None = None) -> list[dict[str, Any]]:
    """Return the services of this host, or only that of ``name``, as JSON."""
    names = sorted({*services.names(), *services.spaces()}) if name is None else [network_name(name)]
    found = (services.observe(one) for one in names)
    return [state.view() for state in found if not state.absent]


def _plan(services: Services, name: str, wanted: Definition | None) -> Plan[State]:
    host = Host(IpRoute(services.runner).links()) if wanted else Host()
    return plan(services.observe(name), Facts(host, str(services.places.run)), wanted)


def _carry_out(services: Services, name: str, wanted: Definition | None) -> tuple[Plan[State], State]:
    made = _plan(services, name, wanted)
    if not made.changed:
        return made, made.before

    def apply(step: Change) -> None:
        services.write(name, step)
        services.apply(step)

    execute(made, apply)
    left = _plan(services, name, wanted)
    if left.changed:
        raise EdgeError(
            f"The service of {name} is not as asked; what it lacks: {'; '.join(left.actions)}. Look at its journal.",
            done=made.actions,
            left=left.actions,
        )
    return made, left.before


def _alone(services: Services) -> AbstractContextManager[None]:
    """Hold the lock of who changes services on this host; the table of nftables is common to all."""
    return locked(services.places.lock, wait=LOCK_SECONDS, make_folder=True)
