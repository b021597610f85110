# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every task of a module waits for: no client of the web is loaded by one that rarely needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("http.client", "ssl", "urllib.request")


@pytest.mark.parametrize("module", ["domain", "domains", "domain_info", "domain_disk", "domain_snapshot", "bridge", "nat_network"])
def test_a_module_starts_without_the_web(module: str) -> None:
    place = f"ansible_collections.edge.cloud.plugins.modules.{module}"
    program = f"import sys, {place}; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
