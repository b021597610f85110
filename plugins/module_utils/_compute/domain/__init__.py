# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One domain reconciled, or many in one run: checks, plan, changes of the definition and of the running guest."""
