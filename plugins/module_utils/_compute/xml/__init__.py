# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between ``DomainSpec`` and libvirt's XML, both ways, from tables of properties. Imports only ``model``."""
