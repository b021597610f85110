# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: real hosts on one machine. `lab.py --help` lists its verbs; docs/lab.md explains them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from edge_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
