# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of all unit tests."""

from hypothesis import settings

# A busy machine is no failure of ours; pytest-timeout ends what hangs.
settings.register_profile("edge", deadline=None)
settings.load_profile("edge")
