# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: qcow2 files, stores, transfers between hosts, imports, and garbage collection.

Folders from top to bottom: maintenance and recovery, cluster, importing, disk, transfer, store, format, and ``names``. A folder
imports only from those below it and from the spine; import-linter holds that."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
