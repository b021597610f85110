# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of ``edge-host``, which hosts run by themselves. Composes the rooms; nothing imports it except programs."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
