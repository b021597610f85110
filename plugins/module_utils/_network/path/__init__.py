# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths between the hosts of VXLAN networks, probed for the packets that these need. Imports virtual, link and the spine."""
