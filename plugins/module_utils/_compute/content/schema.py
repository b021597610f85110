# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the host's cloud-init, where there is one, validate cloud-config by its schema before a guest gets it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..._errors import InvalidInput, TimedOut, Unsupported
from ..._runner import Completed, Runner
from .user_data import is_cloud_config

FILES = {"user-data": "cloud_init.user_data", "vendor-data": "cloud_init.vendor_data"}
LONGEST = 60.0
ERRORS = re.compile(r"schema errors:\s*(.*)", re.DOTALL)
ONE = re.compile(r"(?:^|,\s|\n)\s*([A-Za-z][\w.-]*): (.*?)(?=,\s[A-Za-z][\w-]*(?:\.[\w.-]+)?: |\n|$)", re.DOTALL)
VALUE = re.compile(r".*?(?= is not | does not | is too | is a dependency | has )", re.DOTALL)
NEWER = r"additional properties|unexpected|do not match any of the regexes"
EMPTY = r"is too short|should be non-empty|does not have enough properties"
HARMLESS = re.compile(f"{NEWER}|{EMPTY}", re.IGNORECASE)


def check_schema(files: Mapping[str, str], runner: Runner, known: dict[str, list[str]] | None = None) -> None:
    """Raise InvalidInput where this host's cloud-init knows that a guest's could not use its user or vendor data.

    An unknown key is not an error, since the guest's cloud-init can be newer, nor is an empty list, which does nothing.
    What is written in a value is not shown. ``known`` are the errors of texts that were validated before; what is found is added.
    """
    known = {} if known is None else known
    for name, option in FILES.items():
        text = files.get(name, "")
        if not is_cloud_config(text):
            continue
        if text not in known:
            done = _validate(text, runner)
            known[text] = _errors(done) if done is not None and done.rc != 0 else []
        if known[text]:
            raise InvalidInput(f"{option}: cloud-init cannot use it: {'; '.join(known[text])}.", option=option)


def _validate(text: str, runner: Runner) -> Completed | None:
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        path = Path(folder, "user-data")
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8", newline="")
        try:
            return runner.run(["cloud-init", "schema", "--config-file", str(path)], check=False, timeout=LONGEST)
        except (Unsupported, TimedOut):
            return None


def _errors(done: Completed) -> list[str]:
    """Return the errors of the schema; none where the command failed for another reason, such as one older than the option."""
    found = ERRORS.search(f"{done.stdout}\n{done.stderr}")
    return [_shown(path, says) for path, says in ONE.findall(found[1]) if not HARMLESS.search(says)] if found else []


def _shown(path: str, says: str) -> str:
    match = VALUE.match(says)
    return f"{path} {says[match.end() :].strip()}" if match else f"{path} is not as the schema wants it"
