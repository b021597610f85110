# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that change public addresses of a host, as data. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..link.iproute import batch_text
from .definition import Definition
from .entries import Entry, added, removed
from .state import State

CALLED = {"neighbour": "neighbour", "route": "route", "proxy": "answer", "gateway": "gateway"}


@dataclass(frozen=True)
class Change:
    """A change of entries: what goes and what comes."""

    gone: frozenset[Entry] = frozenset()
    come: frozenset[Entry] = frozenset()

    def predict(self, state: State) -> State:
        """See Step."""
        there = state.there - {one.key for one in self.gone} | {one.key for one in self.come}
        return replace(state, there=frozenset(there))


@dataclass(frozen=True)
class SetFilter(Change):
    """One transaction of nft(8)."""

    text: str = ""

    @property
    def sentence(self) -> str:
        """See Step."""
        names = sorted({one.of for one in (*self.gone, *self.come) if one.of})
        return f"Change the filter of {', '.join(names)}" if names else "Take what is not needed out of the filter"


@dataclass(frozen=True)
class SetRoutes(Change):
    """One batch of ip(8)."""

    @property
    def sentence(self) -> str:
        """See Step."""
        parts = [f"{verb} {_shown(some)}" for verb, some in (("remove", self.gone), ("add", self.come)) if some]
        return "; ".join(parts).capitalize()

    @property
    def batch(self) -> str:
        """The lines of ``ip -batch``: what goes first, except what is replaced by what comes."""
        replaced = {(one.kind, one.words[:2]) for one in self.come if one.kind == "neighbour"}
        goes = (removed(one) for one in sorted(self.gone) if (one.kind, one.words[:2]) not in replaced)
        comes = (added(one) for one in sorted(self.come, key=_order))
        return batch_text(words for some in (*goes, *comes) for words in some)


@dataclass(frozen=True)
class SetSettings(Change):
    """Settings of the kernel that are switched on for us, now and at each boot, or off again; ``on`` are all that are on then."""

    on: frozenset[str] = frozenset()

    @property
    def sentence(self) -> str:
        """See Step."""
        said = [f"{one.words[0]} {word}" for some, word in ((self.gone, "off"), (self.come, "on")) for one in sorted(some)]
        return f"Switch {', '.join(said)}"


@dataclass(frozen=True)
class Forget:
    """The address is no longer made at boot."""

    address: str

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"No longer have {self.address} at boot"

    def predict(self, state: State) -> State:
        """See Step."""
        return replace(state, definition=None, needs=frozenset())


@dataclass(frozen=True)
class Remember:
    """The address is made at boot."""

    definition: Definition
    uplink: str | None
    needs: frozenset[Entry]

    @property
    def sentence(self) -> str:
        """See Step."""
        return f"Have {self.definition.address} at boot"

    def predict(self, state: State) -> State:
        """See Step."""
        return replace(state, definition=self.definition, uplink=self.uplink, needs=frozenset(one.key for one in self.needs))


@dataclass(frozen=True)
class Announce:
    """Tell the neighbours on the uplink that the address is here, and the guest that its gateway is."""

    definition: Definition
    uplink: str | None

    @property
    def sentence(self) -> str:
        """See Step."""
        on = f" on {self.uplink}" if self.uplink else ""
        return f"Announce {self.definition.address}{on} and its gateway on {self.definition.tap}"

    def predict(self, state: State) -> State:
        """See Step."""
        return state


def _order(entry: Entry) -> tuple[int, Entry]:
    # The kernel answers for an address only once it has a route for it.
    return ("route", "neighbour", "gateway", "proxy").index(entry.kind), entry


def _shown(entries: Iterable[Entry]) -> str:
    found = sorted(entries)
    return ", ".join(f"the {CALLED[one.kind]} {one.words[0]} on {one.words[1]}" for one in found)
