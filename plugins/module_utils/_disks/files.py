# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that ``_compute`` does with disk files."""

from __future__ import annotations

from dataclasses import dataclass

from .copier import DiskCopier
from .points import PointDisks


@dataclass(frozen=True)
class DiskFiles(PointDisks, DiskCopier):
    """See DomainTool and RestoreTool."""
