# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of image files: qcow2 headers, detection of formats, and qemu-img within limits."""
