# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs: libvirt domains, their disks, snapshots and moves between hosts.

Folders from top to bottom: inventory, migration, domain, disk, snapshot, recovery, lazy, job, host, options, xml (with seed),
content, model. A folder imports only from those below it, from the spine and from ``_libvirt``; import-linter holds that. Files of
disk images are made by ``_storage``: what is needed of it is in ``model/image_tools``."""

from __future__ import annotations

from .._sent import import_once

import_once(__spec__)
