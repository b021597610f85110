# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what a JSON file of settings has.

A check takes a value and where it stands, and returns the value as the code uses it, or raises InvalidInput that names both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import InvalidInput
from ._secrets import shown_url
from ._sizes import parse_size

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
Check = Callable[[Any, str], Any]


def a_name(value: Any, where: str) -> str:
    """Return a name of letters, digits and ``._-``."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise InvalidInput(f"{where}: {value!r:.100} is not a name of letters, digits and ._- that begins with a letter or digit.")


def a_text(value: Any, where: str) -> str:
    """Return any text."""
    if isinstance(value, str):
        return value
    raise InvalidInput(f"{where}: {value!r:.100} is not a text.")


def a_path(value: Any, where: str) -> Path:
    """Return an absolute path that has no ``..`` and no NUL, so that no program takes it for a protocol or another folder."""
    if isinstance(value, str) and value.startswith("/") and "\0" not in value and ".." not in Path(value).parts:
        return Path(value)
    shown = shown_url(value) if isinstance(value, str) and "://" in value else value
    raise InvalidInput(f"{where}: {shown!r:.200} is not an absolute path without '..'.", option=where)


def a_size(value: Any, where: str) -> int:
    """Return bytes; see ``parse_size``."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidInput(f"{where}: {value!r:.100} is not a size; write an integer of bytes, or text such as 40GiB.")
    return parse_size(str(value), where)


def an_integer(least: int, most: int | None = None) -> Check:
    """Return the check of an integer in a range."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def check(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
            raise InvalidInput(f"{where}: {value!r:.100} is not an integer {bounds}.")
        return value

    return check


def a_boolean(value: Any, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{where}: {value!r:.100} is not true or false.")
    return value


def a_percentage(value: Any, where: str) -> float:
    """Return a percentage above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        raise InvalidInput(f"{where}: {value!r:.100} is not a percentage above 0 and up to 100.")
    return float(value)


@dataclass(frozen=True)
class ListOf:
    """A check of a list whose items have to pass ``check``."""

    check: Check

    def __call__(self, value: Any, where: str) -> tuple[Any, ...]:
        """Return the items."""
        if not isinstance(value, list):
            raise InvalidInput(f"{where}: {value!r:.100} is not a list.")
        return tuple(self.check(item, f"{where}[{number}]") for number, item in enumerate(value))

    def known(self, value: Any) -> Any:
        """See ``ObjectOf.known``."""
        return [known(self.check, item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class MapOf:
    """A check of an object with any keys, whose values have to pass ``check``."""

    check: Check

    def __call__(self, value: Any, where: str) -> dict[str, Any]:
        """Return the object."""
        if not isinstance(value, dict):
            raise InvalidInput(f"{where}: {value!r:.100} is not an object.")
        return {key: self.check(item, f"{where}: {key}") for key, item in value.items()}


@dataclass(frozen=True)
class ObjectOf:
    """A check of an object: known keys only, the required ones there; null means the default."""

    checks: Mapping[str, Check]
    build: Callable[..., Any]
    required: tuple[str, ...] = ()

    def __call__(self, value: Any, where: str) -> Any:
        """Return what ``build`` makes of the values."""
        if not isinstance(value, dict):
            raise InvalidInput(f"{where}: {value!r:.100} is not an object.")
        unknown = sorted(set(value) - set(self.checks))
        if unknown:
            raise InvalidInput(f"{where}: unknown key {unknown[0]!r:.100}; it may have {', '.join(self.checks)}.")
        missing = [key for key in self.required if value.get(key) is None]
        if missing:
            raise InvalidInput(f"{where}: {missing[0]} is missing.")
        given = {key: item for key, item in value.items() if item is not None}
        return self.build(**{key: self.checks[key](item, f"{where}: {key}") for key, item in given.items()})

    def known(self, value: Any) -> Any:
        """Return ``value`` without the keys that this, or the check of a part of it, does not know."""
        if not isinstance(value, dict):
            return value
        return {key: known(self.checks[key], item) for key, item in value.items() if key in self.checks}


def known(check: Check, value: Any) -> Any:
    """Return ``value`` without the keys that the check of it, or of a part of it, does not know."""
    return check.known(value) if isinstance(check, ListOf | ObjectOf) else value
