# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many examples property tests draw: the profile says it, and EDGE_EXAMPLES the profile (quick or all)."""

from __future__ import annotations

import os

from hypothesis import settings


def load_profile() -> None:
    """Load the profile; a busy machine is not a failure of ours, so that no example has a deadline."""
    settings.register_profile("quick", deadline=None, max_examples=25)
    settings.register_profile("all", deadline=None, max_examples=100)
    settings.load_profile(os.environ.get("EDGE_EXAMPLES", "quick"))


def times(weight: float) -> settings:
    """Return settings for a test that needs so many times the examples of the others."""
    return settings(max_examples=max(1, round(settings.default.max_examples * weight)))
