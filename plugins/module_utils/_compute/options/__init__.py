# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's parameters to a ``DomainSpec`` without open questions. Imports ``xml`` (for overrides) and ``model``."""
