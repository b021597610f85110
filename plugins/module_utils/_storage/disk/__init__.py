# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One qcow2 file of a user: created, converted, resized, rebased or checked."""
