# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of virtual networks and their leases, in one SQLite file of the Front-end.

Imports the spine and ``link.addressing``. ``intervals``, ``values``, ``definition``, ``asked`` and ``lease_plan`` are pure;
``database`` and ``tables`` read and write the file; ``networks``, ``leases``, ``usage`` and ``listing`` compose them.
"""
