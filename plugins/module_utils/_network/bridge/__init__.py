# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge: its request, its plan, its steps, and the files that create it at boot. Imports link and boot."""
