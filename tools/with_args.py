# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command with the words of the environment's ARGS appended. They are split as a shell would, and no shell sees them."""

import os
import shlex
import sys

try:
    WORDS = shlex.split(os.environ.get("ARGS", ""))
except ValueError as error:
    sys.exit(f"ARGS cannot be split into words ({error}); close the quotation.")
os.execvp(sys.argv[1], [*sys.argv[1:], *WORDS])
