# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CA has signed and revoked, and the steps that change it; nothing here touches a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..._errors import Conflict, NotFound, Refused
from ..._plan import Plan, Step
from .x509 import Certificate, RevocationList

CURRENT, NEXT, PREVIOUS = "ca", "next", "previous"  # names of files, and the order in which hosts get the certificates
Named = tuple[str, str]  # name of a host, fingerprint of a certificate


@dataclass(frozen=True)
class State:
    """The CAs that hosts trust with their revocation lists, and the certificates by host and fingerprint."""

    authorities: Mapping[str, Certificate]
    lists: Mapping[str, RevocationList | None] = field(default_factory=dict)
    issued: Mapping[Named, Certificate] = field(default_factory=dict)
    revoked: Mapping[Named, Certificate] = field(default_factory=dict)
    signed: frozenset[str] = frozenset()  # lists that a plan signs

    def names(self) -> list[str]:
        """Return the hosts that hold a certificate that is not revoked."""
        return sorted({name for name, _any in self.issued})

    def serials(self, role: str) -> frozenset[int]:
        """Return the serial numbers that a list has to have."""
        subject = self.authorities[role].subject
        return frozenset(one.serial for one in self.revoked.values() if one.issuer == subject)


@dataclass(frozen=True)
class Record:
    """Remember a certificate before its host gets it."""

    name: str
    certificate: Certificate

    @property
    def sentence(self) -> str:
        return f"Record the certificate {self.certificate.fingerprint} of {self.name}."

    def predict(self, state: State) -> State:
        key = (self.name, self.certificate.fingerprint)
        return replace(state, issued={**state.issued, key: self.certificate})


@dataclass(frozen=True)
class Revoke:
    """Take a certificate from those that are valid."""

    name: str
    certificate: Certificate

    @property
    def sentence(self) -> str:
        return f"Revoke the certificate {self.certificate.fingerprint} of {self.name}."

    def predict(self, state: State) -> State:
        key = (self.name, self.certificate.fingerprint)
        left = {one: about for one, about in state.issued.items() if one != key}
        return replace(state, issued=left, revoked={**state.revoked, key: self.certificate})


@dataclass(frozen=True)
class SignList:
    """Sign the revocation list of a CA."""

    role: str

    @property
    def sentence(self) -> str:
        return f"Sign the revocation list {self.role}.crl."

    def predict(self, state: State) -> State:
        return replace(state, signed=state.signed | {self.role})


@dataclass(frozen=True)
class Wanted:
    """What one call asks for. ``members`` is None if nobody says who is still there."""

    issued: Sequence[tuple[str, Certificate]] = ()
    revoked: Sequence[str] = ()
    members: Sequence[str] | None = None
    revoke_removed: bool = False
    days: int = 3650


def removed(state: State, members: Sequence[str] | None) -> list[str]:
    """Return the hosts that hold a valid certificate and are not among the members."""
    return [] if members is None else [name for name in state.names() if name not in members]


def plan(state: State, wanted: Wanted, now: datetime) -> Plan[State]:
    """Return the steps; raise NotFound for a name that the CA never signed, Refused for a key that was revoked."""
    _check_names(state, wanted)
    steps: list[Step[State]] = []
    for name, certificate in wanted.issued:
        _check_key(state, name, certificate)
        if (name, certificate.fingerprint) not in state.issued:
            steps.append(Record(name, certificate))
    recorded = Plan(state, tuple(steps)).after
    gone = {*wanted.revoked, *(removed(recorded, wanted.members) if wanted.revoke_removed else ())}
    steps += [Revoke(name, about) for (name, _any), about in sorted(recorded.issued.items()) if name in gone]
    after = Plan(state, tuple(steps)).after
    steps += [SignList(role) for role in state.authorities if _stale(after, role, now, wanted.days)]
    return Plan(state, tuple(steps))


def _check_names(state: State, wanted: Wanted) -> None:
    known = {name for name, _any in (*state.issued, *state.revoked)}
    unknown = sorted(set(wanted.revoked) - known)
    if unknown:
        raise NotFound(
            f"revoked: this CA has signed no certificate of {', '.join(unknown)}. It has signed certificates of "
            f"{', '.join(sorted(known)) or 'nobody'}.",
            unknown=unknown,
        )


def _check_key(state: State, name: str, certificate: Certificate) -> None:
    if certificate.issuer not in {one.subject for one in state.authorities.values()}:
        raise Conflict(f"issued: the certificate of {name} is of {certificate.issuer}, which is not this CA.")
    if any(certificate.key == one.key for one in state.revoked.values()):
        raise Refused(
            f"issued: the key in this certificate of {name} is that of a revoked one. Remove {name} from the inventory; or, if the "
            "host is trusted again, remove its host.key and host.crt, so that it gets a new key, and run again."
        )


def _stale(state: State, role: str, now: datetime, days: int) -> bool:
    """Tell whether a list is missing, has other serial numbers, or has passed half of its life."""
    found = state.lists.get(role)
    return found is None or found.serials != state.serials(role) or found.ends < now + timedelta(days=days / 2)


def view(state: State) -> dict[str, Any]:
    """Return the state as a module reports it, without what only machines read."""
    return {
        "trusted": [one.subject for one in state.authorities.values()],
        "issued": state.names(),
        "revoked": sorted({name for name, _any in state.revoked}),
        "rotating": len(state.authorities) > 1,
    }
