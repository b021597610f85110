# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images within a cluster: from which host each host pulls, requests to replicas, and peers."""
