# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of others: redirects, credentials, refusals. May import the HTTP client above it, never a store."""
