# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk files that VMs need (``_compute``), made by the image library (``_storage``).

Each file is a tool, and those for more build on those for less, so that a module loads what it needs.

May import both rooms and the spine.
"""
