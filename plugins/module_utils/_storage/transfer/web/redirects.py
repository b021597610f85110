# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects, as real servers send them: with blanks and letters beyond ASCII, fragments, relative, to a user's URL, in circles."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from ...._errors import InvalidInput, Unreachable
from ...._secrets import public_url
from ..http_client import Connection, Trust, parts_of
from .credentials import Credentials, basic, origin_of

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 20  # as browsers do
SAFE = "!#$%&'()*+,/:;=?@[]~"
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@contextmanager
def follow(url: str, trust: Trust, headers: dict[str, str], statuses: tuple[int, ...]) -> Iterator[http.client.HTTPResponse]:
    """Yield the response to a GET of ``url`` after its redirects, if its status is one of ``statuses``.

    One from https to http is refused, a circle is reported at once. Credentials go to the server that they are for, and no other.
    """
    seen = [url]
    while True:
        connection = Connection(url, trust)
        try:
            with connection.get(headers=headers) as response:
                location = response.headers.get("Location")
                if response.status not in REDIRECTS or not location:
                    connection.require(response, statuses, public_url(url))
                    yield response
                    return
                status = response.status
        finally:
            connection.close()
        url, trust = _next(url, location, status, trust)
        if url in seen:
            raise Unreachable(f"{public_url(seen[0])} redirects in a circle, back to {public_url(url)}.", status=status)
        if len(seen) > MOST_REDIRECTS:
            raise Unreachable(f"{public_url(seen[0])}: more than {MOST_REDIRECTS} redirects.", status=status)
        seen.append(url)


def _next(url: str, location: str, status: int, trust: Trust) -> tuple[str, Trust]:
    """Return where a redirect leads, and how to go there: a user and password in it are for that server."""
    shown = public_url(url)
    try:
        target, username, password = resolve(url, location)
    except ValueError:
        raise Unreachable(f"{shown} redirects to an address that is not a URL.", status=status) from None
    scheme = urlsplit(target).scheme
    if scheme not in ("http", "https"):
        raise Unreachable(
            f"{shown} redirects to a URL of the scheme {scheme!a:.20}; only http and https are followed.", status=status
        )
    if url.startswith("https:") and scheme != "https":
        raise Unreachable(
            f"{shown} redirects to {public_url(target)}, which is not authenticated; the redirect was not followed.", status=status
        )
    try:
        parts_of(target)
    except InvalidInput:
        raise Unreachable(f"{shown} redirects to an address that is not a URL.", status=status) from None
    if username:
        trust = replace(trust, credentials=Credentials(origin_of(target), basic(username, password)))
    return target, trust


def resolve(base: str, location: str) -> tuple[str, str, str]:
    """Return the URL that a Location header means, as it is sent, and its user and password; raise ValueError if it is not one.

    Blanks and other bytes beyond ASCII are percent-encoded, a host is written in IDNA, and a fragment is dropped.
    """
    text = location.strip(" \t")
    if not text or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError(location)
    sent = quote(text.encode("latin-1"), safe=SAFE)  # http.client decodes a header's bytes so
    target = urldefrag(urljoin(base, STRAY_PERCENT.sub("%25", sent))).url
    parts = urlsplit(target)
    user, _at, host = parts.netloc.rpartition("@")
    if "%" in host:
        name, colon, port = host.partition(":")
        host = unquote(name).encode("idna").decode() + colon + port
    username, _colon, password = user.partition(":")
    return parts._replace(netloc=host).geturl(), unquote(username), unquote(password)
