# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which modules name a marketplace, the same for all modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...._errors import InvalidInput, about_option
from ...._runner import Runner
from ... import names
from ...transfer.http_client import Trust
from ..signatures import Signatures
from .appliance import web_url
from .choice import Query
from .documents import Access, fetch
from .market import KINDS, Marketplace
from .offer import Asked, Offer, offer_of

CACHE = "/var/cache/edge/marketplaces"
KEYRING = "marketplace.keyring"
ACCESS_SPEC: Mapping[str, Any] = {
    "cache_dir": {"type": "path", "default": CACHE},
    "max_age": {"type": "int", "default": 0},
    "proxy": {"default": "environment"},
}


def marketplace_spec(*, required: bool) -> dict[str, Any]:
    """Return the argument specification of the option ``marketplace``."""
    return {
        "type": "dict",
        "required": required,
        "options": {
            "kind": {"choices": list(KINDS), "required": True},
            "url": {},
            "path": {"type": "path"},
            "signature_suffix": {},
            "keyring": {"type": "path", "no_log": False},
        },
        "mutually_exclusive": [("url", "path")],
        "required_one_of": [("url", "path")],
        "required_by": {"signature_suffix": "keyring"},
    }


def appliance_spec() -> dict[str, Any]:
    """Return the argument specification of the option ``appliance``."""
    texts: dict[str, Any] = {key: {} for key in ("id", "name", "version", "os", "arch")}
    return {"type": "dict", "options": {**texts, "role": {}, "disk": {"type": "int", "default": 0}}}


def proxy_of(option: str | None) -> str | None:
    """Return the proxy that the option means, or None for ``none`` and an empty text."""
    return None if option in (None, "", "none") else option


def marketplace_of(options: Mapping[str, Any], trust: Trust, runner: Runner) -> Marketplace:
    """Return the marketplace that the module options ``marketplace``, ``cache_dir`` and ``max_age`` name."""
    named = options["marketplace"]
    if options["max_age"] < 0:
        raise InvalidInput(f"max_age: {options['max_age']} is negative; give seconds, 0 or more.", option="max_age")
    path = str(names.absolute_path(named["path"], "marketplace.path")) if named["path"] else None
    return Marketplace(
        named["kind"],
        path or named["url"],
        Access(trust, names.absolute_path(options["cache_dir"], "cache_dir"), options["max_age"]),
        named["signature_suffix"] or "",
        Signatures(runner, names.absolute_path(named["keyring"], KEYRING), KEYRING) if named["keyring"] else None,
    )


def offer_by(options: Mapping[str, Any], trust: Trust, runner: Runner, *, unproven: bool) -> Offer:
    """Return what the module options ``appliance`` and ``marketplace`` mean; see offer_of."""
    query = dict(options["appliance"])
    number, role = query.pop("disk"), query.pop("role")
    if not any(query.values()):
        raise InvalidInput("appliance: none is named; give at least its id or name.", option="appliance")
    market = marketplace_of(options, trust, runner)
    asked = Asked(Query(**query), number, role, options["format"])
    return offer_of(market, asked, unproven=unproven)


def signed_by(options: Mapping[str, Any], trust: Trust, runner: Runner) -> Callable[[Path], str] | None:
    """Return what verifies a file against the module options ``signature`` and ``keyring``, or None without them."""
    named = options["signature"]
    if not named:
        return None
    keys = Signatures(runner, names.absolute_path(options["keyring"], "keyring"))
    with about_option("signature"):
        address = str(names.absolute_path(named, "signature")) if named.startswith("/") else web_url(named)

    def verify(path: Path) -> str:
        with about_option("signature"):
            return keys.verify_file(path, fetch(address, trust), str(path))

    return verify
