# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM templates and services: what an image wants of its VM, typed, and their JSON in manifests. Pure; imports ``_errors`` only."""
