# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket

from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.read import read_hypervisors
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.side_by_side import AT_A_TIME
from support.waiting import LIMIT


def test_hypervisors_are_read_in_the_order_asked_however_many() -> None:
    uris = ["test:///default", "test:///no/such/file.xml"] * AT_A_TIME
    found = read_hypervisors(uris, LIMIT)
    assert [one.uri for one in found] == uris
    assert {(one.error is None, [domain["name"] for domain in one.domains] == ["test"]) for one in found[::2]} == {(True, True)}
    assert {(one.error is None, one.domains) for one in found[1::2]} == {(False, ())}


def test_one_that_never_answers_does_not_hold_up_the_others() -> None:
    """A listener that accepts and says nothing: libvirt itself would wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"test+tcp://127.0.0.1:{listener.getsockname()[1]}/default"
        for seconds in (0.5, 5, 50):  # a busy machine may need longer for the one that answers
            found = read_hypervisors([silent, "test:///default"], seconds)
            assert found[0].error is not None and found[0].error.code == "timed_out" and found[0].name == "127.0.0.1"
            if found[1].error is None:
                break
        assert found[1].error is None
