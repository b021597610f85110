# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores VMs from recovery points: as new VMs, or in place of the VM that is there. It may import clone, recovery and domain.

Where the content of a point comes from is behind the protocol ``tool.PointSource``, which ``_points`` implements."""
