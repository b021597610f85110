# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of a host: ``link`` observes, ``bridge``, ``nat``, ``virtual`` plan and change, ``boot`` says what configures links."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
