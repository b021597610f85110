# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes from a source into a store: verified pieces, resumed pulls, several sources, read-through."""
