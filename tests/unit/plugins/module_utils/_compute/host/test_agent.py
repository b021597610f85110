# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit for the guest agent is ours only while we ask it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host import agent

STATE = "<domstatus><agentTimeout>{}</agentTimeout><domain type='kvm'><metadata><agentTimeout>1</agentTimeout></metadata></domain>"


class Domain:
    """A domain of libvirt that keeps the limit as libvirt does: in its state on its host."""

    def __init__(self, state: Path | None, uri: str = "qemu:///system") -> None:
        self.state, self.uri, self.limits = state, uri, list[int]()

    def connect(self) -> Domain:
        return self

    def getURI(self) -> str:
        return self.uri

    def name(self) -> str:
        return "web"

    def agentSetResponseTimeout(self, seconds: int, _flags: int) -> None:
        self.limits.append(seconds)
        if self.state:
            self.state.write_text(STATE.format(seconds))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(agent, "STATUS", tmp_path)
    return tmp_path / "web.xml"


@pytest.mark.parametrize(("found", "within"), [(-2, 5), (60, 5), (6, 5), (5, 5), (3, 3), (0, 0), (-1, -1)])
def test_the_limit_of_others_is_left_as_found(state: Path, found: int, within: int) -> None:
    """-1 is libvirt's own 5 seconds, 0 does not wait at all."""
    state.write_text(STATE.format(found))
    domain = Domain(state)
    with agent.limited_agent(domain):
        assert state.read_text() == STATE.format(within)
    assert state.read_text() == STATE.format(found)
    assert domain.limits == ([] if within == found else [5, found])


def test_an_error_within_leaves_it_too(state: Path) -> None:
    state.write_text(STATE.format(60))
    with pytest.raises(RuntimeError), agent.limited_agent(Domain(state)):
        raise RuntimeError
    assert state.read_text() == STATE.format(60)


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu+ssh://hv2.example/system"])
def test_where_it_cannot_be_read_the_default_comes_back(state: Path, uri: str) -> None:
    if "ssh" in uri:
        state.write_text(STATE.format(60))  # of another domain with that name, on this host
    domain = Domain(None, uri)
    with agent.limited_agent(domain):
        assert domain.limits == [5]
    assert domain.limits == [5, -2]
