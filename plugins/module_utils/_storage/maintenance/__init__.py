# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores kept in order: garbage collection within a quota, and the scrub that verifies and repairs."""
