# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Web proxies: the one that is named, or that of the environment (http_proxy, https_proxy, no_proxy)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib import request
from urllib.parse import unquote, urlsplit

from ..._errors import InvalidInput, about_option

ENVIRONMENT = "environment"


@dataclass(frozen=True)
class Proxy:
    """The host and port of a proxy, and the headers that it needs."""

    host: str
    port: int
    headers: dict[str, str]


def proxy_for(url: str, wanted: str | None) -> Proxy | None:
    """Return the proxy for ``url``: ``wanted`` is None for no proxy, ``environment``, or a URL."""
    if wanted is None:
        return None
    if wanted != ENVIRONMENT:
        with about_option("proxy"):
            return _parse(wanted)
    parts = urlsplit(url)
    found = request.getproxies_environment().get(parts.scheme)
    bypassed = request.proxy_bypass_environment(parts.netloc.rpartition("@")[2])  # type: ignore[attr-defined]
    return _parse(found) if found and not bypassed else None


def _parse(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 3128
    except ValueError:
        raise InvalidInput("the proxy is not a URL of the form http://[user:password@]host[:port].") from None
    if parts.scheme != "http" or not parts.hostname:
        raise InvalidInput("the proxy is not a URL of the form http://[user:password@]host[:port].")
    headers = {}
    if parts.username:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(secret).decode()
    return Proxy(parts.hostname, port, headers)
