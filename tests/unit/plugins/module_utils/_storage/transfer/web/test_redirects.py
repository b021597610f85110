# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects and refusals as real servers send them."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput, NotFound, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Connection, Trust
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.web.redirects import MOST_REDIRECTS, follow, resolve
from hypothesis import given
from hypothesis import strategies as st
from support.certificates import Authority
from support.web_server import Answer, web

BASE = "https://x.example/a/b"
CANARY = "c4n4ry"


def got(url: str, trust: Trust | None = None) -> bytes:
    with follow(url, trust or Trust(), {}, (200,)) as response:
        return response.read()


def sent(text: str) -> str:
    """A header's value as http.client gives it: the bytes of its UTF-8 in Latin-1."""
    return text.encode().decode("latin-1")


TARGETS = {
    "/real dir/i.qcow2": "https://x.example/real%20dir/i.qcow2",
    sent("/für/i.qcow2"): "https://x.example/f%C3%BCr/i.qcow2",
    "/f\xfcr/i.qcow2": "https://x.example/f%FCr/i.qcow2",
    "/f%C3%BCr/i.qcow2": "https://x.example/f%C3%BCr/i.qcow2",
    sent("/⚙/𝄞.img?q=ä b#ü"): "https://x.example/%E2%9A%99/%F0%9D%84%9E.img?q=%C3%A4%20b",
    "/i.qcow2#sha256": "https://x.example/i.qcow2",
    "#only": "https://x.example/a/b",
    "i.qcow2": "https://x.example/a/i.qcow2",
    "../i.qcow2?token=a%2Fb&x=1": "https://x.example/i.qcow2?token=a%2Fb&x=1",
    "?page=2": "https://x.example/a/b?page=2",
    "//cdn.example/i.qcow2": "https://cdn.example/i.qcow2",
    "HTTPS://CDN.example:443/i": "https://CDN.example:443/i",
    "  https://cdn.example/i\t": "https://cdn.example/i",
    "/100%.img": "https://x.example/100%25.img",
    '/a\\b|c^d`{e}"<f>': "https://x.example/a%5Cb%7Cc%5Ed%60%7Be%7D%22%3Cf%3E",
    "/a;b=c,d@e:f'(g)*!$&+~[h]": "https://x.example/a;b=c,d@e:f'(g)*!$&+~[h]",
    sent("https://münchen.example:8443/i"): "https://xn--mnchen-3ya.example:8443/i",
    "https://[::1]:8443/i": "https://[::1]:8443/i",
}


@pytest.mark.parametrize("location", TARGETS)
def test_where_a_redirect_leads(location: str) -> None:
    assert resolve(BASE, location) == (TARGETS[location], "", "")


def test_the_user_of_a_redirect_stands_apart() -> None:
    assert resolve(BASE, "https://me:a%20b%40@cdn.example/i") == ("https://cdn.example/i", "me", "a b@")


@pytest.mark.parametrize("location", ["", " ", "/a\r\n b", "/a\x00", "http://[::1", sent("https://ä..example/")])
def test_what_is_no_address_is_refused(location: str) -> None:
    with pytest.raises(ValueError):
        resolve(BASE, location)


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_what_is_sent_is_always_ascii(location: str) -> None:
    try:
        target, _user, _password = resolve(BASE, location)
    except ValueError:
        return
    assert target.isascii() and not any(letter in target for letter in " \r\n\t")


def routes(**paths: str) -> Callable[[str, Message], Answer]:
    """Redirect /NAME to its path; anything else answers with itself."""

    def answer(path: str, _headers: Message) -> Answer:
        location = paths.get(path.strip("/"))
        return Answer(302, headers={"Location": location}) if location else Answer(body=path.encode())

    return answer


def test_real_redirects_are_followed() -> None:
    with web(
        routes(
            blank="/real dir/i", letters=sent("/für/i"), fragment="/i#x", relative="i?a=b c", query="?x=1", one="two", two="three"
        )
    ) as server:
        for start, found in (
            ("blank", b"/real%20dir/i"),
            ("letters", b"/f%C3%BCr/i"),
            ("fragment", b"/i"),
            ("relative", b"/i?a=b%20c"),
            ("query", b"/query?x=1"),
            ("one", b"/three"),
        ):
            assert got(f"{server.url}/{start}") == found


def test_a_circle_ends_at_once_and_a_long_way_is_gone() -> None:
    with web(routes(a="b", b="c", c="a", self="/self")) as server:
        for start in ("a", "self"):
            with pytest.raises(Unreachable, match=f"/{start} redirects in a circle, back to"):
                got(f"{server.url}/{start}")
        assert len(server.asked) == 4

    def longer(path: str, _headers: Message) -> Answer:
        number = int(path.strip("/"))
        return Answer(302, headers={"Location": f"/{number - 1}"}) if number else Answer(body=b"there")

    with web(longer) as server:
        assert got(f"{server.url}/{MOST_REDIRECTS}") == b"there"
        with pytest.raises(Unreachable, match=f"more than {MOST_REDIRECTS} redirects"):
            got(f"{server.url}/{MOST_REDIRECTS + 1}")


def test_nobody_is_led_from_https_to_http(authority: Authority) -> None:
    with web(routes()) as plain, web(routes(a=f"{plain.url}/i?sig={CANARY}"), authority.issue("127.0.0.1")) as secured:
        with pytest.raises(Unreachable, match="which is not authenticated; the redirect was not followed") as refused:
            got(f"{secured.url}/a", Trust(authority.ca_file))
        assert plain.asked == []
        assert CANARY not in refused.value.message + str(refused.value.details)
        with web(routes(b=f"{secured.url}/i")) as upgraded:
            assert got(f"{upgraded.url}/b", Trust(authority.ca_file)) == b"/i"


def test_the_user_of_a_redirect_is_sent_to_its_server_only() -> None:
    with web(routes(back="/end")) as other:
        user = other.url.replace("//", f"//me:{CANARY}@")
        with web(routes(away=f"{user}/i", gone=f"{user}/gone")) as server:
            assert got(f"{server.url}/away") == b"/i"
            assert server.sent("Authorization") == [None]
            assert [value and value[:6] for value in other.sent("Authorization")] == ["Basic "]


@pytest.mark.parametrize(
    "location",
    [
        f"ftp://u:{CANARY}@x.example/?t={CANARY}",
        f"file:///x?{CANARY}",
        f"http://u:{CANARY}@[::1/?{CANARY}",
        f"/x y?t={CANARY} {CANARY}",
        f"http://u:{CANARY}@127.0.0.1:1/?t={CANARY}#{CANARY}",
        f"http://127.0.0.1:0/?t={CANARY}",
        f"http:///?t={CANARY}",
        f"//u:p {CANARY}@127.0.0.1:1/",
    ],
)
def test_no_error_shows_what_gives_access(location: str) -> None:
    def answer(path: str, _headers: Message) -> Answer:
        return Answer(302, headers={"Location": location}) if path.startswith("/start") else Answer(403)

    with web(answer) as server, pytest.raises(EdgeError) as refused:
        got(f"{server.url}/start?t={CANARY}")
    assert CANARY not in refused.value.message + str(refused.value.details) + str(refused.value)


REFUSALS = {
    401: "asks for credentials, and none are given",
    403: "is private .then give credentials., limits its users, or does not have it",
    429: "try again in 7 s",
    503: "try again in 7 s",
    495: "asks for a client certificate, and none is configured .cert_file",
    400: "400 Bad Request; expected 200",
    418: "; expected 200",
}


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("secured", [True, False])
def test_a_refusal_blames_no_certificate_that_nobody_asked_for(authority: Authority, status: int, secured: bool) -> None:
    with web(
        lambda _path, _headers: Answer(status, headers={"Retry-After": "7"}), authority.issue("127.0.0.1") if secured else None
    ) as server:
        with pytest.raises(Unreachable, match=REFUSALS[status]) as refused:
            got(f"{server.url}/a", Trust(authority.ca_file))
        assert status == 495 or "certificate" not in refused.value.message


def test_a_refusal_names_our_certificate_where_we_have_one(authority: Authority) -> None:
    pair, client = authority.issue("127.0.0.1"), authority.issue("host1.example")
    trust = Trust(authority.ca_file, client.cert, client.key)
    bodies = {400: b"<title>400 The SSL certificate error</title>", 403: b"", 496: b""}
    for status, body in bodies.items():
        answer = Answer(status, body)
        with (
            web(lambda _path, _headers, found=answer: found, pair) as server,  # type: ignore[misc]
            pytest.raises(Unreachable, match="does not accept our client certificate"),
        ):
            got(f"{server.url}/a", trust)
    with web(lambda _path, _headers: Answer(403)) as server, pytest.raises(Unreachable, match="is private"):
        got(f"{server.url}/a", trust)  # no certificate is shown without TLS


def test_the_code_of_an_s3_server_is_told_and_nothing_else_of_its_answer() -> None:
    body = f"<Error><Code>SignatureDoesNotMatch</Code><StringToSign>{CANARY}</StringToSign></Error>".encode()
    with web(lambda path, _headers: Answer(404 if "gone" in path else 403, body)) as server:
        with pytest.raises(Unreachable, match=r"403 Forbidden \(SignatureDoesNotMatch\)") as refused:
            got(f"{server.url}/a")
        assert CANARY not in refused.value.message
        with pytest.raises(NotFound, match="it is not there"):
            got(f"{server.url}/gone")


@pytest.mark.parametrize(
    "query", ["X-Amz-Algorithm=a&X-Amz-Signature=1", "X-Goog-Signature=1", "Expires=1&Signature=2", "sv=1&sig=2"]
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_signed_url_that_is_refused_may_have_expired(query: str, status: int) -> None:
    with web(lambda _path, _headers: Answer(status)) as server:
        with pytest.raises(Unreachable, match=r"its URL is signed, .* get a new one") as refused:
            got(f"{server.url}/a?{query}")
        assert query not in refused.value.message
        with pytest.raises(Unreachable) as refused:
            got(f"{server.url}/a?design=1")
        assert "signed" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///srv/a.qcow2", "by its path alone"),
        ("S3://bucket/a.qcow2", "https://ENDPOINT/BUCKET/KEY"),
        ("ftp://x.example/a", ""),
    ],
)
def test_other_schemes_are_told_what_to_write(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not a URL of the form https://") as refused:
        got(url)
    assert says in refused.value.message


def test_no_tls_is_no_fault_of_a_certificate(authority: Authority, tmp_path: Path) -> None:
    with web(routes()) as server, pytest.raises(Unreachable) as refused:
        got(server.url.replace("http:", "https:"), Trust(authority.ca_file))
    assert "TLS failed" in refused.value.message and "certificate" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://[fd00::1]/a", "fd00::1", 443),
        ("http://[fd00::1]/a", "fd00::1", 80),
        ("https://[fd00::1]:8443/a", "fd00::1", 8443),
        ("http://[fe80::1%25eth0]/a", "fe80::1%25eth0", 80),
        ("https://example/a", "example", 443),
    ],
)
def test_no_part_of_an_address_is_taken_for_a_port(url: str, host: str, port: int) -> None:
    connection = Connection(url, Trust())._http
    assert (connection.host, connection.port) == (host, port)
