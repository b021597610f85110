# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images within a cluster: who pulls from whom, requests to replicas, and peers."""
