# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who configures a link of this host at boot: files of systemd-networkd and their conditions, other network managers."""
