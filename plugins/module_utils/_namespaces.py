# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ElementTree's table of namespace prefixes, which all threads share and which is not made for that."""

from __future__ import annotations

import re
import threading
from xml.etree import ElementTree as ET

_lock = threading.Lock()
RESERVED = re.compile(r"ns\d+")  # ElementTree's own, which it gives to what has no prefix
_known: dict[str, str] = {}


def remember(prefix: str, uri: str) -> None:
    """Have ``uri`` written with ``prefix`` from now on; the table is not touched where it says so already.

    A prefix like ns0 is not remembered; what had it gets one of that kind again.
    """
    with _lock:
        if not RESERVED.fullmatch(prefix) and _known.get(prefix) != uri:
            ET.register_namespace(prefix, uri)
            _known[prefix] = uri
