# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds options that are not the texts that were written: YAML has read a number, or yes or no, or they are no text at all. Pure.

Ansible turns them into texts again, but not into those that were written: the MAC address ``52:54:00:12:34:56`` is a number to base
60, the PCI address ``0000:05:00.0`` is 300.0, the version ``1.10`` is 1.1, ``0123`` is octal, and ``no`` is false. NUL and half of
a surrogate pair, which quotes can hold by an escape, are refused by the kernel, by XML and by UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ._errors import InvalidInput

Spec = Mapping[str, Any]
TEXTS = ("str", "path")
FREE_TEXTS = ("raw", "json", "jsonarg")
NUL = "\0"
NO_TEXT = re.compile("[\0\ud800-\udfff]")
NEVER_WHOLE_NUMBERS = frozenset(
    {
        "address", "addresses", "checksum", "destination", "digest", "end", "gateway", "hostdev", "hosts", "image",
        "image_servers", "ipv4", "ipv6", "mac", "mac_prefix", "mode", "pci_devices", "proxy", "secret", "serial", "sources",
        "start", "subnet", "uri", "url", "uuid",
    }
)  # fmt: skip
MAC_PARTS = 6


def check_written(options: Mapping[str, Any], spec: Spec, free: Mapping[str, Spec] | None = None) -> None:
    """Raise InvalidInput, with the option's path, for the first value that cannot be what was written.

    ``options`` are as they came, before Ansible converts them; ``free`` has specifications of options that are free for Ansible. A
    whole number stays where it can be meant, as in a size, a list of CPUs or a name.
    """
    for where, name, value, rule in _values(options, spec, free or {}, ""):
        _check_text(where, value, rule)
        says = _misread(name, value, rule)
        if says:
            shown = "" if rule.get("no_log") else f" {_shown(value)}"
            raise InvalidInput(f"{where}: YAML has read {says}{shown} here{_advice(name, value)}.", option=where)


def _check_text(where: str, value: Any, rule: Spec) -> None:
    found = NO_TEXT.search(value) if isinstance(value, str) and rule.get("type", "str") not in FREE_TEXTS else None
    if found:
        what = "NUL" if found[0] == NUL else "half of a surrogate pair"
        raise InvalidInput(f"{where}: it has U+{ord(found[0]):04X}, which is {what} and of no text; take it out.", option=where)


def _values(options: Any, spec: Spec, free: Mapping[str, Spec], where: str) -> Iterator[tuple[str, str, Any, Spec]]:
    """Yield path, name, value and rule of each single value that ``spec`` describes."""
    for name, value in options.items() if isinstance(options, Mapping) else ():
        rule = _rule(spec, name)
        if rule is None:
            continue
        parts = free.get(name) or rule.get("options")
        many = isinstance(value, list | tuple)
        for place, item in enumerate(value if many else (value,)):
            path = f"{where}{name}[{place}]" if many else f"{where}{name}"
            if parts is not None:
                yield from _values(item, parts, {}, f"{path}.")
            elif not isinstance(item, list | tuple | Mapping):
                yield path, name, item, rule


def _rule(spec: Spec, name: str) -> Spec | None:
    if name in spec:
        return spec[name]
    return next((rule for rule in spec.values() if name in rule.get("aliases", ())), None)


def _misread(name: str, value: Any, rule: Spec) -> str | None:
    kind = rule.get("type", "str")
    kind = rule.get("elements", "str") if kind == "list" else kind
    if isinstance(value, bool):
        return "the truth value" if kind == "int" or (kind in TEXTS and not rule.get("choices")) else None
    if kind not in TEXTS:
        return None
    wrong = isinstance(value, float) or (isinstance(value, int) and name in NEVER_WHOLE_NUMBERS)
    return "the number" if wrong else None


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _advice(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return ", which yes, no, on and off are, too; put a text in quotes"
    mac = _as_mac(value) if name == "mac" and isinstance(value, int) else None
    return f'; put the text in quotes: "{mac}"' if mac else "; put the text in quotes, so that it stays as written"


def _as_mac(number: int) -> str | None:
    """Return the MAC address of digits that YAML has read to base 60."""
    parts = []
    for _place in range(MAC_PARTS - 1):
        number, rest = divmod(number, 60)
        parts.append(rest)
    return ":".join(f"{part:02d}" for part in [number, *reversed(parts)]) if 0 < number < 100 else None
