# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain, a host and a disk file are, as plain data without libvirt. Imports only the spine."""
