# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``$`` references in values of OpenNebula's templates, typed; one that only OpenNebula could follow is refused."""

from __future__ import annotations

import re
from collections.abc import Collection

from ....._errors import InvalidInput
from ....._template.answers import published_secret
from ....._template.model import LONGEST_TEXT, NAME, TEXT, Part, Value

REFERENCE = re.compile(r"\$(?:\{([^{}]{0,200})\}|([A-Za-z_][A-Za-z0-9_]*)(\[[^\]]{0,200}\])?)")
USER_KEY = re.compile(r"\[\s*SSH_PUBLIC_KEY\s*\]", re.IGNORECASE)
ADDRESS = re.compile(r"([^.]+)\.TEMPLATE\.CONTEXT\.ETH([0-9]{1,2})_IP", re.IGNORECASE)
OPENNEBULAS = {"VMID", "UID", "UNAME", "GID", "GNAME", "TEMPLATE_ID", "HOSTNAME", "CLUSTER_ID"}
MOST_PARTS = 200


def value_of(text: str, roles: Collection[str] = ()) -> Value:
    """Return a value with its references as parts; ``roles`` are those of the service that has it. Raises InvalidInput."""
    if len(text) > LONGEST_TEXT:
        raise InvalidInput(f"it has more than {LONGEST_TEXT} characters")
    if not TEXT.fullmatch(text):
        raise InvalidInput("it has control characters")
    parts: list[Part] = []
    at = 0
    for found in REFERENCE.finditer(text):
        if found.start() > at:
            parts.append(Part("text", text[at : found.start()]))
        parts.append(_part(found, roles))
        at = found.end()
    if at < len(text):
        parts.append(Part("text", text[at:]))
    if len(parts) > MOST_PARTS:
        raise InvalidInput(f"it has more than {MOST_PARTS} references")
    return tuple(parts)


def _part(found: re.Match[str], roles: Collection[str]) -> Part:
    braced, plain, attribute = found.groups()
    if attribute:
        if plain.upper() == "USER" and USER_KEY.fullmatch(attribute):
            return Part("fact", "ssh_public_keys")
        raise InvalidInput(f"it refers to ${plain}[…], which only OpenNebula has")
    name = plain or braced
    address = ADDRESS.fullmatch(name)
    if address and address[1] in roles:
        return Part("role", address[1], int(address[2]))
    upper = name.upper()
    if upper == "NAME":
        return Part("fact", "name")
    if upper in OPENNEBULAS or not NAME.fullmatch(upper):
        raise InvalidInput(f"it refers to ${name[:80]!a}, which only OpenNebula has")
    return Part("input", upper)


def require_no_secret(name: str, value: Value) -> None:
    """Raise InvalidInput for a password or SSH key that everybody who reads the catalogue knows, or has."""
    text = "".join(part.text for part in value if part.kind == "text")
    if reason := published_secret(name, text):
        raise InvalidInput(reason)
