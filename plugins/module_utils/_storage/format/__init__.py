# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bytes of an image file are: qcow2 headers, detection of formats, and qemu-img within limits."""
