# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a guest's console log and of its QEMU's, for error messages. The guest decides what is in the first one.

Only printable text comes out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..._sizes import KIB

LONGEST = 8 * KIB
LINES, WIDTH = 12, 160
QEMU_LOGS = Path("/var/log/libvirt/qemu")  # of the system's libvirtd
ESCAPES = re.compile(r"\x1b\[[0-9;?!]*[A-Za-z]|\x1b.")


def console_end(path: str) -> str:
    """Return the last lines of the log at ``path``, an empty text where it is empty or cannot be read."""
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST))
            text = file.read(LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""
    rows = ("".join(filter(str.isprintable, ESCAPES.sub("", row))).strip()[:WIDTH] for row in re.split(r"[\r\n]+", text))
    return "\n".join([row for row in rows if row][-LINES:])


def qemu_log_end(name: str) -> str:
    """Return the last lines that the QEMU of a domain wrote, an empty text where there are none."""
    return "\n".join(console_end(str(QEMU_LOGS / f"{name}.log")).splitlines()[-3:])
