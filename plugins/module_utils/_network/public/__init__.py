# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses of VMs on a host: routed or by NAT, only for their own tap, announced. Imports virtual, link and the spine."""
