# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual networks of a host: one definition each, planned together, made by one batch of ip(8). Imports link and the spine."""
