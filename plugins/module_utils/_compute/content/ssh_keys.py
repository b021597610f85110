# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what is meant as a public SSH key and is not one: a guest takes it without an error, and then no user can log in. Pure."""

from __future__ import annotations

import re
from typing import Any

from ..._errors import InvalidInput

LISTS = frozenset({"ssh_authorized_keys", "ssh-authorized-keys"})
PUBLIC = re.compile(r"(?:^|\s)(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+\s+AAAA[A-Za-z0-9+/=]*(?:\s|$)")
PRIVATE = "PRIVATE KEY-"
SAYS = "write the contents of a public key's file, such as ssh-ed25519 AAAA…"


def check_keys(keys: Any, where: str) -> None:
    """Raise InvalidInput for the first item that has a line, besides comments, that is not a public key. No value is shown."""
    for place, item in enumerate(keys if isinstance(keys, list | tuple) else (keys,)):
        option = f"{where}[{place}]"
        lines = [line.strip() for line in item.splitlines()] if isinstance(item, str) else [""]
        lines = [line for line in lines if line and not line.startswith("#")]
        if any(PRIVATE in line for line in lines):
            raise InvalidInput(f"{option}: it is a private key, which stays on its owner's machine; {SAYS}.", option=option)
        if not lines:
            raise InvalidInput(f"{option}: it has no key; {SAYS}, or leave it out.", option=option)
        if not all(map(PUBLIC.search, lines)):
            path = " It looks like the path of a file: read that with the lookup ansible.builtin.file." if _is_path(lines) else ""
            raise InvalidInput(f"{option}: it is not a public SSH key; {SAYS}.{path}", option=option)


def _is_path(lines: list[str]) -> bool:
    return len(lines) == 1 and lines[0].startswith(("/", "~", "./", "file:"))
