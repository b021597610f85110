# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ElementTree's table of namespace prefixes, which all threads share although it is not made for that."""

from __future__ import annotations

import re
import threading
from xml.etree import ElementTree as ET

_lock = threading.Lock()
RESERVED = re.compile(r"ns\d+")  # ElementTree's own, which it gives to what has no prefix
_known: dict[str, str] = {}


def remember(prefix: str, uri: str) -> None:
    """Write ``uri`` with ``prefix`` from now on; the table is not touched if it has that already.

    A prefix like ns0 is not remembered; ElementTree gives its own to such a namespace.
    """
    with _lock:
        if not RESERVED.fullmatch(prefix) and _known.get(prefix) != uri:
            ET.register_namespace(prefix, uri)
            _known[prefix] = uri
