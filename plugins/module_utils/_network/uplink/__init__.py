# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge over the link that carries the host's own address: files of network managers, a change on trial. Imports the rest."""
