# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM to another host with its local disks: checks, plan, journal, copy and clean-up."""
