# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server answered with an error, as far as it can be known, and what to do."""

from __future__ import annotations

import contextlib
import http.client
import re
from dataclasses import dataclass

from ...._errors import EdgeError, NotFound, Unreachable

BODY = 4096
S3_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")


@dataclass(frozen=True)
class Shown:
    """What we showed the server: a certificate, credentials, or none because they are for ``elsewhere``; a ``signed`` URL."""

    certificate: bool = False
    credentials: bool = False
    elsewhere: str = ""
    signed: bool = False


def refusal(response: http.client.HTTPResponse, what: str, expected: int, shown: Shown) -> EdgeError:
    """Return the error for an answer to ``what`` that has another status than ``expected``."""
    body = b""
    with contextlib.suppress(OSError, http.client.HTTPException):
        body = response.read(BODY)
    code = S3_CODE.search(body)
    message = f"{what} answered {response.status} {response.reason}" + (f" ({code[1].decode()})" if code else "")
    if response.status in (404, 410):
        return NotFound(f"{message}: it is not there.", status=response.status)
    reason = _reason(response, body, shown)
    return Unreachable(f"{message}: {reason}" if reason else f"{message}; expected {expected}.", status=response.status)


def _reason(response: http.client.HTTPResponse, body: bytes, shown: Shown) -> str:
    status = response.status
    if status in (495, 496) or (status == 400 and b"SSL certificate" in body):  # nginx
        return _certificate(shown)
    if status in (401, 403) or (status == 400 and shown.signed):
        return _access(status, shown)
    if status == 407:
        return "the proxy asks for a user and password; give them in proxy, as http://user:password@host:port."
    if status in (429, 503):
        seconds = response.headers.get("Retry-After", "")
        return "it is busy or limits its users; try again " + (
            f"in {seconds} s." if re.fullmatch(r"\d{1,6}", seconds) else "later."
        )
    return ""


def _certificate(shown: Shown) -> str:
    if shown.certificate:
        return "it does not accept our client certificate."
    return "it asks for a client certificate, and none is configured (cert_file)."


def _access(status: int, shown: Shown) -> str:
    if shown.signed:
        return "its URL is signed, and holds for some time and some requests only; get a new one."
    return _credentials(shown) if status == 401 else _forbidden(shown)


def _credentials(shown: Shown) -> str:
    if shown.credentials:
        return "it does not accept our credentials."
    if shown.elsewhere:
        return f"it asks for credentials, and ours are for {shown.elsewhere} only, so they were not sent."
    return "it asks for credentials, and none are given (credentials)."


def _forbidden(shown: Shown) -> str:
    if shown.credentials:
        return "our credentials do not allow this."
    if shown.certificate:
        return "it does not accept our client certificate, or does not allow it this."
    if shown.elsewhere:
        return f"it is private or limits its users; our credentials are for {shown.elsewhere} only, so they were not sent."
    return "it is private (then give credentials), limits its users, or does not have it."
