# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of the CA: ``ca.key``, ``ca.crt`` and ``ca.crl``, and by host what it has ``issued`` and ``revoked``.

A certificate is revoked by one rename, and the list is made of the folder: an interrupted run is completed by the next one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ..._errors import InvalidInput, NotFound
from ..._files import fsync, locked, write_atomically
from ..._plan import Plan, execute
from . import x509
from .state import CURRENT, NEXT, PREVIOUS, Named, Record, Revoke, SignList, State

ROLES = (CURRENT, NEXT, PREVIOUS)
PARTS = ("key", "crl", "crt")  # the certificate last: it says that the others are there
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,253}")


class Folder:
    """The CA's folder; take ``hold`` round all that is read and written together."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs away; raise NotFound where there is no CA."""
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
        return State(authorities, {role: self._list(role, one) for role, one in authorities.items()},
                     self._certificates("issued"), self._certificates("revoked"))  # fmt: skip

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

        def one(step: Record | Revoke | SignList) -> None:
            if isinstance(step, Record):
                path = self._place("issued", step)
                write_atomically(path, step.certificate.pem, path.with_suffix(".new"))
            elif isinstance(step, Revoke):
                self._revoke(step, now)
            else:
                self._sign(step.role, now, days)

        execute(plan, one)

    def _place(self, kind: str, step: Record | Revoke) -> Path:
        folder = self.path / kind / checked_name(step.name)
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            fsync(folder.parent)
            fsync(self.path)
        return folder / f"{step.certificate.fingerprint}.crt"

    def _revoke(self, step: Revoke, now: datetime) -> None:
        source, target = self._place("issued", step), self._place("revoked", step)
        os.utime(source, (now.timestamp(), now.timestamp()))  # the list has it as the time of the revocation
        source.rename(target)
        fsync(target.parent)
        fsync(source.parent)

    def _sign(self, role: str, now: datetime, days: int) -> None:
        subject = x509.certificate(self.file(role, "crt").read_bytes(), role).subject
        revoked = {}
        for (name, fingerprint), about in self._certificates("revoked").items():
            if about.issuer == subject:
                seconds = (self.path / "revoked" / name / f"{fingerprint}.crt").stat().st_mtime
                revoked[about.serial] = datetime.fromtimestamp(int(seconds), x509.UTC)
        made = x509.sign_list(self.file(role, "crt").read_bytes(), self.file(role, "key").read_bytes(), revoked, now, days)
        write_atomically(self.file(role, "crl"), made, self.path / f"{role}.crl.new", 0o644)

    def joined(self, part: str) -> str:
        """Return the certificates (crt) or revocation lists (crl) of all CAs, as hosts get them."""
        return "".join(self.file(role, part).read_text() for role in ROLES if self.file(role, part).exists())


def checked_name(name: str) -> str:
    """Return the name of a host that can be the name of a folder; raise InvalidInput."""
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a host: use letters, digits, dots, colons, hyphens and underscores.")
    return name
