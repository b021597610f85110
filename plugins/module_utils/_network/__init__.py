# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges and NAT networks: observed by iproute2 and libvirt, planned as plain data, changed in steps. Imports only the spine."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
