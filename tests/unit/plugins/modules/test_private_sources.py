# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private servers: credentials go to the server that they are for and to no other, and are shown to nobody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import nginx
from support.images import qcow2
from support.modules import run_module
from support.web_server import Answer, web

Capsys = pytest.CaptureFixture[str]
CANARY = "c4n4ry"
BASIC = {"username": "edge", "password": f"{CANARY}: ü"}
WAYS: dict[str, tuple[dict[str, Any], str, str]] = {
    "basic": (BASIC, "Authorization", "Basic ZWRnZTpjNG40cnk6IMO8"),
    "bearer": ({"token": CANARY}, "Authorization", f"Bearer {CANARY}"),
    "headers": ({"headers": {"X-Api-Key": CANARY, "X-Number": 7}}, "X-Api-Key", CANARY),
    "another scheme": ({"headers": {"Authorization": f"Token {CANARY}"}}, "Authorization", f"Token {CANARY}"),
    "both": ({"token": CANARY, "headers": {"X-Tenant": CANARY}}, "X-Tenant", CANARY),
}


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    return qcow2(tmp_path / "a.qcow2", 1).read_bytes()


def imported(capsys: Capsys, folder: Path, **options: Any) -> dict[str, Any]:
    fixed = {"name": "debian", "version": "1", "root": str(folder / "store"), "disk_directories": [], "proxy": "none"}
    return run_module(capsys, "datastore_image", **{**fixed, "cache_dir": str(folder / "cache"), **options})


def proof(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def guarded(header: str, value: str, files: dict[str, bytes]) -> Callable[[str, Message], Answer]:
    """Give files only to who sends the header."""

    def answer(path: str, headers: Message) -> Answer:
        if headers[header] != value:
            return Answer(401)
        return Answer(body=files[path]) if path in files else Answer(404)

    return answer


def everything(folder: Path) -> str:
    """All names of files and their contents, except for the file of the user."""
    paths = [path for path in folder.rglob("*") if path.name != "credentials.json"]
    return "\n".join([*map(str, paths), *(path.read_bytes().decode("latin-1") for path in paths if path.is_file())])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("from_file", [True, False])
def test_a_private_server_gives_its_images_and_no_secret_is_shown(
    capsys: Capsys, tmp_path: Path, image: bytes, logged: list[str], *, way: str, from_file: bool
) -> None:
    given, header, value = WAYS[way]
    credentials: dict[str, Any] = given
    if from_file:
        (tmp_path / "credentials.json").write_text(json.dumps(given))
        credentials = {"file": str(tmp_path / "credentials.json")}
    files = {"/a.qcow2": image, "/SHA256SUMS": f"{proof(image)[7:]}  a.qcow2\n".encode()}
    with web(guarded(header, value, files)) as server:
        options = {"source": f"{server.url}/a.qcow2", "checksum": proof(image)}
        made = imported(capsys, tmp_path, **options, credentials=credentials)
        market = {"kind": "checksums", "url": server.url}
        cached = {"cache_dir": str(tmp_path / "cache"), "proxy": "none"}
        listed = run_module(capsys, "appliance_info", marketplace=market, credentials=credentials, **cached)
        wanted = {"marketplace": market, "appliance": {"name": "a"}, "allow_unverified": True}
        again = imported(capsys, tmp_path / "2", **wanted, credentials=credentials)
        refused = imported(capsys, tmp_path / "3", **options)
    assert made["changed"] and again["changed"], (made, again)
    assert [one["name"] for one in listed["appliances"]] == ["a"]
    assert "asks for credentials, and none are given" in refused["msg"]
    shown = json.dumps([made, listed, again], ensure_ascii=False) + "".join(logged) + everything(tmp_path)
    assert CANARY not in shown and value not in shown
    assert f"{server.url} without encryption" in str(made["warnings"])


def test_basic_authentication_of_nginx_over_tls(capsys: Capsys, tmp_path: Path, image: bytes, authority: Authority) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.qcow2").write_bytes(image)
    (tmp_path / "users").write_text("edge:{PLAIN}s3cret word\n")
    more = f"auth_basic 'private'; auth_basic_user_file {tmp_path}/users;"
    with nginx(tmp_path / "nginx", tmp_path / "web", authority, authority.issue("127.0.0.1"), clients="off", more=more) as server:
        options = {"source": f"{server.url}a.qcow2", "checksum": proof(image), "ca_file": str(authority.ca_file)}
        wrong = imported(capsys, tmp_path, **options, credentials={"username": "edge", "password": CANARY})
        made = imported(capsys, tmp_path, **options, credentials={"username": "edge", "password": "s3cret word"})
    assert wrong["msg"].startswith("source: ") and wrong["msg"].endswith("401 Unauthorized: it does not accept our credentials.")
    assert CANARY not in json.dumps(wrong)
    assert made["changed"] and server.url not in str(made.get("warnings"))


def test_credentials_go_to_no_other_server(capsys: Capsys, tmp_path: Path, image: bytes) -> None:
    def private(path: str, _headers: Message) -> Answer:
        return Answer(401 if path.startswith("/private") else 200, image)

    with web(private) as other:

        def answer(path: str, headers: Message) -> Answer:
            if headers["Authorization"] is None:
                return Answer(401)
            catalogue = {
                "appliances": [{"_id": "1", "name": "A", "files": [{"url": f"{other.url}/a", "sha256": proof(image)[7:]}]}]
            }
            if path == "/appliance":
                return Answer(body=json.dumps(catalogue).encode())
            target = f"{other.url}{path}" if path != "/back" else "/again"
            return Answer(body=image) if path == "/again" else Answer(302, headers={"Location": target})

        for given in (BASIC, {"token": CANARY}, {"headers": {"Authorization": CANARY}}, {"access_key": "A", "secret_key": CANARY}):
            with web(answer) as server:
                options = {"checksum": proof(image), "credentials": given}
                assert imported(capsys, tmp_path / "1", source=f"{server.url}/a", **options, state="present")["changed"]
                market = {"marketplace": {"kind": "opennebula", "url": server.url}, "appliance": {"name": "a"}}
                assert imported(capsys, tmp_path / "2", **market, **options)["changed"]
                assert imported(capsys, tmp_path / "3", source=f"{server.url}/back", **options)["changed"]
                refused = imported(capsys, tmp_path / "4", source=f"{server.url}/private", **options)
                assert f"ours are for {server.url} only, so they were not sent" in refused["msg"]
                assert CANARY not in json.dumps(refused)
                assert None not in server.sent("Authorization")
            for number in (1, 2, 3):
                imported(capsys, tmp_path / str(number), state="absent")
        assert set(other.sent("Authorization")) == {None}
        assert CANARY not in "".join(str(headers) for _path, headers in other.asked)


def test_the_query_of_a_marketplace_goes_with_its_documents_and_is_shown_nowhere(
    capsys: Capsys, tmp_path: Path, image: bytes, logged: list[str]
) -> None:
    files = {"/c/SHA256SUMS": f"{proof(image)[7:]}  debian-13-amd64.qcow2\n".encode(), "/c/debian-13-amd64.qcow2": image}

    def answer(path: str, _headers: Message) -> Answer:
        name, _mark, query = path.partition("?")
        return Answer(body=files[name]) if query == f"sig={CANARY}" and name in files else Answer(404 if query else 403)

    with web(answer) as server:
        market = {"kind": "checksums", "url": f"{server.url}/c?sig={CANARY}"}
        listed = run_module(capsys, "appliance_info", marketplace=market, cache_dir=str(tmp_path / "cache"), proxy="none")
        made = imported(capsys, tmp_path, marketplace=market, appliance={"name": "debian"}, allow_unverified=True)
    assert [one["files"][0]["url"] for one in listed["appliances"]] == [f"{server.url}/c/debian-13-amd64.qcow2"]
    assert made["image"]["source"] == f"{server.url}/c/debian-13-amd64.qcow2"
    assert CANARY not in json.dumps([listed, made]) + "".join(logged) + everything(tmp_path)


BAD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "two ways": {"username": "a", "password": CANARY, "token": CANARY},
    "half": {"username": "a"},
    "a colon": {"username": "a:b", "password": CANARY},
    "two lines": {"token": f"{CANARY}\r\nX: y"},
    "a header of two lines": {"headers": {"X": f"{CANARY}\n{CANARY}"}},
    "a header beyond ASCII": {"headers": {"X": f"ü{CANARY}"}},
    "a name that is not one": {"headers": {"X y": CANARY}},
    "a header of ours": {"headers": {"Host": CANARY}},
    "twice": {"token": CANARY, "headers": {"authorization": CANARY}},
    "a file that is not there": {"file": "/none/credentials.json"},
    "a relative file": {"file": "../credentials.json"},
}
FILES = {
    "no JSON": f"username={CANARY}",
    "no object": f'["{CANARY}"]',
    "an unknown key": f'{{"user": "{CANARY}"}}',
    "a number": '{"token": 7}',
    "half": f'{{"password": "{CANARY}"}}',
    "no headers": f'{{"headers": "{CANARY}"}}',
}


@pytest.mark.parametrize("bad", [*BAD, *FILES])
def test_bad_credentials_are_refused_without_their_values(capsys: Capsys, tmp_path: Path, bad: str) -> None:
    (tmp_path / "file").write_text(FILES.get(bad, ""))
    given = BAD.get(bad, {"file": str(tmp_path / "file")})
    for options in ({"source": "http://127.0.0.1:1/a", "checksum": proof(b"")}, {"source": "/a"}):
        result = imported(capsys, tmp_path, **options, credentials=given)
        assert result["failed"] and any(word in result["msg"] for word in ("credentials", "username")), result
        assert CANARY not in json.dumps(result)


def test_a_signed_request_of_s3(capsys: Capsys, tmp_path: Path, image: bytes, logged: list[str]) -> None:
    """That servers accept the signature is shown by the examples that AWS publishes: see test_aws_signature."""
    with web(lambda _path, headers: Answer(200 if headers["Authorization"] else 403, image)) as server:
        given = {"access_key": "AKIAEDGE", "secret_key": CANARY, "session_token": "t0k3n", "region": "eu-west-1"}
        made = imported(capsys, tmp_path, source=f"{server.url}/images/a(1).qcow2", checksum=proof(image), credentials=given)
    ((path, headers),) = server.asked
    assert path == "/images/a%281%29.qcow2"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAEDGE/")
    assert headers["x-amz-security-token"] == "t0k3n"
    assert headers.get_all("Host") == [server.url.removeprefix("http://")]
    assert made["changed"] and server.url not in str(made.get("warnings")), "keys are never sent"
    assert CANARY not in json.dumps(made) + "".join(logged) + str(headers) + everything(tmp_path)
