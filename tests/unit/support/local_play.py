# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a play on this machine by the real ansible-playbook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from support.processes import TREE


def local_play(folder: Path, play: dict[str, Any], *words: str, inside: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a play with this Python and this checkout's collection; ``folder`` takes the playbook and what Ansible keeps.

    ``inside`` is a command that runs the one that follows it, such as in a name space.
    """
    book = folder / "book.yml"
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, **play}]))
    argv = [*inside, Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", *words, book]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)


def printed(done: subprocess.CompletedProcess[str]) -> list[tuple[str, Any]]:
    """Return what debug tasks printed of a message, each with its host: this starts no module, as a file of a result would."""
    decode, found = json.JSONDecoder().raw_decode, re.finditer(r"^ok: \[(\S+)\] => (?={)", done.stdout, re.MULTILINE)
    return [(one[1], decode(done.stdout, one.end())[0]["msg"]) for one in found]
