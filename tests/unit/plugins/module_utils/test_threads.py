# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work beside other work: it goes on until the block ends, however that ends."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._threads import meanwhile


def test_work_goes_on_until_the_block_fails_and_has_ended_then() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(done: threading.Event) -> None:
        begun.set()
        done.wait(600)
        ended.set()

    with pytest.raises(KeyError), meanwhile(work, 600):
        assert begun.wait(600)
        assert not ended.is_set()
        raise KeyError
    assert ended.is_set()
