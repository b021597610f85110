# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user wrote to features of the CPU."""

from __future__ import annotations

import re

from ..model.request import CpuOptions
from ..model.spec import DomainSpec
from .values import match, unique

FEATURE = re.compile(r"-?[a-z0-9][a-z0-9_.-]{0,40}")
FEATURE_SAYS = "the name of a CPU feature such as vmx, with a dash before for one that the guest is not to have"


def cpu_features(asked: CpuOptions | None, before: DomainSpec | None) -> tuple[str, ...]:
    """Return them in alphabetical order; what is asked of the CPU is the whole of it."""
    if asked is None:
        return before.cpu_features if before else ()
    for place, name in enumerate(asked.features):
        match(FEATURE, name, f"cpu.features[{place}]", FEATURE_SAYS)
    unique((f"cpu.features[{place}]", name.removeprefix("-")) for place, name in enumerate(asked.features))
    return tuple(sorted(asked.features))
