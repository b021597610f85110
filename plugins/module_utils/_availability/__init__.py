# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership of hosts in a cluster of Corosync and Pacemaker. Imports the spine and the library's files only."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
