# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a wanted domain from being made or changed, reported before anything is done; it imports only the plan."""
