# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The internal certificate authority: what it signs, has signed and revoked, and its successor. Imports the spine only."""
