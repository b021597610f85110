# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input at every place where it can come in: each a clear error that names where, and nothing left behind."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files, _space
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import digest as digests
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.read_through import ReadThrough
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.sources.directory import DirectorySource
from support import hostile_images as hostile
from support.certificates import Authority
from support.image_server import Faults, faulty
from support.images import MIB, datastore, qcow2, raw
from support.modules import run_module
from support.small_disk import small_disk

Capsys = pytest.CaptureFixture[str]
ZEROS = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    folder = tmp_path_factory.mktemp("origin")
    return datastore(folder / "store", qcow2(folder / "a.qcow2", 3))


@pytest.fixture
def web(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with less room than the reserve."""
    with small_disk(tmp_path / "small", 4) as path:
        yield path


def imported(capsys: Capsys, folder: Path, **options: Any) -> dict[str, Any]:
    fixed = {"name": "debian", "version": "1", "root": str(folder / "store"), "disk_directories": [], "proxy": "none"}
    return run_module(capsys, "datastore_image", **{**fixed, "cache_dir": str(folder / "cache"), **options})


def pulled(capsys: Capsys, folder: Path, **options: Any) -> dict[str, Any]:
    return run_module(capsys, "replica_image", **{"root": str(folder / "store"), "disk_directories": [], **options})


def left(folder: Path) -> list[str]:
    """Return every file of a store or cache; folders do not count."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def require_status(result: dict[str, Any], code: str, *words: str) -> None:
    assert result["failed"], result
    assert result["error"]["code"] == code, result
    for word in words:
        assert word in result["msg"], result["msg"]


def sha256(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


# Hostile images: a file, a packed URL, a disk's source, a pull, and one that a VM would read before it is here.


@pytest.mark.parametrize("kind", [*hostile.REFUSED, *hostile.CHECKED])
def test_a_hostile_file_is_not_imported(capsys: Capsys, tmp_path: Path, kind: str) -> None:
    make, code, words = {**hostile.REFUSED, **hostile.CHECKED}[kind]
    make(tmp_path / "evil")
    require_status(imported(capsys, tmp_path, source=str(tmp_path / "evil")), code, str(tmp_path / "evil"), words)
    assert not (tmp_path / "store").exists() or left(tmp_path / "store") == []


@pytest.mark.parametrize("kind", hostile.REFUSED)
def test_a_hostile_download_is_not_imported_and_named_by_its_url(capsys: Capsys, tmp_path: Path, web: Path, kind: str) -> None:
    make, code, words = hostile.REFUSED[kind]
    make(tmp_path / "evil")
    (web / "evil.gz").write_bytes(gzip.compress((tmp_path / "evil").read_bytes(), 1))
    with faulty(web, Faults()) as url:
        result = imported(capsys, tmp_path, source=f"{url}evil.gz", checksum=sha256(web / "evil.gz"))
    require_status(result, code, words)
    assert "/partial/" not in result["msg"], result["msg"]
    assert left(tmp_path / "store") == []


@pytest.mark.parametrize("kind", hostile.REFUSED)
def test_a_hostile_source_becomes_no_disk(capsys: Capsys, tmp_path: Path, kind: str) -> None:
    make, code, words = hostile.REFUSED[kind]
    make(tmp_path / "evil")
    (tmp_path / "vms").mkdir()
    options = {"path": str(tmp_path / "vms" / "d"), "source": str(tmp_path / "evil"), "disk_directories": []}
    require_status(run_module(capsys, "qcow2_image", **options), code, words)
    assert left(tmp_path / "vms") == []


@pytest.mark.parametrize("kind", ["data file", "encrypted", "marked corrupt", "L1 entries", "cut in the header"])
def test_a_hostile_backing_image_gets_no_overlay(capsys: Capsys, tmp_path: Path, kind: str) -> None:
    make, code, words = hostile.REFUSED[kind]
    make(tmp_path / "evil")
    (tmp_path / "vms").mkdir()
    options = {"path": str(tmp_path / "vms" / "d"), "backing_image": str(tmp_path / "evil"), "disk_directories": []}
    require_status(run_module(capsys, "qcow2_image", **options), code, str(tmp_path / "evil"), words)
    assert left(tmp_path / "vms") == []


def published(folder: Path, path: Path, **changes: Any) -> str:
    """Put a file into a store as its image, as an evil Front-end would, and return its digest."""
    described = vars(digests.describe(path))
    image = Manifest.new(**described, virtual_size=MIB, name="debian", version="1", created="2026-01-02T03:04:05Z")
    folder.mkdir()
    shutil.copy(path, folder / f"{image.hex}.qcow2")
    data = json.loads(image.to_json())
    (folder / f"{image.hex}.pieces").write_bytes(b"".join(image.pieces.file()))
    (folder / f"{image.hex}.json").write_text(json.dumps({**data, **changes}))
    return image.digest


@pytest.mark.parametrize("kind", ["backing file", "backing file afar", "data file", "LUKS", "marked corrupt", "L1 outside"])
def test_a_hostile_image_of_a_source_is_not_pulled(capsys: Capsys, tmp_path: Path, kind: str) -> None:
    hostile.REFUSED[kind][0](tmp_path / "evil")
    digest = published(tmp_path / "origin", tmp_path / "evil")
    result = pulled(capsys, tmp_path, digest=digest, sources=[str(tmp_path / "origin")])
    assert result["failed"] and result["error"]["code"] in ("refused", "corrupt"), result
    assert digest in result["msg"]
    assert left(tmp_path / "store") == []


# Packed bombs, also as appliances.

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, 9),
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout,
}


@pytest.mark.parametrize("suffix", PACK)
def test_a_packed_bomb_of_a_marketplace_is_refused(capsys: Capsys, tmp_path: Path, web: Path, suffix: str) -> None:
    name = f"debian-1-amd64.raw.{suffix}"
    (web / name).write_bytes(PACK[suffix](bytes(64 * MIB)))
    (web / "SHA256SUMS").write_text(f"{sha256(web / name).removeprefix('sha256:')}  {name}\n")
    market = {"marketplace": {"kind": "folder", "path": str(web)}, "appliance": {"name": "debian"}}
    require_status(imported(capsys, tmp_path, **market, max_unpacked_size="8M"), "refused", "max_unpacked_size", name)
    assert left(tmp_path / "store") == []


def test_a_conversion_is_bounded_too(capsys: Capsys, tmp_path: Path) -> None:
    hostile.one_cluster_everywhere(tmp_path / "evil")
    result = imported(capsys, tmp_path, source=str(tmp_path / "evil"), max_unpacked_size="8M")
    require_status(result, "refused", "max_unpacked_size", str(tmp_path / "evil"))
    assert left(tmp_path / "store") == []


# Digests, checksums, names and paths.


@pytest.mark.parametrize("digest", ["sha256:" + "ab" * 32])
def test_an_unknown_digest(capsys: Capsys, tmp_path: Path, origin: tuple[Store, Manifest], digest: str) -> None:
    result = pulled(capsys, tmp_path, digest=digest, sources=[str(origin[0].root)])
    require_status(result, "not_found", digest, str(origin[0].root))
    assert not (tmp_path / "store").exists()
    with pytest.raises(EdgeError, match="no source has it"):
        ReadThrough(Store(tmp_path / "other"), digest, [DirectorySource(origin[0].root)])
    assert not (tmp_path / "other").exists()


def test_a_wrong_checksum(capsys: Capsys, tmp_path: Path, web: Path) -> None:
    path = qcow2(web / "a.qcow2", 1)
    for source in (str(path), "url"):
        with faulty(web, Faults()) as url:
            address = source if source != "url" else f"{url}a.qcow2"
            require_status(imported(capsys, tmp_path, source=address, checksum=ZEROS), "corrupt", ZEROS, sha256(path), address)
        assert not (tmp_path / "store").exists() or left(tmp_path / "store") == []


TRICKS = ["../a", "a/b", "/etc/passwd", "a\0b", "", ".a", "-rf", "a\nb", "a" * 200, "ä"]


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_in_a_name(capsys: Capsys, tmp_path: Path, origin: tuple[Store, Manifest], name: str) -> None:
    for options in ({"name": name}, {"version": name}):
        result = imported(capsys, tmp_path, source=str(origin[0].image_path(origin[1].digest)), **options)
        require_status(result, "invalid_input", "name" if "name" in options else "version")
    require_status(pulled(capsys, tmp_path, name=name, version="1", sources=[str(origin[0].root)]), "invalid_input", "name")
    require_status(pulled(capsys, tmp_path, digest=f"sha256:{name}", sources=[str(origin[0].root)]), "invalid_input", "digest")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://h:99999/a",
        "https://h:x/a",
        "https://[::1/a",
        "https://h/ä",
        "https://h/a b",
        "https://u:p@h/a",
        "https:///a",
        "https://h\n/",
    ],
)
def test_an_address_that_is_none(capsys: Capsys, tmp_path: Path, url: str) -> None:
    require_status(imported(capsys, tmp_path, source=url, checksum=ZEROS), "invalid_input", "is not a URL")
    require_status(pulled(capsys, tmp_path, digest=ZEROS, sources=[url]), "invalid_input", "is not a URL")
    market = {"kind": "index", "url": url}
    result = run_module(capsys, "appliance_info", marketplace=market, cache_dir=str(tmp_path / "cache"), proxy="none")
    require_status(result, "invalid_input", "is not an http or https URL")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": ZEROS}, {"size": 2**50}, {"size": -1}, {"piece_size": 3}, {"name": "../x"}, {"os": "\ud800"}, {"os": "a\x1bb"},
        {"root": []}, {"virtual_size": 2**70}, {"source_digest": "md5:1"},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_that_lies(capsys: Capsys, tmp_path: Path, changes: dict[str, Any]) -> None:
    digest = published(tmp_path / "origin", qcow2(tmp_path / "a.qcow2", 1), **changes)
    result = pulled(capsys, tmp_path, digest=digest, sources=[str(tmp_path / "origin")])
    assert result["failed"] and result["error"]["code"] in ("corrupt", "unreachable"), result
    assert str(tmp_path / "origin") in result["msg"]
    assert not (tmp_path / "store").exists() or left(tmp_path / "store") == []


# Servers that lie about what they give.


@contextmanager
def answering(status: int, headers: dict[str, str], body: Iterator[bytes] | bytes) -> Iterator[str]:
    """Answer every GET so, over plain http."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            try:
                for block in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(block)
            except OSError:
                pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(MIB)


ANSWERS = {
    "a length that is not one": (200, {"Content-Length": "\xb2"}, b"x", "unreachable", "length"),
    "a negative length": (200, {"Content-Length": "-5"}, b"x", "unreachable", "length"),
    "more than came": (200, {"Content-Length": "100"}, b"", "unreachable", "ended after 0 of 100"),
    "a redirect to nowhere": (302, {"Location": "http://[::1", "Content-Length": "0"}, b"", "unreachable", "not a URL"),
    "a redirect to a file": (302, {"Location": "file:///etc/passwd", "Content-Length": "0"}, b"", "unreachable", "only http and"),
    "redirects in a circle": (302, {"Location": "/", "Content-Length": "0"}, b"", "unreachable", "redirects in a circle"),
    "a header without end": (200, {"X": "x" * 70_000}, b"", "unreachable", ""),
    "an error": (500, {"Content-Length": "0"}, b"", "unreachable", "500"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_odd_answer(capsys: Capsys, tmp_path: Path, kind: str) -> None:
    status, headers, body, code, words = ANSWERS[kind]
    with answering(status, headers, body) as url:
        require_status(imported(capsys, tmp_path, source=f"{url}a", allow_unverified=True), code, words)
        require_status(imported(capsys, tmp_path, source=f"{url}a", checksum=ZEROS), code, words)
        market = {"kind": "index", "url": url}
        result = run_module(capsys, "appliance_info", marketplace=market, cache_dir=str(tmp_path / "cache"), proxy="none")
        require_status(result, code, words)
    assert left(tmp_path) == []


@pytest.mark.parametrize("options", [{"allow_unverified": True}, {"checksum": ZEROS}])
def test_a_download_without_end_leaves_the_reserve(
    capsys: Capsys, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(_space, "STEP", MIB)
    monkeypatch.setattr(_files, "RESERVE", MIB)
    monkeypatch.setattr(_files.require_space, "__defaults__", (MIB,))
    with answering(200, {}, endless()) as url:
        require_status(imported(capsys, small, source=f"{url}a", **options), "no_space", f"{url}a", "free some")
    assert left(small) == []


# Catalogues.

CATALOGUES: dict[str, bytes] = {
    "not JSON": b"<html>hello</html>",
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "a number": b"1",
    "a huge number": b'{"images": ' + b"9" * 10_000 + b"}",
    "no list": b'{"images": {"a": 1}, "appliances": 3}',
    "empty": b"",
}
READERS = {"index": "index.json", "opennebula": "appliance", "simplestreams": "streams/v1/index.json"}


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_a_catalogue_that_is_none(capsys: Capsys, tmp_path: Path, web: Path, authority: Authority, catalogue: str) -> None:
    pair = authority.issue("127.0.0.1")
    for kind, path in READERS.items():
        (web / path).parent.mkdir(parents=True, exist_ok=True)
        (web / path).write_bytes(CATALOGUES[catalogue])
        with faulty(web, Faults(), pair) as url:
            options = {"marketplace": {"kind": kind, "url": url}, "ca_file": str(authority.ca_file)}
            result = run_module(capsys, "appliance_info", **options, cache_dir=str(tmp_path / "cache"), proxy="none")
            require_status(result, "invalid_input", "The catalogue", url.rstrip("/"))
            require_status(imported(capsys, tmp_path, **options, appliance={"name": "x"}), "invalid_input", "The catalogue")
            if kind == "index":
                result = pulled(capsys, tmp_path, name="debian", sources=[url], ca_file=str(authority.ca_file))
                require_status(result, "unreachable", url)
    assert not (tmp_path / "store").exists()


def test_a_hundred_megabytes_of_catalogue(capsys: Capsys, tmp_path: Path, web: Path, authority: Authority) -> None:
    for path in (web / "index.json", web / f"{'0' * 64}.json"):
        with path.open("wb") as file:
            file.truncate(100_000_000)
    with faulty(web, Faults(), authority.issue("127.0.0.1")) as url:
        options = {"marketplace": {"kind": "index", "url": url}, "ca_file": str(authority.ca_file)}
        result = run_module(capsys, "appliance_info", **options, cache_dir=str(tmp_path / "cache"), proxy="none")
        require_status(result, "invalid_input", "larger than", url.rstrip("/"))
        for choice in ({"name": "debian"}, {"digest": ZEROS}):
            require_status(
                pulled(capsys, tmp_path, **choice, sources=[url], ca_file=str(authority.ca_file)), "unreachable", "larger than", url
            )
    for choice in ({"name": "debian"}, {"digest": ZEROS}):
        require_status(pulled(capsys, tmp_path, **choice, sources=[str(web)]), "unreachable", "larger than", str(web))
    assert left(tmp_path / "cache") == []
    assert not (tmp_path / "store").exists()


# Whom we talk to.


@pytest.mark.parametrize("kind", ["another name", "another CA", "expired", "no CA file", "no TLS"])
def test_a_server_that_is_not_the_one(
    capsys: Capsys, tmp_path: Path, web: Path, authority: Authority, origin: tuple[Store, Manifest], *, kind: str
) -> None:
    shutil.copytree(origin[0].root, web, dirs_exist_ok=True)
    stranger = Authority(tmp_path / "ca")
    pair = {
        "another name": lambda: authority.issue("other.example"),
        "another CA": lambda: stranger.issue("127.0.0.1"),
        "expired": lambda: authority.issue("127.0.0.1", seconds=-60),
    }.get(kind, lambda: authority.issue("127.0.0.1"))()
    ca_file = tmp_path / "none.crt" if kind == "no CA file" else authority.ca_file
    with faulty(web, Faults(), None if kind == "no TLS" else pair) as given:
        url = given.replace("http:", "https:")
        tls = {"ca_file": str(ca_file)}
        results = [
            imported(capsys, tmp_path, source=f"{url}{origin[1].hex}.qcow2", checksum=origin[1].digest, **tls),
            imported(capsys, tmp_path, marketplace={"kind": "index", "url": url}, appliance={"name": "debian"}, **tls),
            run_module(
                capsys,
                "appliance_info",
                marketplace={"kind": "index", "url": url},
                cache_dir=str(tmp_path / "c"),
                proxy="none",
                **tls,
            ),
            pulled(capsys, tmp_path, digest=origin[1].digest, sources=[url], **tls),
            pulled(capsys, tmp_path, name="debian", sources=[url], **tls),
        ]
    words = {
        "another name": ("certificate is not accepted", "IP address mismatch"),
        "another CA": ("certificate is not accepted",),
        "expired": ("certificate is not accepted", "expired"),
        "no CA file": ("none.crt", "cannot be used"),
        "no TLS": ("TLS failed",),
    }[kind]
    for result in results:
        require_status(result, "invalid_input" if kind == "no CA file" else "unreachable", *words)
    assert left(tmp_path / "c") == []
    assert not (tmp_path / "store").exists() or left(tmp_path / "store") == []


# No space, in each place where something is written.


def test_no_space(capsys: Capsys, tmp_path: Path, small: Path, web: Path, origin: tuple[Store, Manifest]) -> None:
    plain, packed, disk = qcow2(web / "a.qcow2", 6), web / "a.raw.gz", raw(web / "a.raw", 6)
    packed.write_bytes(gzip.compress(disk.read_bytes(), 1))
    with faulty(web, Faults()) as url:
        for source in (plain, packed, disk):
            require_status(imported(capsys, small, source=str(source)), "no_space", "free")
            require_status(imported(capsys, small, source=f"{url}{source.name}", checksum=sha256(source)), "no_space", "free")
    require_status(pulled(capsys, small, digest=origin[1].digest, sources=[str(origin[0].root)]), "no_space", "free")
    made = run_module(capsys, "qcow2_image", path=str(small / "d"), source=str(disk), disk_directories=[])
    require_status(made, "no_space", "free some")
    assert left(small) == []


def test_no_space_for_a_catalogue(capsys: Capsys, tmp_path: Path, small: Path, web: Path) -> None:
    (web / "index.json").write_text(json.dumps({"images": [], "padding": "x" * 6 * MIB}))
    with faulty(web, Faults()) as url:
        market = {"kind": "index", "url": url}
        require_status(
            run_module(capsys, "appliance_info", marketplace=market, cache_dir=str(small), proxy="none"), "no_space", "free some"
        )
    assert left(small) == []
