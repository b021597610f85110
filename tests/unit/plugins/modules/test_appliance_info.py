# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module appliance_info over the real nginx: validators, proxies, offline use, refused servers."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import Faults, Served, faulty, nginx
from support.modules import run_module
from support.openpgp import signer
from support.waiting import until
from support.web_proxy import proxy
from support.web_server import Answer, web

Capsys = pytest.CaptureFixture[str]
MIB = 1024 * 1024
SHA = "a" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


@pytest.fixture
def served(tmp_path: Path, root: Path, authority: Authority) -> Iterator[Served]:
    with nginx(tmp_path / "nginx", root, authority, authority.issue("127.0.0.1"), clients="off") as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ask(
    capsys: Capsys, folder: Path, marketplace: dict[str, Any], authority: Authority | None = None, **options: Any
) -> dict[str, Any]:
    trust = {"ca_file": str(authority.ca_file)} if authority else {}
    cache = str(folder / "cache")
    return run_module(capsys, "appliance_info", marketplace=marketplace, cache_dir=cache, **trust, **options)


def statuses(served: Served) -> list[tuple[str, str]]:
    return [(line.split('"')[1].split()[1], line.split('"')[2].split()[0]) for line in served.requests()]


def sums(root: Path, *names: str) -> None:
    (root / "SHA256SUMS").write_text("".join(f"{SHA}  {name}\n" for name in names))


def test_a_catalogue_is_sent_once_and_again_only_when_it_changed(
    capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority
) -> None:
    sums(root, "debian-13-amd64.qcow2", "debian-12-amd64.qcow2")
    market = {"kind": "checksums", "url": served.url}
    first = ask(capsys, tmp_path, market, authority, version="newest")
    assert ([one["version"] for one in first["appliances"]], first["matched"], first["proven"]) == (["13"], 1, True)
    assert ask(capsys, tmp_path, market, authority, version="newest") == first
    assert statuses(served) == [("/SHA512SUMS", "404"), ("/SHA256SUMS", "200"), ("/SHA512SUMS", "404"), ("/SHA256SUMS", "304")]
    sums(root, "debian-14-amd64.qcow2", "debian-12-amd64.qcow2", "another.raw")
    assert [one["version"] for one in ask(capsys, tmp_path, market, authority, name="deb*")["appliances"]] == ["12", "14"]
    assert ask(capsys, tmp_path, market, authority, limit=1)["matched"] == 3
    assert statuses(served)[5] == ("/SHA256SUMS", "200")


def test_a_young_catalogue_needs_no_network(capsys: Capsys, tmp_path: Path, root: Path, authority: Authority) -> None:
    (root / "index.json").write_text('{"images": []}')
    with nginx(tmp_path / "nginx", root, authority, authority.issue("127.0.0.1"), clients="off") as server:
        market = {"kind": "index", "url": server.url}
        assert ask(capsys, tmp_path, market, authority)["appliances"] == []
    assert ask(capsys, tmp_path, market, authority, max_age=3600)["appliances"] == []
    assert ask(capsys, tmp_path, market, authority)["error"]["code"] == "unreachable"
    (kept,) = [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")]
    kept.write_bytes(kept.read_bytes().replace(b"[]", b"[1"))
    assert ask(capsys, tmp_path, market, authority, max_age=3600)["error"]["code"] == "unreachable"


def test_every_kind_over_tls(capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority) -> None:
    (root / "appliance").write_text(
        json.dumps({"appliances": [{"_id": {"$oid": "1"}, "name": "A", "files": [{"sha256": SHA}]}, 7]})
    )
    (root / "streams" / "v1").mkdir(parents=True)
    index = {"index": {"x": {"datatype": "image-downloads", "path": "streams/v1/x:y.json"}}}
    (root / "streams" / "v1" / "index.json").write_text(json.dumps(index))
    item = {"ftype": "disk1.img", "path": "a.img", "sha256": SHA}
    document = {"products": {"p": {"os": "x", "release": "y", "versions": {"1": {"items": {"d": item}}}}}}
    (root / "streams" / "v1" / "x:y.json").write_text(json.dumps(document))
    found = ask(capsys, tmp_path, {"kind": "opennebula", "url": served.url}, authority)
    assert [one["files"][0]["url"] for one in found["appliances"]] == [f"{served.url}appliance/1/download/0"]
    assert [one["entry"] for one in found["skipped"]] == ["1"]
    found = ask(capsys, tmp_path, {"kind": "simplestreams", "url": served.url}, authority)
    assert [(one["name"], one["files"][0]["url"]) for one in found["appliances"]] == [("x-y", served.url + "a.img")]
    found = ask(capsys, tmp_path, {"kind": "checksums", "url": served.url}, authority)
    assert found["error"]["code"] == "not_found"


def test_a_folder_of_the_host(capsys: Capsys, tmp_path: Path, root: Path) -> None:
    for name in ("debian-13-amd64.raw", "b.img", "notes.txt"):
        (root / name).write_bytes(b"x")
    (root / "evil.img").symlink_to("/etc/passwd")
    (root / "SHA512SUMS").write_text(f"{hashlib.sha512(b'x').hexdigest()}  debian-13-amd64.raw\n")
    sums(root, "debian-13-amd64.raw")
    found = ask(capsys, tmp_path, {"kind": "folder", "path": str(root)})
    assert [(one["name"], sorted(one["files"][0]["checksums"])) for one in found["appliances"]] == [
        ("b", []),
        ("debian", ["sha256", "sha512"]),
    ]
    assert found["appliances"][1]["files"][0] | {"checksums": {}} == {
        "url": f"{root}/debian-13-amd64.raw",
        "size": 1,
        "virtual_size": None,
        "checksums": {},
        "format": "raw",
    }
    assert [one["entry"] for one in found["skipped"]] == ["evil.img"]
    assert ask(capsys, tmp_path, {"kind": "folder", "path": str(root / "none")})["error"]["code"] == "not_found"
    assert ask(capsys, tmp_path, {"kind": "folder", "url": "https://x.example"})["error"]["code"] == "invalid_input"
    assert ask(capsys, tmp_path, {"kind": "index", "path": str(root)})["error"]["code"] == "not_found"


GOOD = {
    "products": {"p": {"os": "x", "release": "y", "versions": {"1": {"items": {"d": {"ftype": "disk1.img", "path": "a.img"}}}}}}
}
BAD_DOCUMENTS = {
    "gone": None,
    "no JSON": b"<html>",
    "no products": b"{}",
    "too large": b" " * (32 * MIB + 1),
    "a path that leads out": b"",
}


@pytest.mark.parametrize("bad", BAD_DOCUMENTS)
def test_a_bad_document_hides_no_other(
    capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority, *, bad: str
) -> None:
    streams = root / "streams" / "v1"
    streams.mkdir(parents=True)
    (streams / "good.json").write_text(json.dumps(GOOD))
    if BAD_DOCUMENTS[bad]:
        (streams / "bad.json").write_bytes(BAD_DOCUMENTS[bad] or b"")
    path = "/../bad.json" if bad == "a path that leads out" else "streams/v1/bad.json"
    index = {
        name: {"datatype": "image-downloads", "path": path} for name, path in {"bad": path, "z": "streams/v1/good.json"}.items()
    }
    (streams / "index.json").write_text(json.dumps({"index": index}))
    for market in ({"url": served.url}, {"path": str(root)}):
        found = ask(capsys, tmp_path, {"kind": "simplestreams", **market}, authority)
        assert [one["name"] for one in found["appliances"]] == ["x-y"]
        assert len(found["skipped"]) == 1
        (streams / "good.json").rename(streams / "kept")
        assert ask(capsys, tmp_path, {"kind": "simplestreams", **market}, authority)["failed"], "no document could be read"
        (streams / "kept").rename(streams / "good.json")


def test_a_bad_checksum_file_of_a_folder_hides_no_other(
    capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority
) -> None:
    (root / "debian-13-amd64.qcow2").write_bytes(b"x")
    (root / "SHA512SUMS").write_bytes(b"\0\1")
    sums(root, "debian-13-amd64.qcow2")
    for market in (
        {"kind": "folder", "path": str(root)},
        {"kind": "checksums", "path": str(root)},
        {"kind": "checksums", "url": served.url},
    ):
        found = ask(capsys, tmp_path, market, authority)
        assert [one["files"][0]["checksums"] for one in found["appliances"]] == [{"sha256": SHA}]
        assert ["is not text" in one["reason"] for one in found["skipped"]] == [True]


def test_a_folder_may_be_named_like_a_list(
    capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority
) -> None:
    (root / "checksums").mkdir()
    sums(root / "checksums", "debian-13-amd64.qcow2")
    for market in ({"url": f"{served.url}checksums/"}, {"path": f"{root}/checksums"}):
        assert ask(capsys, tmp_path, {"kind": "checksums", **market}, authority)["matched"] == 1
    assert ask(capsys, tmp_path, {"kind": "checksums", "url": f"{served.url}checksums/SHA256SUMS"}, authority)["matched"] == 1


def test_a_list_for_each_image(capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority) -> None:
    (root / "debian-13-amd64.qcow2").write_bytes(b"x")
    (root / "debian-13-amd64.qcow2.sha256").write_text(SHA)
    (root / "passwd.sha256").symlink_to("/etc/passwd")
    for market in (
        {"kind": "folder", "path": str(root)},
        {"kind": "checksums", "url": f"{served.url}debian-13-amd64.qcow2.sha256"},
    ):
        found = ask(capsys, tmp_path, market, authority)
        assert [one["files"][0]["checksums"] for one in found["appliances"]] == [{"sha256": SHA}]
        assert found["skipped"] == []


@pytest.mark.parametrize("bad", [b"<html>Sign in</html>", b"", b"\0", b"{"])
@pytest.mark.parametrize("kind", ["checksums", "index"])
def test_a_bad_catalogue_is_not_kept_and_replaces_no_good_one(
    capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority, *, kind: str, bad: bytes
) -> None:
    path = root / {"checksums": "SHA256SUMS", "index": "index.json"}[kind]
    good = {"checksums": f"{SHA}  debian-13-amd64.qcow2\n", "index": '{"images": []}'}[kind]
    market = {"kind": kind, "url": f"{served.url}{path.name}" if kind == "checksums" else served.url}
    path.write_bytes(bad)
    assert ask(capsys, tmp_path, market, authority)["error"]["code"] == "invalid_input"
    path.write_text(good)
    found = ask(capsys, tmp_path, market, authority, max_age=3600)
    path.write_bytes(bad)
    assert ask(capsys, tmp_path, market, authority)["error"]["code"] == "invalid_input"
    assert ask(capsys, tmp_path, market, authority, max_age=3600) == found, "the good one was replaced"
    assert ask(capsys, tmp_path, market, authority)["error"]["code"] == "invalid_input"
    until(lambda: len(served.requests()) >= 4, "the last request in the log")  # nginx writes it after it has answered
    assert len(served.requests()) == 4, "the kept one was asked for"


def test_a_signature_that_is_not_good_replaces_no_good_catalogue(
    capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority
) -> None:
    with signer("alice@example") as alice, signer("mallory@example") as mallory:
        ring = str(alice.keyring(tmp_path / "ring"))
        sums(root, "debian-13-amd64.qcow2")
        text = (root / "SHA256SUMS").read_bytes()
        (root / "SHA256SUMS.sign").write_bytes(alice.sign(text))
        (root / "CHECKSUM").write_bytes(alice.clear_sign(text))
        kinds = {"SHA256SUMS": {"signature_suffix": ".sign"}, "CHECKSUM": {}}
        good = {}
        for name, suffix in kinds.items():
            market = {"kind": "checksums", "url": served.url + name, "keyring": ring, **suffix}
            good[name] = (market, ask(capsys, tmp_path, market, authority)["appliances"])
        (root / "SHA256SUMS.sign").write_bytes(mallory.sign(text))
        (root / "CHECKSUM").write_bytes(mallory.clear_sign(text))
        for name in ("SHA256SUMS.sign", "CHECKSUM"):
            os.utime(root / name, (1, 1))  # nginx tells two of one second and length apart by nothing
        for market, found in good.values():
            assert ask(capsys, tmp_path, market, authority)["error"]["code"] == "refused"
            assert ask(capsys, tmp_path, market, authority, max_age=3600)["appliances"] == found, "what was not signed was kept"


def test_a_catalogue_that_the_server_packs_for_the_way_is_read(capsys: Capsys, tmp_path: Path) -> None:
    plain = f"{SHA}  debian-13-amd64.qcow2\n".encode()
    bodies = {"/good": gzip.compress(plain), "/bad": plain, "/bomb": gzip.compress(bytes(64 * MIB))}
    bodies |= {"/cut": bodies["/good"][:-9], "/more": bodies["/good"] * 2}
    encoding = {"Content-Encoding": "gzip"}
    with web(lambda path, _headers: Answer(body=bodies[path.removesuffix("/SHA256SUMS")], headers=encoding)) as server:
        said = {"good": None, "bad": "cannot be unpacked", "bomb": "is larger than", "cut": "cut short", "more": "more behind it"}
        for path, words in said.items():
            found = ask(capsys, tmp_path, {"kind": "checksums", "url": f"{server.url}/{path}/SHA256SUMS"})
            assert words in found["msg"] if words else found["matched"] == 1


def test_a_hundred_mebibytes_are_not_read(capsys: Capsys, tmp_path: Path, root: Path, served: Served, authority: Authority) -> None:
    with (root / "index.json").open("wb") as file:
        file.truncate(100 * MIB)
    for market in ({"url": served.url}, {"path": str(root)}):
        error = ask(capsys, tmp_path, {"kind": "index", **market}, authority)
        assert error["error"]["code"] == "invalid_input"
        assert "larger than 33554432 bytes" in error["msg"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == []


def test_a_cut_catalogue_is_not_kept(capsys: Capsys, tmp_path: Path, root: Path) -> None:
    (root / "appliance").write_bytes(b" " * MIB + b'{"appliances": []}')
    with faulty(root, Faults(cut_after=MIB // 2)) as url:
        market = {"kind": "opennebula", "url": url}
        assert ask(capsys, tmp_path, market)["error"]["code"] == "unreachable"
        assert list((tmp_path / "cache").iterdir()) == []
        assert ask(capsys, tmp_path, market)["proven"] is False


def test_a_client_without_our_certificate_is_not_believed(capsys: Capsys, tmp_path: Path, root: Path, authority: Authority) -> None:
    (root / "index.json").write_text('{"images": []}')
    for number, (name, seconds) in enumerate((("other.example", 3600), ("127.0.0.1", -3600))):
        with nginx(tmp_path / f"n{number}", root, authority, authority.issue(name, seconds=seconds), clients="off") as server:
            failed = ask(capsys, tmp_path, {"kind": "index", "url": server.url}, authority)
            assert failed["error"]["code"] == "unreachable"
            assert "certificate is not accepted" in failed["msg"]
            assert ask(capsys, tmp_path, {"kind": "index", "url": server.url})["error"]["code"] == "unreachable"


def test_proxies(capsys: Capsys, tmp_path: Path, served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "web"
    (root / "index.json").write_text('{"images": []}')
    market = {"kind": "index", "url": served.url}
    host = served.url.split("/")[2]
    with proxy() as way:
        assert not ask(capsys, tmp_path, market, authority, proxy=f"http://me:a%20b@127.0.0.1:{way.port}")["failed"]
        assert [line.split()[:2] for line in way.asked] == [["CONNECT", host]]
        assert way.credentials == ["Proxy-Authorization: Basic bWU6YSBi"]
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{way.port}")
        assert not ask(capsys, tmp_path, market, authority)["failed"]
        assert len(way.asked) == 2
        assert not ask(capsys, tmp_path, market, authority, proxy="none")["failed"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert not ask(capsys, tmp_path, market, authority)["failed"]
        assert len(way.asked) == 2
        with faulty(root, Faults()) as url:
            assert not ask(capsys, tmp_path, {"kind": "index", "url": url}, proxy=f"http://127.0.0.1:{way.port}")["failed"]
            assert way.asked[2] == f"GET {url}index.json HTTP/1.1"
    assert ask(capsys, tmp_path, market, authority, proxy="socks5://x")["error"]["code"] == "invalid_input"
    assert ask(capsys, tmp_path, market, authority, proxy="http://x:99999")["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(
    "options",
    [
        {"marketplace": {"kind": "index", "url": "ftp://x.example"}},
        {"marketplace": {"kind": "index", "path": "relative/../x"}},
        {"marketplace": {"kind": "index", "path": "/x"}, "max_age": -1},
        {"marketplace": {"kind": "index", "path": "/x"}, "limit": 0},
    ],
)
def test_bad_input(capsys: Capsys, options: dict[str, Any]) -> None:
    assert run_module(capsys, "appliance_info", **options)["error"]["code"] == "invalid_input"
