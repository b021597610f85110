# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, in what is meant for cloud-init, texts that YAML has read as numbers or as yes and no, and so are not as written.

``52:54:00:12:34:56`` is a number to base 60, ``0644`` and ``0123`` are octal, ``no`` is false. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._errors import InvalidInput
from .ssh_keys import LISTS, check_keys

ADDRESSES = ("macaddress", "mac_address", "address", "addresses", "gateway", "gateway4", "gateway6", "to", "via", "local", "remote")
PASSWORDS = ("password", "passwd", "plain_text_passwd", "hashed_passwd", "hashed-passwd")
NAMES = ("hostname", "local-hostname", "fqdn", "timezone", "locale", "layout", "set-name")
TEXTS = frozenset({*ADDRESSES, *PASSWORDS, *NAMES, "permissions"})


def check_texts(data: Any, where: str) -> None:
    """Raise InvalidInput for the first number, or yes or no, under a key that has a text in cloud-init, and for a bad SSH key."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            path = f"{where}.{key!s:.60}"
            if key in TEXTS:
                _check(value, path)
            if key in LISTS and value:
                check_keys(value, path)
            check_texts(value, path)
    elif isinstance(data, list | tuple):
        for place, item in enumerate(data):
            check_texts(item, f"{where}[{place}]")


def _check(value: Any, where: str) -> None:
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, bool | int | float):
            kind = "yes or no (true or false)" if isinstance(item, bool) else "a number"
            raise InvalidInput(f"{where}: YAML has read {kind} where cloud-init wants a text; put it in quotes.", option=where)
