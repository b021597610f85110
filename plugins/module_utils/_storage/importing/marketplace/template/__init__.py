# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenNebula's templates of VMs and services, read into the typed ones of ``_template``. Imports the spine only."""
