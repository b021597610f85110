# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NAT network of libvirt: its request, its plan and its XML. Imports link."""
