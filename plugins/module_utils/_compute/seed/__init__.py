# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks by which a guest is configured when it boots: cloud-init's NoCloud seed and OpenNebula's context.

May import ``content`` and ``model``.
"""
