# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restored CA takes from revocation lists of hosts: what was refused after its backup, and not what was admitted again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..._errors import Corrupt, Refused
from ..._files import write_atomically
from ..._json import load_object
from ..._shown import counted
from . import x509
from .backup import Files, pack
from .state import HELD, ISSUED, REVOKED, Move, State

MARK = "restored"  # a file of the folder that no backup has
LARGEST_MARK = 64 * 1024
OLD = "Make a newer backup from the CA if there is one."


@dataclass(frozen=True)
class Mark:
    """Of which backup a CA was restored, and which lists of hosts count for it: by fingerprint of the CA, those with a greater
    number than ``known``, which the backup or an earlier run had, and a smaller one than ``before``: later ones are its own.
    """

    backup: str
    known: Mapping[str, int]
    before: float = math.inf

    @classmethod
    def first(cls, files: Files, state: State) -> Mark:
        """Return that of a backup of which nothing was restored yet."""
        lists = {role: state.lists.get(role) for role in state.authorities}
        known = {state.authorities[role].fingerprint: one.number if one else -1 for role, one in lists.items()}
        return cls(_digest(files), known)

    def after(self, read: Mapping[str, int], now: datetime) -> Mark:
        """Return it for a later run, when the lists with these numbers have been read."""
        return Mark(self.backup, {**self.known, **read}, min(self.before, int(now.timestamp())))

    def write(self, folder: Path) -> None:
        """Keep it in the folder of the CA."""
        text = json.dumps({"backup": self.backup, "known": dict(self.known), "before": self.before})
        write_atomically(folder / MARK, text.encode(), folder / f"{MARK}.new", 0o600)


def mark_of(folder: Path, files: Files) -> Mark | None:
    """Return the mark of a CA that was restored of this backup, or None: it was not, or of another one."""
    path = folder / MARK
    if path.is_symlink() or not path.is_file():
        return None
    try:
        read = load_object(path.read_bytes(), str(path), LARGEST_MARK)
        mark = Mark(str(read["backup"]), {str(one): int(number) for one, number in read["known"].items()}, int(read["before"]))
    except (Corrupt, KeyError, TypeError, ValueError, AttributeError):
        return None
    return mark if mark.backup == _digest(files) else None


def _digest(files: Files) -> str:
    return hashlib.sha256(pack(files)).hexdigest()


def newest_lists(state: State, lists: Sequence[str], mark: Mark) -> dict[str, x509.RevocationList]:
    """Return the newest list of each CA by its role: it has all that its CA refused when it was signed, and nothing else.

    An older one, of a host that was away, may refuse what was admitted again since.
    """
    found = {}
    texts = x509.split_lists(lists)
    for role, signer in state.authorities.items():
        known = mark.known.get(signer.fingerprint, mark.before)  # of a CA that was made after the restoration, none counts
        read = [x509.revocation_list(text.encode(), signer) for text in texts]
        later = [one for one in read if one and known < one.number < mark.before]
        if later:
            found[role] = max(later, key=lambda one: one.number)
    return found


def numbers(newest: Mapping[str, x509.RevocationList], state: State) -> dict[str, int]:
    """Return the numbers of lists by the fingerprints of their CAs."""
    return {state.authorities[role].fingerprint: one.number for role, one in newest.items()}


def refused_by_hosts(state: State, newest: Mapping[str, x509.RevocationList], unknown: bool) -> list[Move]:
    """Return what the lists refuse and the backup does not: it is refused as they have it, so that no host is let in again.

    Raise Refused for certificates that were signed and refused after the backup, unless they are let in again with ``unknown``.
    """
    moves: list[Move] = []
    strange: set[int] = set()
    for role, read in newest.items():
        subject = state.authorities[role].subject
        of = {kind: {one.serial: (name, one) for (name, _any), one in state.of(kind).items() if one.issuer == subject}
              for kind in (ISSUED, HELD, REVOKED)}  # fmt: skip
        for serial in sorted(read.serials & of[ISSUED].keys()):
            moves.append(Move(*of[ISSUED][serial], ISSUED, HELD if serial in read.held else REVOKED))
        moves += [Move(*of[HELD][serial], HELD, REVOKED) for serial in sorted((read.serials - read.held) & of[HELD].keys())]
        strange |= read.serials - {serial for found in of.values() for serial in found}
    if strange and not unknown:
        raise Refused(
            f"restore: hosts refuse {counted(len(strange), 'certificate')} that this backup does not know, signed and refused "
            f"after it was made: serial {', '.join(f'{one:x}' for one in sorted(strange))}. The restore would let their keys in "
            f"again. {OLD} If there is none, set allow_forgotten to true, and have no host with one of their keys in your network.",
        )
    return moves
