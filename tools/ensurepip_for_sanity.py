# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay a pip bootstrap where ansible-test looks for one, so that it needs no download host but the package index.

ansible-test makes virtual environments with a get-pip program that it downloads from a host of its own. Python brings the
same by the name of ensurepip; this writes a few lines that use it, unless the real file is there already.
"""

from pathlib import Path

BOOTSTRAP = """import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True)
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.run([sys.executable, "-m", "pip", "install", *wanted], check=True)
"""

cache = Path.home() / ".ansible/test/cache"
cache.mkdir(parents=True, exist_ok=True)
for name in ("get_pip_24_2.py", "get_pip_25_2.py"):
    target = cache / name
    if not target.exists() or "ensurepip" in target.read_text():
        target.write_text(BOOTSTRAP)
