# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several real hosts on one machine, from systemd-nspawn and overlayfs; Python's standard library only."""
