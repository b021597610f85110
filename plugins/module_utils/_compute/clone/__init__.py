# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones of stopped VMs: a new domain with copies of the disks, under its own name, UUID and addresses. It may import domain."""
