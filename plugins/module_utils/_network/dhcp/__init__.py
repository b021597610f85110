# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP, router advertisements and DNS of a virtual network: one dnsmasq for each network and host. Imports link and the spine."""
