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
ISSUED, HELD, REVOKED = "issued", "held", "revoked"  # names of folders; a certificate is in one of them
Named = tuple[str, str]  # name of a host, fingerprint of a certificate
SENTENCES = {
    ISSUED: "Admit the certificate {0} of {1} again: it is back in the inventory.",
    HELD: "Refuse the certificate {0} of {1} while it is not in the inventory.",
    REVOKED: "Revoke the certificate {0} of {1}.",
}


@dataclass(frozen=True)
class State:
    """The CAs that hosts trust with their revocation lists, the certificates by host and fingerprint, and what hosts have got."""

    authorities: Mapping[str, Certificate]
    lists: Mapping[str, RevocationList | None] = field(default_factory=dict)
    ledger: Mapping[str, Mapping[Named, Certificate]] = field(default_factory=dict)
    delivered: Mapping[str, str] = field(default_factory=dict)  # host to the digest of what it has
    signed: frozenset[str] = frozenset()  # lists that a plan signs

    def of(self, kind: str) -> Mapping[Named, Certificate]:
        """Return the certificates that are issued, held or revoked."""
        return self.ledger.get(kind, {})

    def names(self, kind: str) -> list[str]:
        """Return the hosts of these certificates."""
        return sorted({name for name, _any in self.of(kind)})

    def refused(self) -> list[Certificate]:
        """Return what the revocation lists have: what is revoked, and what is held."""
        return [*self.of(REVOKED).values(), *self.of(HELD).values()]

    def serials(self, role: str) -> frozenset[int]:
        """Return the serial numbers that a list has to have."""
        subject = self.authorities[role].subject
        return frozenset(one.serial for one in self.refused() if one.issuer == subject)

    def held(self, role: str) -> frozenset[int]:
        """Return which of them are refused for a time only."""
        subject = self.authorities[role].subject
        return frozenset(one.serial for one in self.of(HELD).values() if one.issuer == subject)

    def moved(self, key: Named, certificate: Certificate, target: str) -> State:
        """Return the state with a certificate in one folder and in no other."""
        left = {kind: {one: about for one, about in found.items() if one != key} for kind, found in self.ledger.items()}
        return replace(self, ledger={**left, target: {**left.get(target, {}), key: certificate}})


@dataclass(frozen=True)
class Record:
    """Remember a certificate before its host gets it."""

    name: str
    certificate: Certificate

    @property
    def sentence(self) -> str:
        return f"Record the certificate {self.certificate.fingerprint} of {self.name}."

    def predict(self, state: State) -> State:
        return state.moved((self.name, self.certificate.fingerprint), self.certificate, ISSUED)


@dataclass(frozen=True)
class Move:
    """Revoke a certificate, refuse it for a time, or admit it again."""

    name: str
    certificate: Certificate
    source: str
    target: str

    @property
    def sentence(self) -> str:
        return SENTENCES[self.target].format(self.certificate.fingerprint, self.name)

    def predict(self, state: State) -> State:
        return state.moved((self.name, self.certificate.fingerprint), self.certificate, self.target)


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
class Deliver:
    """Note that a host has the certificates of the CAs and their lists."""

    name: str
    digest: str

    @property
    def sentence(self) -> str:
        return f"Note that {self.name} has the revocation lists."

    def predict(self, state: State) -> State:
        return replace(state, delivered={**state.delivered, self.name: self.digest})


@dataclass(frozen=True)
class Wanted:
    """What one call asks for. ``members`` is None if it is not known which hosts are still there."""

    issued: Sequence[tuple[str, Certificate]] = ()
    revoked: Sequence[str] = ()
    members: Sequence[str] | None = None
    hold_removed: bool = False
    delivered: Sequence[str] = ()
    digest: str = ""
    days: int = 3650


def removed(state: State, members: Sequence[str] | None, now: datetime) -> list[str]:
    """Return the hosts that hold a valid certificate and are not among the members."""
    valid = {name for (name, _any), about in state.of(ISSUED).items() if about.ends > now}
    return [] if members is None else sorted(valid.difference(members))


def behind(state: State, members: Sequence[str] | None, digest: str) -> list[str]:
    """Return the hosts, of the members, that may have other lists or CAs than these."""
    known = state.names(ISSUED) if members is None else [name for name in state.names(ISSUED) if name in members]
    return [name for name in known if state.delivered.get(name) != digest]


def plan(state: State, wanted: Wanted, now: datetime) -> Plan[State]:
    """Return the steps; raise NotFound for a name that the CA never signed, Refused for a revoked key or half of the hosts gone."""
    _check_names(state, wanted)
    steps: list[Step[State]] = _moves(state, HELD, ISSUED, [one for one in state.names(HELD) if one in (wanted.members or ())])
    present = Plan(state, tuple(steps)).after
    for name, certificate in wanted.issued:
        _check_key(state, name, certificate)
        if (name, certificate.fingerprint) not in present.of(ISSUED):
            steps.append(Record(name, certificate))
    recorded = Plan(state, tuple(steps)).after
    steps += [*_moves(recorded, ISSUED, REVOKED, wanted.revoked), *_moves(recorded, HELD, REVOKED, wanted.revoked)]
    left = Plan(state, tuple(steps)).after
    if wanted.hold_removed:
        steps += _moves(left, ISSUED, HELD, _few(removed(left, wanted.members, now), left))
    after = Plan(state, tuple(steps)).after
    steps += [SignList(role) for role in state.authorities if _stale(after, role, now, wanted.days)]
    steps += [Deliver(name, wanted.digest) for name in wanted.delivered if state.delivered.get(name) != wanted.digest]
    return Plan(state, tuple(steps))


def _moves(state: State, source: str, target: str, names: Sequence[str]) -> list[Step[State]]:
    return [Move(name, about, source, target) for (name, _any), about in sorted(state.of(source).items()) if name in names]


def _few(gone: Sequence[str], state: State) -> Sequence[str]:
    """Return the hosts that are gone; raise Refused for half of all or more, as a run with a part of the inventory has."""
    known = state.names(ISSUED)
    if len(gone) > 1 and 2 * len(gone) >= len(known):
        raise Refused(
            f"members: {len(gone)} of the {len(known)} hosts with certificates are not in this inventory, and would be refused "
            f"by the others: {', '.join(gone)}. Nothing was changed. Run with the whole inventory. Where several inventories share "
            "this CA, set pki_refuse_removed to false; hosts that will not come back are revoked by the playbook revoke_host.",
            gone=list(gone),
        )
    return gone


def _check_names(state: State, wanted: Wanted) -> None:
    known = {name for kind in (ISSUED, HELD, REVOKED) for name in state.names(kind)}
    unknown = sorted(set(wanted.revoked) - known)
    if unknown:
        raise NotFound(
            f"revoked: this CA has signed no certificate of {', '.join(unknown)}. It has signed certificates of "
            f"{', '.join(sorted(known)) or 'no host'}.",
            unknown=unknown,
        )


def _check_key(state: State, name: str, certificate: Certificate) -> None:
    if certificate.issuer not in {one.subject for one in state.authorities.values()}:
        raise Conflict(f"issued: the certificate of {name} is of {certificate.issuer}, which is not this CA.")
    if any(certificate.key == one.key for one in state.of(REVOKED).values()):
        raise Refused(
            f"issued: the key in this certificate of {name} is that of a revoked one. Remove {name} from the inventory; or, if the "
            "host is trusted again, remove the .key and .crt files of its /etc/edge/pki, so that it gets new keys, and run again."
        )


def _stale(state: State, role: str, now: datetime, days: int) -> bool:
    """Tell whether a list is missing, has other serial numbers or others for a time only, or has passed half of its life."""
    found = state.lists.get(role)
    if found is None or found.ends < now + timedelta(days=days / 2):
        return True
    return (found.serials, found.held) != (state.serials(role), state.held(role))


def view(state: State) -> dict[str, Any]:
    """Return the state as a module reports it, without what only machines read."""
    return {
        "trusted": [one.subject for one in state.authorities.values()],
        **{kind: state.names(kind) for kind in (ISSUED, HELD, REVOKED)},
        "rotating": len(state.authorities) > 1,
    }
