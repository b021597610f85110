# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that all modules of addresses have."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment edge.cloud.addresses."""

    DOCUMENTATION = r"""
options:
  path:
    description:
      - The file on the Front-end, an SQLite database, that has the addresses of all networks.
      - M(edge.cloud.address_network) makes it where it is missing, readable by its owner only. Any other folder than that of the
        default must exist, on a local file system.
    type: path
    default: /var/lib/edge/addresses.sqlite3
"""
