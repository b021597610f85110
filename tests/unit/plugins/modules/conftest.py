# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several modules have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libvirt
import pytest


@pytest.fixture
def driver() -> Iterator[Any]:
    """Have libvirt's test driver, which keeps its domains while a connection is open, with no domain but its own at the end."""
    connection = libvirt.open("test:///default")
    yield connection
    for found in connection.listAllDomains():
        if found.name() != "test":
            if found.isActive():
                found.destroy()
            found.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
    connection.close()
