# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are on another hypervisor, or may be: marks of what moved away, and questions to the others. May import ``host``."""
