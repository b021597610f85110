# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP over the standard library: authenticated TLS, one reused connection, ranges, and errors with server and reason."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ..._errors import Corrupt, InvalidInput, Unreachable
from ..._secrets import public_url, shown_url
from .. import names
from .proxy import proxy_for
from .web.credentials import PORTS, Credentials, origin_of
from .web.refusals import Shown, refusal

SECONDS = 30.0
URL = re.compile(r"https?://[!-~]+")
SIGNED = re.compile(r"(?i)[?&](X-Amz-Signature|X-Goog-Signature|Signature|sig)=")
OTHERS = {
    "file": " A file of the host is given by its path alone.",
    "s3": " An object of S3 has the URL https://ENDPOINT/BUCKET/KEY, and is asked for with credentials.",
}
LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Trust:
    """The CAs that we trust and our own certificate, as PEM files; without a CA file, the system's CAs.

    ``proxy`` is a URL or ``environment``; None means no proxy. TLS ends at the server, never at the proxy. ``credentials`` are sent
    to the server that they are for, and no other.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    proxy: str | None = None
    credentials: Credentials | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies the other side's certificate and host name, always."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(str(path) for path in (self.ca_file, self.cert_file, self.key_file) if path)
            raise InvalidInput(f"The certificate files ({named}) cannot be used: {error}.") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def trust_of(ca_file: str | None, cert_file: str | None, key_file: str | None, proxy: str | None = None) -> Trust:
    """Return the TLS files that options name, and the proxy for sources outside of the cloud."""
    given = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    files = {option: names.absolute_path(text, option) for option, text in given.items() if text}
    return Trust(files.get("ca_file"), files.get("cert_file"), files.get("key_file"), proxy)


class Connection:
    """One reused connection to the server of ``base``, an http or https URL without user, query and fragment."""

    def __init__(self, base: str, trust: Trust, seconds: float = SECONDS) -> None:
        parts = parts_of(base)
        self.name = public_url(base)
        self._path = parts.path
        self._query = f"?{parts.query}" if parts.query else ""
        self._seconds = seconds
        self._before = ""  # of the path, for a proxy
        self._headers: dict[str, str] = {}
        ours = trust.credentials
        self._credentials = ours if ours and ours.origin == origin_of(base) else None
        self._shown = Shown(
            bool(trust.cert_file) and parts.scheme == "https",
            self._credentials is not None,
            ours.origin if ours and not self._credentials else "",
            SIGNED.search(self._query) is not None,
        )
        self._http = self._connection(parts, trust)

    def _connection(self, parts: SplitResult, trust: Trust) -> http.client.HTTPConnection:
        proxy = proxy_for(self.name, trust.proxy)
        own = parts.port or PORTS[parts.scheme]  # http.client would take one from an IPv6 address
        host, port = (proxy.host, proxy.port) if proxy else (str(parts.hostname), own)
        if parts.scheme == "https":
            secured = http.client.HTTPSConnection(host, port, timeout=self._seconds, context=trust.context())
            if proxy:
                secured.set_tunnel(str(parts.hostname), own, proxy.headers)
            return secured
        if proxy:
            self._headers = proxy.headers
            self._before = f"http://{parts.netloc}"
        return http.client.HTTPConnection(host, port, timeout=self._seconds)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._http.close()

    def get(self, below: str = "", headers: dict[str, str] | None = None) -> AbstractContextManager[http.client.HTTPResponse]:
        """Yield the response to a GET; see ``ask``."""
        return self.ask("GET", below, headers)

    @contextmanager
    def ask(
        self, method: str, below: str = "", headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield the response to a request that may be sent twice; a broken connection raises Unreachable with the reason."""
        target = (self._path.rstrip("/") + "/" + below if below else self._path or "/") + self._query
        reusable = False
        try:
            response = self._ask(method, target, headers or {}, body)
            yield response
            reusable = response.isclosed()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.name}: {_reason(error, self._seconds, self._shown)}", source=self.name) from None
        finally:
            if not reusable:
                self.close()

    def _ask(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> http.client.HTTPResponse:
        reused = self._http.sock is not None
        try:
            return self._request(method, target, headers, body)
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
            if not reused:
                raise
            self.close()  # an idle connection may have been closed by the server: then ask again on a new one
            return self._request(method, target, headers, body)

    def _request(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> http.client.HTTPResponse:
        sent = {"Accept-Encoding": "identity", "User-Agent": "edge.cloud", **self._headers, **headers}
        if self._credentials:
            target, sent = self._credentials.for_request(method, target, sent)
        self._http.request(method, self._before + target, body, sent)
        return self._http.getresponse()

    def require(self, response: http.client.HTTPResponse, statuses: tuple[int, ...], what: str) -> None:
        """Raise NotFound or Unreachable, with the reason, unless the status is one of ``statuses``."""
        if response.status not in statuses:
            raise refusal(response, what, statuses[0], self._shown)

    def fetch(self, below: str, limit: int) -> bytes:
        """Return a small document whole; raise Corrupt if it has more than ``limit`` bytes."""
        with self.get(below) as response:
            self.require(response, (200,), f"{self.name} ({below})")
            data = response.read(limit + 1)
            if len(data) > limit:
                raise Corrupt(f"{self.name}: {below} is larger than {limit} bytes; it was not read.", source=self.name)
            require_whole(response, len(data), f"{self.name} ({below})")
            return data

    @contextmanager
    def read_range(self, below: str, offset: int, length: int) -> Iterator[http.client.HTTPResponse]:
        """Yield a response whose body is exactly these bytes."""
        wanted = f"bytes {offset}-{offset + length - 1}/"
        with self.get(below, {"Range": wanted.replace("bytes ", "bytes=").rstrip("/")}) as response:
            self.require(response, (206,), f"{self.name} ({below})")
            found = response.headers.get("Content-Range", "")
            if not found.startswith(wanted):
                raise Corrupt(f"{self.name}: asked for {wanted.rstrip('/')} of {below}, got {found!r}.", source=self.name)
            yield response


def parts_of(url: str) -> SplitResult:
    """Return the parts of a URL that can be asked as it is, or raise InvalidInput."""
    try:
        parts = urlsplit(url)
        sound = parts.port != 0 and URL.fullmatch(url) and parts.hostname and not (parts.username or parts.fragment)
    except ValueError:  # an invalid port or address
        sound = False
    if not sound:
        hint = OTHERS.get(url.partition("://")[0].lower(), "")
        raise InvalidInput(
            f"{shown_url(url)!a:.300} is not a URL of the form https://host[:port]/path, in ASCII without spaces, user, fragment."
            f"{hint}"
        )
    return parts


def announced_length(response: http.client.HTTPResponse, what: str) -> int | None:
    """Return the length that the answer's header announces, or None without one; raise Unreachable if it is invalid."""
    announced = response.headers.get("Content-Length")
    if announced is None:
        return None
    if not LENGTH.fullmatch(announced.strip()):
        raise Unreachable(f"{what}: the answer announces an invalid length, {announced!a:.80}.", source=what)
    return int(announced)


def require_whole(response: http.client.HTTPResponse, received: int, what: str) -> None:
    """Raise Unreachable if fewer bytes came than were announced: http.client does not report that."""
    announced = announced_length(response, what)
    if announced is not None and received != announced:
        raise Unreachable(f"{what}: the connection ended after {received} of {announced} bytes.", source=what)


def _reason(error: Exception, seconds: float, shown: Shown) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        asked = "CERTIFICATE_REQUIRED" in str(error.reason)
        hint = "; does the server accept our client certificate?" if shown.certificate else "."
        return f"TLS failed: {error.reason or error}" + ("; it asks for a client certificate (cert_file)." if asked else hint)
    if isinstance(error, TimeoutError):
        return f"no answer for {seconds:g} s."
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended in the middle of the answer."
    return f"{error or type(error).__name__}."
