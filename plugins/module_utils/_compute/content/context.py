# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenNebula's context: each option as one shell variable, quoted so that no shell reads more in it than its text. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..._errors import InvalidInput
from ..._template.model import OF_SHELL
from .yaml_text import encodable

NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
ADDRESS = re.compile(r"(.*_)?(MAC|IP6?|IP6_ULA|GATEWAY6?|DNS)")
LONGEST_NAME = 255
QUOTE, QUOTED = "'", "'\\''"


def context_text(options: Mapping[str, Any]) -> str:
    """Return ``context.sh``; raise InvalidInput for a name or a value that is not a variable of a shell."""
    for name in options:
        _check_name(name)
    values = {name: _text(options[name], name, f"context.{name}") for name in sorted(options)}
    lines = [f"{name}='{text.replace(QUOTE, QUOTED)}'" for name, text in values.items() if text is not None]
    return "\n".join(["# Context variables", *lines]) + "\n"


def _check_name(name: Any) -> None:
    where = f"context.{name!s:.60}"
    if not isinstance(name, str) or NAME.fullmatch(name) is None or len(name) > LONGEST_NAME:
        raise InvalidInput(
            f"{where}: this is not the name of a variable (upper-case letters, digits and underscores, not a digit first).",
            option=where,
        )
    if OF_SHELL.fullmatch(name):
        raise InvalidInput(f"{where}: the shell that reads the context uses this variable itself; choose another.", option=where)


def _text(value: Any, name: str, where: str) -> str | None:
    """Return the text of one variable, None where it is left out: one line for each item of a list."""
    if isinstance(value, list | tuple):
        lines = [_scalar(item, name, f"{where}[{place}]") for place, item in enumerate(value)]
        return "\n".join(line for line in lines if line is not None)
    return _scalar(value, name, where)


def _scalar(value: Any, name: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, int | float):
        if ADDRESS.fullmatch(name):
            raise InvalidInput(f"{where}: YAML has read a number where an address was written; put it in quotes.", option=where)
        if not math.isfinite(value):
            raise InvalidInput(f"{where}: this is not a number that a shell knows; put it in quotes.", option=where)
        return str(value)
    if not isinstance(value, str):
        kind = "list in a list" if isinstance(value, list | tuple) else "dictionary" if isinstance(value, Mapping) else "thing"
        raise InvalidInput(
            f"{where}: a {kind} is not a value of a variable; give a text, a number, true or false, or a list of them.",
            option=where,
        )
    if "\0" in value:
        raise InvalidInput(f"{where}: it has a NUL character, which no variable of a shell can have.", option=where)
    return encodable(value, where)
