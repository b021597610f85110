# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses and routes of a host as data, read and changed by ip(8). Imports only the spine."""
