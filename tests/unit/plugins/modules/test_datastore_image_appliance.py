# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module datastore_image with appliances: proofs, packed images, signatures, kills, all over real servers."""

from __future__ import annotations

import hashlib
import json
import lzma
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._files import held
from support.certificates import Authority, Pair
from support.hand_check import digest_of
from support.image_server import Faults, Served, faulty, nginx
from support.images import MIB, qcow2, qemu_img, raw
from support.modules import run_module
from support.openpgp import Signer, signer
from support.outcomes import RandomMoment
from support.processes import python
from support.waiting import LIMIT

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("127.0.0.1")


@pytest.fixture(scope="module")
def alice() -> Iterator[Signer]:
    with signer("alice@example") as one:
        yield one


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


@pytest.fixture
def served(tmp_path: Path, root: Path, authority: Authority, pair: Pair) -> Iterator[Served]:
    with nginx(tmp_path / "nginx", root, authority, pair, clients="off") as server:
        yield server


def run(capsys: Capsys, authority: Authority, folder: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    fixed = {
        "name": "debian", "version": "1", "root": str(folder / "store"), "disk_directories": [str(folder / "vms")],
        "ca_file": str(authority.ca_file), "cache_dir": str(folder / "cache"), "proxy": "none",
    }  # fmt: skip
    return run_module(capsys, "datastore_image", check=check, **{**fixed, **options})


def publish(root: Path, name: str, data: bytes, algorithm: str = "sha256") -> str:
    (root / name).write_bytes(data)
    found = hashlib.new(algorithm, data).hexdigest()
    sums = root / "SHA256SUMS"
    sums.write_text((sums.read_text() if sums.exists() else "") + f"{found}  {name}\n")
    return f"{algorithm}:{found}"


def nothing_in(store: Path) -> bool:
    return not store.exists() or (not list(store.glob("*.qcow2")) and not list((store / "partial").iterdir()))


def test_the_newest_packed_appliance(capsys: Capsys, authority: Authority, tmp_path: Path, served: Served) -> None:
    root = tmp_path / "web"
    plain = raw(tmp_path / "plain.raw", 2)
    publish(root, "debian-12-amd64.raw.xz", b"\xfd7zXZ\0 of long ago")
    proof = publish(root, "debian-13-amd64.raw.xz", lzma.compress(plain.read_bytes(), preset=0))
    options = {"marketplace": {"kind": "checksums", "url": served.url}, "appliance": {"name": "debian", "arch": "amd64"}}
    checked = run(capsys, authority, tmp_path, check=True, **options)
    assert checked["actions"][0] == f"Import debian 1 from {served.url}debian-13-amd64.raw.xz."
    made = run(capsys, authority, tmp_path, **options)
    assert made["actions"] == checked["actions"]
    assert made["image"]["source_digest"] == proof
    assert (made["image"]["os"], made["image"]["arch"]) == ("debian 13", "x86_64")
    qemu_img("compare", "-f", "raw", "-F", "qcow2", plain, made["image"]["path"])
    assert list((tmp_path / "store" / "partial").iterdir()) == []
    asked = len(served.requests())
    assert run(capsys, authority, tmp_path, **options)["changed"] is False
    assert len(served.requests()) == asked


def test_our_own_datastore_is_a_marketplace(capsys: Capsys, authority: Authority, tmp_path: Path, pair: Pair) -> None:
    first = run(capsys, authority, tmp_path / "a", source=str(qcow2(tmp_path / "a.qcow2", 1)), os="debian 13")["image"]
    with nginx(tmp_path / "nginx", tmp_path / "a" / "store", authority, pair, clients="off") as server:
        options = {"marketplace": {"kind": "index", "url": server.url}, "appliance": {"name": "debian"}}
        second = run(capsys, authority, tmp_path / "b", **options)["image"]
    assert (second["digest"], second["os"]) == (first["digest"], "debian 13")


def test_other_bytes_than_our_own_catalogue_names_are_refused(
    capsys: Capsys, authority: Authority, tmp_path: Path, pair: Pair
) -> None:
    first = run(capsys, authority, tmp_path / "a", source=str(qcow2(tmp_path / "a.qcow2", 1)))["image"]
    path = Path(first["path"])
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with nginx(tmp_path / "nginx", tmp_path / "a" / "store", authority, pair, clients="off") as server:
        options = {"marketplace": {"kind": "index", "url": server.url}, "appliance": {"name": "debian"}}
        refused = run(capsys, authority, tmp_path / "b", **options)
    assert refused["error"]["code"] == "corrupt"
    assert first["digest"].replace("sha256:", "image:") in refused["msg"]
    assert nothing_in(tmp_path / "b" / "store")


def test_what_proves_nothing_is_refused(capsys: Capsys, authority: Authority, tmp_path: Path, root: Path, pair: Pair) -> None:
    data = raw(tmp_path / "plain.raw", 1).read_bytes()
    sha256 = "sha256:" + hashlib.sha256(data).hexdigest()
    publish(root, "weak-1-amd64.raw", data, "md5")
    publish(root, "good-1-amd64.raw", data)
    with faulty(root, Faults(), pair) as url, faulty(root, Faults()) as plain_url:
        weak = {"marketplace": {"kind": "checksums", "url": url}, "appliance": {"name": "weak"}}
        plain = {"marketplace": {"kind": "checksums", "url": plain_url}, "appliance": {"name": "good"}}
        for options, words in ((weak, "it has: md5"), (plain, "plain http")):
            for check in (True, False):
                refused = run(capsys, authority, tmp_path, check=check, **options)
                assert refused["error"]["code"] == "refused"
                assert words in refused["msg"]
        assert nothing_in(tmp_path / "store")
        made = run(capsys, authority, tmp_path / "1", allow_unverified=True, **weak)
        assert made["image"]["source_digest"] == sha256
        assert run(capsys, authority, tmp_path / "2", checksum=sha256, **plain)["image"]["source_digest"] == sha256
        wrong = run(capsys, authority, tmp_path / "3", checksum="sha256:" + "0" * 64, **weak)
        assert wrong["error"]["code"] == "corrupt"
        assert nothing_in(tmp_path / "3" / "store")
        assert run(capsys, authority, tmp_path / "4", source=url + "good-1-amd64.raw", allow_unverified=True)["changed"]


def test_bytes_that_are_not_the_catalogues_are_refused(
    capsys: Capsys, authority: Authority, tmp_path: Path, served: Served
) -> None:
    publish(tmp_path / "web", "debian-13-amd64.raw", raw(tmp_path / "plain.raw", 1).read_bytes())
    raw(tmp_path / "web" / "debian-13-amd64.raw", 1, seed=2)
    options = {"marketplace": {"kind": "checksums", "url": served.url}, "appliance": {"name": "debian"}}
    assert run(capsys, authority, tmp_path, **options)["error"]["code"] == "corrupt"
    assert nothing_in(tmp_path / "store")


def test_a_cut_download_is_resumed(capsys: Capsys, authority: Authority, tmp_path: Path, root: Path, pair: Pair) -> None:
    data = raw(tmp_path / "plain.raw", 4).read_bytes()
    appliance = {"_id": {"$oid": "abc"}, "name": "D", "files": [{"sha256": hashlib.sha256(data).hexdigest()}]}
    (root / "appliance" / "abc" / "download").mkdir(parents=True)
    (root / "appliance" / "abc" / "download" / "0").write_bytes(data)
    (root / "all.json").write_text(json.dumps({"appliances": [appliance]}))
    faults = Faults(cut_after=2 * MIB)
    with faulty(root, faults, pair) as url:
        appliance["files"][0]["url"] = f"{url}appliance/abc/download/0"  # type: ignore[index]
        (root / "all.json").write_text(json.dumps({"appliances": [appliance]}))
        options = {"marketplace": {"kind": "opennebula", "path": str(root / "all.json")}, "appliance": {"id": "abc"}}
        assert run(capsys, authority, tmp_path, **options)["changed"]
    assert len(faults.ranges) == 1
    assert faults.served <= len(data) + MIB


def test_signatures(capsys: Capsys, authority: Authority, tmp_path: Path, served: Served, alice: Signer) -> None:
    root = tmp_path / "web"
    data = raw(tmp_path / "plain.raw", 1).read_bytes()
    publish(root, "debian-13-amd64.raw", data)
    ring = str(alice.keyring(tmp_path / "ring.asc", armour=True))
    market = {"kind": "checksums", "url": served.url + "SHA256SUMS", "signature_suffix": ".sign", "keyring": ring}
    signed = {"marketplace": market, "appliance": {"name": "debian"}}
    (root / "SHA256SUMS.sign").write_bytes(alice.sign(b"another file"))
    assert run(capsys, authority, tmp_path, **signed)["error"]["code"] == "refused"
    (root / "SHA256SUMS.sign").write_bytes(alice.sign((root / "SHA256SUMS").read_bytes(), armour=True))
    assert run(capsys, authority, tmp_path / "1", **signed)["changed"]

    clear = {"marketplace": {"kind": "checksums", "url": served.url + "CHECKSUM", "keyring": ring}, "appliance": {"name": "debian"}}
    text = (root / "SHA256SUMS").read_bytes()
    for unsigned in (text, alice.clear_sign(text).replace(b"debian-13", b"debian-14")):
        (root / "CHECKSUM").write_bytes(unsigned)
        assert run(capsys, authority, tmp_path / "5", **clear)["error"]["code"] == "refused"
    (root / "CHECKSUM").write_bytes(b"0" * 64 + b"  debian-99-amd64.raw\n" + alice.clear_sign(text))
    assert run(capsys, authority, tmp_path / "5", **clear)["changed"]

    url = served.url + "debian-13-amd64.raw"
    alone = {"source": url, "signature": url + ".sig", "keyring": ring}
    (root / "debian-13-amd64.raw.sig").write_bytes(alice.sign(data + b"x"))
    assert run(capsys, authority, tmp_path / "2", **alone)["error"]["code"] == "refused"
    assert nothing_in(tmp_path / "2" / "store")
    (root / "debian-13-amd64.raw.sig").write_bytes(alice.sign(data))
    made = run(capsys, authority, tmp_path / "2", **alone)
    assert made["image"]["source_digest"] == "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "options",
    [
        {"appliance": {}, "marketplace": {"kind": "folder", "path": "/srv"}},
        {"source": "/a", "signature": "ftp://x", "keyring": "/x"},
        {"source": "/a", "max_unpacked_size": "-1"},
    ],
)
def test_bad_input(capsys: Capsys, authority: Authority, tmp_path: Path, options: dict[str, Any]) -> None:
    assert run(capsys, authority, tmp_path, **options)["error"]["code"] == "invalid_input"


def test_the_qcow2_is_imported_of_several_formats(capsys: Capsys, authority: Authority, tmp_path: Path, served: Served) -> None:
    root = tmp_path / "web"
    proof = publish(root, "debian-13-amd64.qcow2", qcow2(tmp_path / "a.qcow2", 1).read_bytes())
    for suffix in ("raw", "vmdk", "tar.xz"):
        publish(root, f"debian-13-amd64.{suffix}", b"another format")
        publish(root, f"debian-12-amd64.{suffix}", b"another version")
    market = {"marketplace": {"kind": "checksums", "url": served.url}}
    made = run(capsys, authority, tmp_path, **market, appliance={"name": "debian"})
    assert (made["image"]["source_digest"], made["image"]["source"]) == (proof, f"{served.url}debian-13-amd64.qcow2")
    refused = run(capsys, authority, tmp_path / "1", **market, appliance={"name": "debian", "version": "12"})
    assert "debian-12-amd64.raw" in refused["msg"] and "debian-12-amd64.vmdk" in refused["msg"]
    publish(root, "debian-14-amd64.raw", b"newer, and no qcow2")
    newer = run(capsys, authority, tmp_path / "1", **market, appliance={"name": "debian"}, check=True)
    assert "debian-14-amd64.raw of the marketplace is taken, a raw" in str(newer["warnings"])
    assert "13 is (debian-13-amd64.qcow2)" in str(newer["warnings"])
    tar = run(capsys, authority, tmp_path / "1", **market, appliance={"id": "debian-13-amd64.tar.xz"})
    assert "is a tar archive" in tar["msg"] and "unpack it" in tar["msg"]


def test_an_entry_that_was_skipped_is_told_to_who_asks_for_it(capsys: Capsys, authority: Authority, tmp_path: Path) -> None:
    good = {
        "_id": {"$oid": "a1"},
        "name": "Debian",
        "version": "12",
        "files": [{"url": "https://127.0.0.1:9/a", "sha256": "a" * 64}],
    }
    bad = {**good, "_id": {"$oid": "b2"}, "version": "13", "files": [{"url": "https://x.example/a", "size": "1 GB"}]}
    (tmp_path / "all.json").write_text(json.dumps({"appliances": [good, bad, {**bad, "name": "Alpine"}]}))
    market = {"kind": "opennebula", "path": str(tmp_path / "all.json")}
    for query in ({"name": "alpine"}, {"id": "b2"}):
        refused = run(capsys, authority, tmp_path, marketplace=market, appliance=query)
        assert refused["msg"].startswith("appliance: ") and "its size is '1 GB'" in refused["msg"]
        assert len(refused["error"]["skipped"]) >= 1
    older = run(capsys, authority, tmp_path, marketplace=market, appliance={"name": "debian"}, check=True)
    assert older["actions"][0] == "Import debian 1 from https://127.0.0.1:9/a."
    assert "1 (Debian)" in str(older["warnings"]) and "its size is '1 GB'" in str(older["warnings"])


def test_a_bomb_is_refused(capsys: Capsys, authority: Authority, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.raw.xz"
    bomb.write_bytes(lzma.compress(bytes(64 * MIB)))
    assert run(capsys, authority, tmp_path, source=str(bomb), max_unpacked_size="1M")["error"]["code"] == "refused"
    assert nothing_in(tmp_path / "store")


IMPORT = """
import sys
from pathlib import Path
from LIBRARY._runner import SubprocessRunner
from LIBRARY._storage.format.foreign_image import Rules
from LIBRARY._storage.importing.import_ import ImageDescription, import_file
from LIBRARY._storage.format.qemu_img import QemuImg
from LIBRARY._storage.store.store import Store
print("begun", flush=True)
wanted = ImageDescription("debian", "1", created="2026-01-02T03:04:05Z")
import_file(Store(Path(sys.argv[1])), QemuImg(SubprocessRunner()), Path(sys.argv[2]), wanted=wanted, rules=Rules(), now=0)
"""


def importing(store: Path, source: Path) -> subprocess.Popen[str]:
    process = python(IMPORT, store, source)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_kills_in_the_middle_of_an_import_leave_nothing_under_a_name(capsys: Capsys, authority: Authority, tmp_path: Path) -> None:
    plain = raw(tmp_path / "plain.raw", 12)
    source = tmp_path / "debian.raw.xz"
    source.write_bytes(lzma.compress(plain.read_bytes(), preset=0))
    store = tmp_path / "store"
    begun = time.monotonic()
    assert importing(store, source).wait(LIMIT) == 0
    moment = RandomMoment(random.Random(7), time.monotonic() - begun)
    hits = 0
    for _round in range(50):
        run(capsys, authority, tmp_path, state="absent")
        victim = importing(store, source)
        moment.await_in(victim)
        victim.kill()
        hits += victim.wait() == -signal.SIGKILL
        for image in store.glob("*.qcow2"):
            assert digest_of(image) == f"sha256:{image.stem}"
        if hits == 5:
            break
    assert hits == 5, "too few kills came before the end of the import"
    made = run(capsys, authority, tmp_path, source=str(source))
    qemu_img("compare", "-f", "raw", "-F", "qcow2", plain, made["image"]["path"])
    left = [path for path in (store / "partial").iterdir() if path.suffix != ".lock" or held(path)]
    assert left == [], "a killed run leaves at most the name of a lock that nothing holds"
