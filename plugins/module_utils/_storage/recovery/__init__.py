# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points on a replica: generations over immutable deltas, taken in, merged, collected, verified and restored."""
