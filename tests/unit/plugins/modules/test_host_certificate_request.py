# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_certificate_request makes keys once, for their group only, and asks for certificates that host_certificate signs."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.authority import Room
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]
PLAIN = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="keys belong to root")
ASKED = [
    {"name": "host", "common_name": "edge1", "group": "nogroup"},
    {"name": "qemu", "common_name": "qemu/edge1", "group": "root"},
]


def ask(capsys: Capsys, folder: Path, **options: Any) -> dict[str, Any]:
    return run_module(capsys, "host_certificate_request", **{"path": str(folder), "certificates": ASKED, **options})


def test_keys_are_made_once_and_only_for_their_group(capsys: Capsys, tmp_path: Path) -> None:
    folder = tmp_path / "edge/pki"
    checked = ask(capsys, folder, check=True)
    assert checked["changed"] and not folder.exists() and [one["request"] for one in checked["requests"]] == ["", ""]
    made = ask(capsys, folder)
    assert made["actions"] == checked["actions"] == [f"Make the key {folder}/host.key.", f"Make the key {folder}/qemu.key."]
    keys = {name: (folder / f"{name}.key").read_bytes() for name in ("host", "qemu")}
    for name, group in (("host", "nogroup"), ("qemu", "root")):
        about = (folder / f"{name}.key").stat()
        assert (about.st_uid, about.st_gid, about.st_mode & 0o7777) == (0, grp.getgrnam(group).gr_gid, 0o640)
    assert sorted(path.name for path in folder.iterdir()) == ["host.key", "qemu.key"]
    again = ask(capsys, folder)
    assert not again["changed"] and {name: (folder / f"{name}.key").read_bytes() for name in keys} == keys
    (folder / "host.key").chmod(0o644)
    mended = ask(capsys, folder)
    assert mended["actions"] == [f"Set who may read {folder}/host.key: its mode is 0644."]
    assert (folder / "host.key").stat().st_mode & 0o7777 == 0o640 and (folder / "host.key").read_bytes() == keys["host"]


def test_it_returns_what_is_there_and_no_key(capsys: Capsys, tmp_path: Path) -> None:
    asked = ask(capsys, tmp_path)
    (tmp_path / "host.crt").write_text("a certificate\n")
    (tmp_path / "ca.crt").write_text("# The CA is on front\n")
    done = ask(capsys, tmp_path)
    assert [one["present"] for one in done["requests"]] == ["a certificate\n", ""] and done["trusted"] == "# The CA is on front\n"
    for name in ("host", "qemu"):
        secret = (tmp_path / f"{name}.key").read_text().splitlines()[1]
        assert secret not in json.dumps(asked) + json.dumps(done)


def test_the_request_is_signed_for_what_the_caller_says(capsys: Capsys, tmp_path: Path) -> None:
    room = Room(tmp_path)
    (asked, _qemu) = ask(capsys, tmp_path / "pki")["requests"]
    read = x509.load_pem_x509_csr(asked["request"].encode())
    assert read.is_signature_valid and read.subject.rfc4514_string() == "CN=edge1"
    files = {"ca_certificate": str(room.path / "ca.crt"), "ca_key": str(room.path / "ca.key")}
    options = {"request": asked["request"], "common_name": "edge1", "names": ["DNS:edge1"], **files}
    signed = run_module(capsys, "host_certificate", **options)
    assert not signed["failed"], signed
    again = run_module(capsys, "host_certificate", present=signed["certificate"], **{
        **options, "request": ask(capsys, tmp_path / "pki")["requests"][0]["request"]})  # fmt: skip
    assert not again["changed"]


@pytest.mark.parametrize("what", ["nothing", "text", "rsa", "encrypted"])
def test_a_key_that_is_there_is_never_replaced(capsys: Capsys, tmp_path: Path, what: str) -> None:
    locked = (*PLAIN[:2], serialization.BestAvailableEncryption(b"x"))
    made = {
        "nothing": b"", "text": b"text",
        "rsa": rsa.generate_private_key(65537, 2048).private_bytes(*PLAIN),
        "encrypted": ec.generate_private_key(ec.SECP256R1()).private_bytes(*locked),
    }[what]  # fmt: skip
    (tmp_path / "host.key").write_bytes(made)
    done = ask(capsys, tmp_path)
    assert done["error"]["code"] == "invalid_input" and "Remove it and run again" in done["msg"]
    assert (tmp_path / "host.key").read_bytes() == made


@pytest.mark.parametrize("one", [
    {"name": "../x"}, {"name": ""}, {"name": "a/b"}, {"common_name": ""}, {"common_name": "x" * 65}, {"common_name": "a\nb"},
    {"group": "no-such-group"},
])  # fmt: skip
def test_what_is_no_name_makes_nothing(capsys: Capsys, tmp_path: Path, one: dict[str, str]) -> None:
    done = ask(capsys, tmp_path / "pki", certificates=[{**ASKED[0], **one}])
    assert done["error"]["code"] == "invalid_input" and not (tmp_path / "pki").exists()


RUN = """
import json, sys
from ansible_collections.edge.cloud.plugins.modules import host_certificate_request

class Module:
    params, check_mode = json.loads(sys.argv[1]), False

print(host_certificate_request.run(Module())["requests"][0]["request"])
"""


def test_runs_side_by_side_make_one_key(tmp_path: Path) -> None:
    options = json.dumps({"path": str(tmp_path), "certificates": ASKED})

    def made(_number: int) -> bytes:
        done = subprocess.run([sys.executable, "-c", RUN, options], capture_output=True, check=True).stdout
        key = x509.load_pem_x509_csr(done).public_key()
        return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(made, range(6)))) == 1
