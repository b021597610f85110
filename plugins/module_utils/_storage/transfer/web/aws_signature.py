# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Signature Version 4 of requests without a body, for S3 and servers that are compatible with it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Keys:
    """An access key with its secret, for a region; temporary ones have a session token. Only the access key may be shown."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    region: str = "us-east-1"


def canonical(target: str) -> str:
    """Return a path with its query as they are signed, and must be sent, so that every server signs the same."""
    path, _mark, query = target.partition("?")
    return _encoded(path, "/") + (f"?{_query(query)}" if query else "")


def signed(keys: Keys, method: str, target: str, headers: Mapping[str, str], now: float) -> dict[str, str]:
    """Return ``headers`` (with Host) and those that sign the request for ``target``, canonical already, at ``now``."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    token = {"x-amz-security-token": keys.session_token} if keys.session_token else {}
    every = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": EMPTY, **token}
    values = {name.lower(): " ".join(value.split()) for name, value in every.items()}
    names = ";".join(sorted(values))
    path, _mark, query = target.partition("?")
    request = "\n".join([method, path, query, *(f"{name}:{values[name]}" for name in sorted(values)), "", names, EMPTY])
    scope = f"{stamp[:8]}/{keys.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    proof = f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope},SignedHeaders={names},Signature={key.hex()}"
    return {**every, "Authorization": proof}


def _encoded(text: str, safe: str = "") -> str:
    return quote(unquote(text, errors="surrogateescape"), safe=f"{safe}-_.~", errors="surrogateescape")


def _query(query: str) -> str:
    pairs = [part.partition("=") for part in query.split("&") if part]
    return "&".join("=".join(pair) for pair in sorted((_encoded(name), _encoded(value)) for name, _equals, value in pairs))
