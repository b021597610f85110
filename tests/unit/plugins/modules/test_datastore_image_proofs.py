# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module datastore_image: checksums by URL, sources that are gone, archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.image_server import Faults, faulty, nginx
from support.images import qcow2
from support.modules import run_module
from support.web_server import Answer, web

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


def imported(capsys: Capsys, folder: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    fixed = {"name": "debian", "version": "1", "root": str(folder / "store"), "disk_directories": [], "proxy": "none"}
    return run_module(capsys, "datastore_image", check=check, **{**fixed, **options})


def hex_of(data: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, data).hexdigest()


def test_a_checksum_by_its_url(capsys: Capsys, tmp_path: Path, root: Path, authority: Authority) -> None:
    data = qcow2(root / "a b.qcow2", 1).read_bytes()
    lists = {
        "SHA256SUMS": f"{hex_of(data)}  ./sub/a b.qcow2\n{'0' * 64}  another.qcow2\n",
        "SHA512SUMS": f"SHA512 (a b.qcow2) = {hex_of(data, 'sha512')}\n",
        "alone.sha256": hex_of(data).upper(),
        "both": f"{hex_of(data)} *a b.qcow2\r\n{hex_of(data, 'sha512')} *a b.qcow2\r\n",
    }
    for name, text in lists.items():
        (root / name).write_text(text)
    with nginx(tmp_path / "nginx", root, authority, authority.issue("127.0.0.1"), clients="off") as server:
        trust = {"ca_file": str(authority.ca_file), "source": f"{server.url}a%20b.qcow2"}
        for number, (place, algorithm) in enumerate(
            (
                (f"{server.url}SHA256SUMS", "sha256"),
                (f"{server.url}SHA512SUMS", "sha512"),
                (f"{server.url}alone.sha256", "sha256"),
                (f"{server.url}both", "sha512"),
                (f"sha256:{server.url}both", "sha256"),
                (f"{root}/both", "sha512"),
            )
        ):
            made = imported(capsys, tmp_path / str(number), checksum=place, **trust)
            assert made["image"]["source_digest"] == f"{algorithm}:{hex_of(data, algorithm)}"
        asked = len(server.requests())
        assert imported(capsys, tmp_path / "0", checksum=f"{server.url}SHA256SUMS", **trust)["changed"] is False
        assert len(server.requests()) == asked, "an image that is here needs no list"

        (root / "SHA256SUMS").write_text(f"{'0' * 64}  a b.qcow2\n")
        (root / "md5").write_text(f"{hex_of(data, 'md5')}  a b.qcow2\n")
        for place, words in (
            ("SHA256SUMS", "is expected"),
            ("none", "is not there"),
            ("md5", "has no sha512 or sha256 of 'a b.qcow2', but only md5"),
        ):
            refused = imported(capsys, tmp_path / "x", checksum=f"{server.url}{place}", **trust)
            assert words in refused["msg"], refused
        missing = imported(
            capsys, tmp_path / "x", checksum=f"sha512:{server.url}both", **{**trust, "source": f"{server.url}c.qcow2"}
        )
        assert missing["msg"].startswith("checksum: ") and "it names a b.qcow2" in missing["msg"]


def test_a_list_over_plain_http_proves_nothing(capsys: Capsys, tmp_path: Path, root: Path) -> None:
    data = qcow2(root / "a.qcow2", 1).read_bytes()
    (root / "SHA256SUMS").write_text(f"{hex_of(data)}  a.qcow2\n")
    with faulty(root, Faults()) as url:
        options = {"source": f"{url}a.qcow2", "checksum": f"{url}SHA256SUMS"}
        refused = imported(capsys, tmp_path, **options)
        assert refused["error"]["code"] == "refused" and refused["msg"].startswith("checksum: ")
        assert imported(capsys, tmp_path, **options, allow_unverified=True)["changed"]


def test_what_came_in_place_of_the_image_is_named(capsys: Capsys, tmp_path: Path) -> None:
    nothing = "is expected; nothing was kept."
    answers = {
        "/page": (b"\n<!DOCTYPE html><html>Sign in</html>", "a sign-in page in between?"),
        "/packed": (gzip.compress(b"x" * 600), "although that was not asked for."),
        "/a.gz": (gzip.compress(b"x"), nothing),
        "/x": (b"x", nothing),
    }
    with web(lambda path, _headers: Answer(body=answers[path][0])) as server:
        for path, (_body, words) in answers.items():
            refused = imported(capsys, tmp_path, source=f"{server.url}{path}", checksum="sha256:" + "0" * 64)
            assert refused["msg"].endswith(words)
    assert list((tmp_path / "store" / "partial").iterdir()) == []


def test_a_rerun_needs_no_file_of_a_remote_source_either(capsys: Capsys, tmp_path: Path, root: Path) -> None:
    data = qcow2(root / "a.qcow2", 1).read_bytes()
    private = tmp_path / "private"
    private.mkdir()
    (private / "credentials.json").write_text('{"token": "x"}')
    (private / "SHA256SUMS").write_text(f"{hex_of(data)}  a.qcow2\n")
    with faulty(root, Faults()) as url:
        options = {
            "source": f"{url}a.qcow2",
            "checksum": str(private / "SHA256SUMS"),
            "credentials": {"file": str(private / "credentials.json")},
        }
        assert imported(capsys, tmp_path, **options)["changed"]
    shutil.rmtree(private)
    again = imported(capsys, tmp_path, **options, signature=str(private / "sig"), keyring=str(private / "ring"))
    assert not again["failed"] and not again["changed"], again
    assert "credentials.file" in imported(capsys, tmp_path / "new", **options)["msg"]


def test_a_rerun_needs_no_source_once_the_image_is_there(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    source = qcow2(tmp_path / "sources" / "a.qcow2", 1)
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{hex_of(source.read_bytes())}  a.qcow2\n")
    market = {"kind": "folder", "path": str(source.parent)}
    kinds: dict[str, dict[str, Any]] = {
        "a file": {"source": str(source)},
        "a checksum": {"source": str(source), "checksum": f"sha256:{hex_of(source.read_bytes())}"},
        "a list": {"source": str(source), "checksum": str(sums)},
        "a folder": {"marketplace": market, "appliance": {"name": "a"}, "allow_unverified": True},
    }
    for number, options in enumerate(kinds.values()):
        assert imported(capsys, tmp_path / str(number), **options)["changed"]
    other = {"source": str(source), "checksum": "sha256:" + "0" * 64}
    sums.unlink()
    for lose in (source.unlink, source.parent.rmdir, source.parent.touch):  # at last a file stands in place of its folder
        lose()
        for number, options in enumerate(kinds.values()):
            again = imported(capsys, tmp_path / str(number), **options)
            assert not again["failed"] and not again["changed"], again
    source.parent.unlink()
    assert imported(capsys, tmp_path / "0", **other)["error"]["code"] == "conflict"
    assert imported(capsys, tmp_path / "new", source=str(source))["error"]["code"] == "not_found"


def tar(data: bytes, kind: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=kind) as archive:
        member = tarfile.TarInfo("disk.raw")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.xz", "a.ova", "a.qcow2"])
def test_a_tar_is_called_a_tar(capsys: Capsys, tmp_path: Path, name: str, kind: int) -> None:
    disk = bytes(510) + b"\x55\xaa" + bytes(4096)
    data = tar(disk, kind)
    (tmp_path / name).write_bytes(lzma.compress(data) if name.endswith("xz") else data)
    for options in ({}, {"format": "qcow2"}):
        refused = imported(capsys, tmp_path, source=str(tmp_path / name), **options)
        assert f"{tmp_path}/{name} is a tar archive, not a disk image; unpack it (tar -xf)" in refused["msg"]
        assert "'disk.raw'" in refused["msg"]


def test_a_tar_of_an_old_tar_and_other_archives(capsys: Capsys, tmp_path: Path) -> None:
    data = bytearray(tar(b"x", tarfile.USTAR_FORMAT))
    data[257:512] = bytes(255)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "old").write_bytes(data)
    assert "is a tar archive" in imported(capsys, tmp_path, source=str(tmp_path / "old"))["msg"]
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("disk.raw", b"x")
    (tmp_path / "7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600))
    for name in ("zip", "7z"):
        assert f"is packed with {name}" in imported(capsys, tmp_path, source=str(tmp_path / name))["msg"]
