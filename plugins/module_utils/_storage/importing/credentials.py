# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``credentials`` of modules: what a private server asks for, from variables or from a file of the host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._errors import InvalidInput, NotFound
from ..._json import load_object
from .. import names
from ..transfer.http_client import parts_of
from ..transfer.web.aws_signature import Keys
from ..transfer.web.credentials import Credentials, basic, origin_of, require_headers

LARGEST = 64 * 1024
HALF = re.compile(r"[\ud800-\udfff]")  # of a character, as JSON can have it; nothing can send it
WAYS = ("username", "token", "access_key")
PAIRS = (("username", "password"), ("access_key", "secret_key"))
TEXTS = ("username", "password", "token", "access_key", "secret_key", "session_token", "region")
CREDENTIALS_SPEC: Mapping[str, Any] = {
    "type": "dict",
    "options": {
        "username": {},
        "password": {"no_log": True},
        "token": {"no_log": True},
        "headers": {"type": "dict", "no_log": True},
        "access_key": {"no_log": False},
        "secret_key": {"no_log": True},
        "session_token": {"no_log": True},
        "region": {},
        "file": {"type": "path"},
    },
    "mutually_exclusive": [WAYS],
    "required_together": list(PAIRS),
}


def credentials_of(option: Mapping[str, Any] | None, url: str | None) -> Credentials | None:
    """Return what the option means, for the server of ``url`` only. No error shows a value."""
    if option is None:
        return None
    if not url or not url.startswith(("http://", "https://")):
        raise InvalidInput(
            "credentials: they are for the server of source, or else of marketplace.url, and that is not a URL.",
            option="credentials",
        )
    parts_of(url)
    given = {key: value for key, value in option.items() if value not in (None, "", {})}
    path = given.pop("file", None)
    if path:
        given = {**_from_file(names.absolute_path(path, "credentials.file")), **given}
    _require_sound(given)
    headers = require_headers({**_strings(given.get("headers", {})), **_authorization(given)}, "credentials.headers")
    keys = None
    if "access_key" in given:
        keys = Keys(given["access_key"], given["secret_key"], given.get("session_token", ""), given.get("region", "us-east-1"))
        sent = {"access_key": keys.access_key, "session_token": keys.session_token, "region": keys.region}
        require_headers(sent, "credentials.access_key")
    return Credentials(origin_of(url), headers, keys)


def _authorization(given: Mapping[str, str]) -> dict[str, str]:
    if "username" in given:
        return basic(given["username"], given["password"])
    return {"Authorization": f"Bearer {given['token']}"} if "token" in given else {}


def _strings(headers: Any) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise InvalidInput("credentials.headers: names with their values are expected.", option="credentials.headers")
    return {str(name): str(value) for name, value in headers.items()}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NotFound(
            f"credentials.file: {path} does not exist on this host.", option="credentials.file", path=str(path)
        ) from None
    found = load_object(data, f"credentials.file: {path}", LARGEST, InvalidInput)
    unknown = sorted(set(found) - {*TEXTS, "headers"})
    if unknown:
        raise InvalidInput(
            f"credentials.file: {path} has {unknown[0]!a:.80}, which is not known; {', '.join(TEXTS)}, headers are.",
            option="credentials.file",
            path=str(path),
        )
    return {key: value for key, value in found.items() if value not in (None, "", {})}


def _require_sound(given: Mapping[str, Any]) -> None:
    """Raise InvalidInput unless one way of authentication is given whole, as module options must be too, or only headers."""
    for key in TEXTS:
        text = given.get(key, "")
        if not isinstance(text, str) or HALF.search(text):
            raise InvalidInput(f"credentials.{key}: a text is expected.", option=f"credentials.{key}")
    ways = [way for way in WAYS if way in given]
    if len(ways) > 1 or not (ways or "headers" in given):
        raise InvalidInput(f"credentials: one of {', '.join(WAYS)} is expected, or headers.", option="credentials")
    for one, other in PAIRS:
        if (one in given) != (other in given):
            raise InvalidInput(f"credentials: {one} and {other} are expected together.", option="credentials")
    if ":" in given.get("username", ""):
        raise InvalidInput(
            "credentials.username: it has a colon, which Basic authentication cannot send.", option="credentials.username"
        )
    if ways and any(str(name).lower() == "authorization" for name in given.get("headers", {})):
        raise InvalidInput(f"credentials.headers: Authorization is given, and {ways[0]} too.", option="credentials.headers")


def sent_openly(credentials: Credentials | None) -> str | None:
    """Return a warning if what is sent can be read on its way: S3 keys are never sent."""
    if credentials is None or not credentials.headers or credentials.origin.startswith("https:"):
        return None
    return f"credentials: they go to {credentials.origin} without encryption; use https."
