# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy
from support.waiting import LIMIT


def test_one_at_a_time_and_the_next_one_after_it(tmp_path: Path) -> None:
    path, inside, leave = str(tmp_path / "locks/domain-web"), threading.Event(), threading.Event()

    def first() -> None:
        with vm_lock(path, "web", 0):
            inside.set()
            leave.wait(LIMIT)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(LIMIT)
    with pytest.raises(Busy, match=r"^name: another task works on domain web"), vm_lock(path, "web", 0):
        pass
    with vm_lock(path + "-other", "other", 0):
        leave.set()
    with vm_lock(path, "web", LIMIT):
        thread.join(LIMIT)
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "domain-web").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), vm_lock(str(tmp_path / "domain-web"), "web", 0):
        pass
    assert not os.path.lexists(tmp_path / "elsewhere")
