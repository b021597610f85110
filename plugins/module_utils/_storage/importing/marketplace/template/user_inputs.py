# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenNebula's user inputs, ``M|range|Number of users|1..64|8``: mandatory (M) or optional (O), type, text, options, default."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ....._errors import InvalidInput
from ....._template.answers import answer
from ....._template.model import INPUT_TYPES, NAME, NAME_SAYS, TEXT, UserInput, Value, literal
from .variables import require_no_secret, value_of

LONGEST = 2048
MOST_CHOICES = 200


def user_input(name: str, text: str, roles: Collection[str] = ()) -> tuple[UserInput, str | None]:
    """Return a user input, and why its default was not taken, if so; raise InvalidInput where it is not one."""
    upper = name.upper()
    if not NAME.fullmatch(upper):
        raise InvalidInput(f"its name is not one of a variable ({NAME_SAYS})")
    if len(text) > 2 * LONGEST or not TEXT.fullmatch(text):
        raise InvalidInput(f"it has more than {2 * LONGEST} characters, or control characters")
    need, kind, asked, options, default = _fields(text)
    if need not in ("M", "O", "0"):  # several public entries have a nought for the letter
        raise InvalidInput(f"{need!a:.20} is there, and M (mandatory) or O (optional) is expected")
    if kind not in INPUT_TYPES:
        raise InvalidInput(f"its type is {kind!a:.40}; {', '.join(INPUT_TYPES)} are known")
    found = UserInput(upper, kind, need == "M", asked, **_bounds(kind, options))
    if not default:
        return found, None
    try:
        return replace(found, default=_default(found, default, roles)), None
    except InvalidInput as error:
        return found, error.message


def _fields(text: str) -> tuple[str, str, str, str, str]:
    """Return the five fields, empty where they are left out; further bars belong to the default, except at its end."""
    parts = [part.strip() for part in text.split("|")]
    while len(parts) > 5 and not parts[-1]:
        parts.pop()
    fields = [*parts[:4], "|".join(parts[4:])]
    fields += [""] * (5 - len(fields))
    return fields[0].upper(), fields[1].lower(), fields[2], fields[3], fields[4]


def _bounds(kind: str, options: str) -> dict[str, Any]:
    if kind in ("list", "list-multiple"):
        choices = tuple(choice.strip() for choice in options.split(",") if choice.strip())
        if not 0 < len(choices) <= MOST_CHOICES:
            raise InvalidInput(f"it is a list of {len(choices)} choices; 1 to {MOST_CHOICES} are expected")
        return {"choices": choices}
    if kind not in ("range", "range-float"):
        return {}
    low, dots, high = (part.strip() for part in options.partition(".."))
    number = UserInput("BOUND", "number" if kind == "range" else "number-float")
    try:
        low, high = answer(number, low, "minimum"), answer(number, high, "maximum")
    except InvalidInput:
        dots = ""
    if not dots or float(low) > float(high):
        raise InvalidInput(f"its range is {options!a:.40}; MINIMUM..MAXIMUM is expected")
    return {"minimum": low, "maximum": high}


def _default(one: UserInput, text: str, roles: Collection[str]) -> Value | None:
    """Return a default: any text with references, else what fits the input's type."""
    if one.type == "password":
        raise InvalidInput("a password that the catalogue publishes is not secret; give one of your own")
    if one.type == "network":
        return None  # the ID or name of a network of another cloud
    value = value_of(text, roles)
    require_no_secret(one.name, value)
    if one.type in ("text", "text64", "fixed") or any(part.kind != "text" for part in value):
        return value
    return literal(answer(one, text, "default"))
