# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of a host: ``link`` observes, ``boot`` says what configures links; the others plan and change, ``uplink`` on trial."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
