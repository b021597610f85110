# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of single values; each error begins with the path of the bad item."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..._errors import InvalidInput
from ..._sizes import KIB, parse_size
from ..model.request import DomainOptions

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
DEVICE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
DEVICE_NAME_SAYS = "lower-case letters, digits and dashes, at most 20"
PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
PCI_SAYS = "a PCI address such as 0000:65:00.0"
CPUS = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")


def choose(asked: Any, before: Any, default: Any) -> Any:
    """Return what was asked, else what the domain has, else the default."""
    if asked is not None:
        return asked
    return default if before is None else before


def match(rule: re.Pattern[str], value: Any, where: str, says: str) -> str:
    """Return ``value`` if it follows the rule."""
    if not isinstance(value, str) or rule.fullmatch(value) is None:
        raise InvalidInput(f"{where}: {value!r} is not valid; it must be {says}.", option=where, value=value)
    return value


def check_name(name: str) -> str:
    """Return a domain's name if it is one."""
    return match(NAME, name, "name", "letters, digits, dots, dashes and underscores, at most 63, beginning with a letter or digit")


def in_range(number: int | None, low: int, high: int, where: str) -> int | None:
    """Return ``number`` if it is between the two, or None."""
    if number is not None and not low <= number <= high:
        raise InvalidInput(f"{where}: {number} is not between {low} and {high}.", option=where, value=number)
    return number


def kept_text(options: DomainOptions, field: str, before: Any) -> str | None:
    """Return an optional text; the empty text removes it."""
    asked = getattr(options, field)
    if asked is None:
        return getattr(before, field) if before else None
    return str(asked) or None


def unique(items: Iterable[tuple[str, str]]) -> None:
    """Raise where two items have the same value; ``items`` are (path of the item, value)."""
    seen: dict[str, str] = {}
    for where, value in items:
        if value in seen:
            raise InvalidInput(f"{where}: {value} is already used by {seen[value]}.", option=where, value=value)
        seen[value] = where


def parse_rate(text: str | None, where: str) -> int | None:
    """Return bytes a second in whole KiB, None for 0 and for nothing."""
    size = parse_size(text, where) // KIB * KIB if text else 0
    if text and not size and parse_size(text, where):
        raise InvalidInput(f"{where}: {text} is less than 1KiB a second.", option=where, value=text)
    return size or None


def cpu_numbers(text: str, where: str) -> set[int]:
    """Return the CPUs of ranges such as ``0-3,6``."""
    match(CPUS, text, where, "CPU numbers such as 0-3,6")
    found: set[int] = set()
    for part in text.split(","):
        low, _dash, high = part.partition("-")
        if high and int(high) < int(low):
            raise InvalidInput(f"{where}: the range {part} runs backwards.", option=where, value=text)
        found |= set(range(int(low), int(high or low) + 1))
    return found


def cpu_ranges(text: str, where: str) -> str:
    """Return the CPUs in the one way that libvirt writes them: ``2,0,1`` is ``0-2``."""
    numbers = sorted(cpu_numbers(text, where))
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in zip(starts, ends, strict=True))
