# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb of a Front-end that ends slots for images that hosts send."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .._errors import InvalidInput
from .._storage.importing.slots import Slots
from .._storage.names import absolute_path


def slots(_cluster: object, options: Mapping[str, Any]) -> dict[str, Any]:
    """End the slots whose time is over, and free the room of those for which nothing can arrive any more."""
    if not options.get("path"):
        raise InvalidInput("path: give the folder of the slots, such as /var/lib/edge/incoming/edge-slots.", option="path")
    there = Slots(absolute_path(options["path"]))
    with there.hold():
        done = there.tidy(time.time())
        return {"changed": bool(done), "actions": done, "slots": sorted(there.read())}
