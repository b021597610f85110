# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One hypervisor as it is now: domains, facts, addresses, file users, locks. Reads only, except for VM locks."""
