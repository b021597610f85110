# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks and addresses of interfaces of VMs (``_compute``), as the library of networks makes them (``_network``).

May import both rooms and the spine.
"""
