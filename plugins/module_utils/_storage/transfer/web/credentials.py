# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves to a server who we are: a user and password, a token, headers or S3 keys, for one server and no other."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from ...._errors import InvalidInput
from .aws_signature import Keys, canonical, signed

PORTS = {"http": 80, "https": 443}
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
VALUE = re.compile(r"[\t -~]{0,8192}")
OURS = (
    "host",
    "range",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "if-none-match",
    "if-modified-since",
)


def origin_of(url: str) -> str:
    """Return the scheme, host and port of a URL, in one spelling."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{host_of(parts)}"


def host_of(parts: SplitResult) -> str:
    """Return what a Host header has for a URL: the port only if it is not the scheme's own."""
    host = str(parts.hostname)
    port = parts.port or PORTS.get(parts.scheme)
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port != PORTS.get(parts.scheme) else "")


@dataclass(frozen=True)
class Credentials:
    """Headers that are sent to the server of ``origin`` (``https://host:port``) only; nothing shows their values."""

    origin: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    keys: Keys | None = None
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def for_request(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Return the path with its query to ask for, and the request's headers with those that prove who we are."""
        if self.keys is None:
            return target, {**headers, **self.headers}
        target = canonical(target)
        host = host_of(urlsplit(self.origin))
        covered = {name: value for name, value in headers.items() if name.lower() == "range"}
        proof = signed(self.keys, method, target, {"Host": host, **covered}, self.clock())
        return target, {**headers, **self.headers, **proof}


def basic(username: str, password: str) -> dict[str, str]:
    """Return the header of Basic authentication (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def require_headers(headers: Mapping[str, str], option: str) -> dict[str, str]:
    """Return headers that can be sent as they are; raise InvalidInput, without the value, for others."""
    for name, value in headers.items():
        if not HEADER.fullmatch(name) or name.lower() in OURS:
            raise InvalidInput(f"{option}: {name!a:.80} is not a header that can be given.", option=option)
        if not VALUE.fullmatch(value):
            raise InvalidInput(
                f"{option}: the value for {name} is not one line of up to 8192 ASCII characters.",
                option=option,
            )
    return dict(headers)
