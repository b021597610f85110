# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore drills: a recovery point runs as a VM that reaches nothing, until its guest gives a sign. It may import restore."""
