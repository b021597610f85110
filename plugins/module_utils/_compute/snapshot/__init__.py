# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a VM: their index in the VM's folder, the plan of overlays, and recovery after a kill."""
