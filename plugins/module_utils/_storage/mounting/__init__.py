# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of recovery points as read-only files of this host, for single files out of them. Stands on recovery points.

What a guest wrote is never given to this host's kernel as a file system, and nothing of it is believed.
"""
