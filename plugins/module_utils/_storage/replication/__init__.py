# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points on their way to this replica, from the hosts that make them or from other replicas. Stands on recovery points."""
