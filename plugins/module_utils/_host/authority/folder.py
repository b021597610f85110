# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of the CA: ``ca.key``, ``ca.crt`` and ``ca.crl``, what is ``issued``, ``held`` and ``revoked``.

A certificate is revoked by one rename, and the list is made of the folder: an interrupted run is completed by the next one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..._errors import InvalidInput, NotFound
from ..._files import fsync, locked, write_atomically
from ..._plan import Plan, execute
from . import x509
from .state import CURRENT, HELD, ISSUED, NEXT, PREVIOUS, REVOKED, Deliver, Move, Named, Record, SignList, State

ROLES = (CURRENT, NEXT, PREVIOUS)
PARTS = ("key", "crl", "crt")  # the certificate last: it says that the others are there
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,253}")


class Folder:
    """The CA's folder; take ``hold`` round all that is read and written together."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs away; raise NotFound without a CA."""
        if not self.file(CURRENT, "crt").exists():
            raise NotFound(
                f"path: there is no CA in {self.path}: it has no ca.crt. Run the role edge.cloud.pki on the CA's host first."
            )
        with locked(self.path / "lock"):
            yield

    def file(self, role: str, part: str) -> Path:
        """Return a file of one of the CAs."""
        return self.path / f"{role}.{part}"

    def observe(self) -> State:
        """Return what is there."""
        x509.require()
        there = {role: self.file(role, "crt") for role in ROLES if self.file(role, "crt").exists()}
        authorities = {role: x509.certificate(path.read_bytes(), str(path)) for role, path in there.items()}
        lists = {role: self._list(role, one) for role, one in authorities.items()}
        ledger = {kind: self._certificates(kind) for kind in (ISSUED, HELD, REVOKED)}
        delivered = {path.name: path.read_text() for path in sorted(self.path.glob("delivered/*")) if path.is_file()}
        return State(authorities, lists, ledger, delivered)

    def _list(self, role: str, signer: x509.Certificate) -> x509.RevocationList | None:
        path = self.file(role, "crl")
        return x509.revocation_list(path.read_bytes(), signer) if path.exists() else None

    def _certificates(self, kind: str) -> dict[Named, x509.Certificate]:
        found = {}
        for path in sorted(self.path.glob(f"{kind}/*/*.crt")):
            found[path.parent.name, path.stem] = x509.certificate(path.read_bytes(), str(path))
        return found

    def apply(self, plan: Plan[State], now: datetime, days: int) -> None:
        """Do what a plan says."""

        def one(step: Record | Move | SignList | Deliver) -> None:
            if isinstance(step, Record):
                path = self._place(ISSUED, step)
                write_atomically(path, step.certificate.pem, path.with_suffix(".new"))
            elif isinstance(step, Move):
                self._move(step, now)
            elif isinstance(step, SignList):
                self._sign(step.role, now, days)
            else:
                self._deliver(step)

        execute(plan, one)

    def _place(self, kind: str, step: Record | Move) -> Path:
        folder = self._folder(kind, checked_name(step.name))
        return folder / f"{step.certificate.fingerprint}.crt"

    def _folder(self, *parts: str) -> Path:
        folder = self.path.joinpath(*parts)
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            fsync(folder.parent)
            fsync(self.path)
        return folder

    def _move(self, step: Move, now: datetime) -> None:
        source, target = self._place(step.source, step), self._place(step.target, step)
        if step.source == ISSUED:
            os.utime(source, (now.timestamp(), now.timestamp()))  # the list has it as the time of the revocation
        source.rename(target)
        fsync(target.parent)
        fsync(source.parent)

    def _deliver(self, step: Deliver) -> None:
        path = self._folder("delivered") / checked_name(step.name)
        write_atomically(path, step.digest.encode(), self.path / "delivered.new")

    def _sign(self, role: str, now: datetime, days: int) -> None:
        signer = x509.certificate(self.file(role, "crt").read_bytes(), role)
        present, refused = self._list(role, signer), {}
        for kind in (HELD, REVOKED):
            for (name, fingerprint), about in self._certificates(kind).items():
                if about.issuer == signer.subject:
                    seconds = (self.path / kind / name / f"{fingerprint}.crt").stat().st_mtime
                    refused[about.serial] = x509.Entry(datetime.fromtimestamp(int(seconds), UTC), kind == HELD)
        after = present.number if present else 0
        made = x509.sign_list(signer.pem, self.file(role, "key").read_bytes(), refused, now, days, after=after)
        write_atomically(self.file(role, "crl"), made, self.path / f"{role}.crl.new", 0o644)

    def joined(self, part: str) -> str:
        """Return the certificates (crt) or revocation lists (crl) of all CAs, as hosts get them."""
        return "".join(self.file(role, part).read_text() for role in ROLES if self.file(role, part).exists())

    def digest(self) -> str:
        """Return one digest of all that hosts get."""
        return hashlib.sha256((self.joined("crt") + self.joined("crl")).encode()).hexdigest()


def checked_name(name: str) -> str:
    """Return the name of a host that can be the name of a folder; raise InvalidInput."""
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not the name of a host: use letters, digits, dots, colons, hyphens and underscores.")
    return name
