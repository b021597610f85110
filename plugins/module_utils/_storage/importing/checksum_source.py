# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checksum that is given by where it stands: the URL or path of a checksum list."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from ..._errors import NotFound, Refused, about_option
from ..._secrets import public_url
from ..._shown import few, nearest
from .. import names
from ..transfer.http_client import Trust
from . import checksum_list
from .marketplace.documents import fetch

PLACE = re.compile(r"(?:(sha256|sha512):)?(https?://.+|/.+)", re.IGNORECASE | re.DOTALL)
STRONG = ("sha512", "sha256")


def is_place(option: str | None) -> bool:
    """Return whether the option ``checksum`` names a list instead of digits."""
    return bool(option and PLACE.fullmatch(option))


def checksum_at(option: str, source: str, trust: Trust, *, unproven: bool) -> str:
    """Return the checksum of ``source`` in the list that ``option`` names, ``sha512:`` or ``sha256:`` and its digits.

    A list over plain http proves nothing: it is Refused unless ``unproven``.
    """
    match = PLACE.fullmatch(option)
    algorithm, place = (match[1], match[2]) if match else (None, option)
    shown = public_url(place)
    with about_option("checksum"):
        if place.startswith("/"):
            names.absolute_path(place, "checksum")
        elif not place.startswith("https:") and not unproven:
            raise Refused(f"{shown} is read over plain http, so it proves nothing; use https, or allow_unverified.")
        return _found(fetch(place, trust), shown, _file_name(source), algorithm.lower() if algorithm else None)


def _found(data: bytes, shown: str, name: str, algorithm: str | None) -> str:
    last = _file_name(shown)
    own = last if checksum_list.OTHER_LISTS.search(last) else f"{name}.sha256"  # a digest that stands alone is of the source
    sums = checksum_list.parse(data, f"The checksum file {shown}", own)
    known = sums.known.get(name, {})
    wanted = [algorithm] if algorithm else STRONG
    found = next((f"{one}:{known[one]}" for one in wanted if one in known), None)
    if found is None:
        has = f"only {', '.join(sorted(known))}" if known else f"none; it names {few(nearest(name, sums.known))}"
        why = next((f" {reason}" for label, reason in sums.unread if name in (label, reason)), "")
        raise NotFound(f"The checksum file {shown} has no {' or '.join(wanted)} of {name!a:.120}, but {has}.{why}", name=name)
    return found


def _file_name(address: str) -> str:
    return unquote(urlsplit(address).path).rsplit("/", 1)[-1] if "://" in address else address.rsplit("/", 1)[-1]
