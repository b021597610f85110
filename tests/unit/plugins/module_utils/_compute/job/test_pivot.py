# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest is paused for a switch to another file, whatever becomes of that: it goes on, and nothing of it is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.pivot import NOTE, switch
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt

RUNNING, PAUSED = 1, 3
XML = "<domain><devices><disk type='file'><source file='/a'/><target dev='vda'/></disk></devices></domain>"


@dataclass
class Domain:
    """A domain of libvirt whose calls fail where they are said to, after they were done."""

    fails: str
    now: int = RUNNING
    calls: list[str] = field(default_factory=list)

    def name(self) -> str:
        return "no-such-domain-here"

    def state(self) -> list[int]:
        return [self.now, 1]

    def isActive(self) -> bool:
        return True

    def XMLDesc(self) -> str:
        return XML

    def suspend(self) -> None:
        self._do("suspend", PAUSED)

    def resume(self) -> None:
        self._do("resume", RUNNING)

    def blockJobAbort(self, _target: str, _flags: int) -> None:
        self._do("pivot", self.now)

    def _do(self, what: str, state: int) -> None:
        self.now = state
        self.calls.append(what)
        if what == self.fails:
            raise libvirt.libvirtError("it took too long")


@pytest.mark.parametrize(
    ("fails", "calls"),
    [
        ("", ["suspend", "pivot", "resume"]),
        ("suspend", ["suspend", "resume"]),
        ("pivot", ["suspend", "pivot", "resume"]),
    ],
)
def test_a_guest_goes_on_whatever_fails(fails: str, calls: list[str], tmp_path: Path) -> None:
    domain, note = Domain(fails), tmp_path / NOTE
    if fails:
        with pytest.raises(EdgeError, match="Could not"):
            switch(None, domain, "vda", "/b", note)
    else:
        switch(None, domain, "vda", "/b", note)
    assert domain.calls == calls
    assert domain.now == RUNNING
    assert not note.exists()


def test_a_guest_that_others_paused_stays_paused(tmp_path: Path) -> None:
    domain = Domain("", now=PAUSED)
    switch(None, domain, "vda", "/b", tmp_path / NOTE)
    assert domain.calls == ["pivot"] and domain.now == PAUSED


def test_what_cannot_be_resumed_is_left_to_the_next_run(tmp_path: Path) -> None:
    domain, note = Domain("resume"), tmp_path / NOTE
    with pytest.raises(EdgeError, match="resume domain"):
        switch(None, domain, "vda", "/b", note)
    assert note.exists()
