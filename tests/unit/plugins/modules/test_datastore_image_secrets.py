# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A URL that gives access, such as a presigned one, is used and shown to nobody."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.image_server import Faults, faulty
from support.images import MIB, qcow2
from support.modules import run_module

CANARY = "c4n4ry"
SIGNED = f"a.qcow2?X-Amz-Credential={CANARY}&X-Amz-Signature={CANARY}"
Capsys = pytest.CaptureFixture[str]


def run(capsys: Capsys, folder: Path, *, check: bool = False, module: str = "datastore_image", **options: Any) -> dict[str, Any]:
    if module == "datastore_image":
        options = {"name": "debian", "version": "1", "disk_directories": [str(folder / "vms")], **options}
    return run_module(capsys, module, check=check, root=str(folder / "store"), **options)


def everything(folder: Path) -> str:
    """All names of files and all texts in the store."""
    texts = [path.read_text() for path in folder.rglob("*.json")]
    return "\n".join([*map(str, folder.rglob("*")), *texts])


def test_a_signed_url_is_in_no_result_log_or_file(capsys: Capsys, tmp_path: Path, logged: list[str]) -> None:
    web = tmp_path / "web"
    web.mkdir()
    source = qcow2(web / "a.qcow2", 2)
    checksum = "sha256:" + hashlib.sha256(source.read_bytes()).hexdigest()
    with faulty(web, Faults()) as url:
        options = {"source": url + SIGNED, "checksum": checksum}
        results = [run(capsys, tmp_path, check=check, **options) for check in (True, False, False)]
        results.append(run(capsys, tmp_path, module="datastore_image_info"))
    assert [one["changed"] for one in results] == [True, True, False, False]
    assert results[1]["image"]["source"] == results[0]["image"]["source"] == f"{url}a.qcow2"
    assert CANARY not in json.dumps(results) + "".join(logged) + everything(tmp_path / "store")


def test_no_error_shows_a_signed_url(capsys: Capsys, tmp_path: Path, logged: list[str]) -> None:
    web = tmp_path / "web"
    web.mkdir()
    qcow2(web / "a.qcow2", 2)
    (web / "b.qcow2").write_bytes(b"QFI\xfb" + bytes(MIB))
    wrong = {"checksum": "sha256:" + "0" * 64}
    with faulty(web, Faults()) as url:
        host = url.removeprefix("http://")
        tries: list[dict[str, Any]] = [
            {"source": url + SIGNED},
            {"source": url + SIGNED, **wrong},
            {"source": f"{url}none.qcow2?sig={CANARY}", **wrong},
            {"source": f"{url}b.qcow2?sig={CANARY}", "allow_unverified": True},
            {"source": f"http://user:{CANARY}@{host}a.qcow2", "allow_unverified": True},
            {"source": f"http://{CANARY}@{host}a.qcow2", "allow_unverified": True},
            {"source": f"http://user:{CANARY} x@{host}a.qcow2", "allow_unverified": True},
            {"source": f"http://127.0.0.1:1/a?sig={CANARY}", "allow_unverified": True},
            {"source": f"https://{host}a?sig={CANARY}", "allow_unverified": True},
            {"source": url + SIGNED, "signature": f"{url}s?sig={CANARY}", "keyring": "/none"},
            {
                "marketplace": {"kind": "index", "url": f"{url}i?sig={CANARY}"},
                "appliance": {"name": "a"},
                "cache_dir": str(tmp_path),
            },
            {"source": url + "a.qcow2", "allow_unverified": True, "proxy": f"http://me:{CANARY}@127.0.0.1:1"},
            {"source": url + "a.qcow2", "allow_unverified": True, "proxy": f"me:{CANARY}@127.0.0.1:1"},
        ]
        for options in tries:
            result = run(capsys, tmp_path, **options)
            assert result["failed"], options
            assert CANARY not in json.dumps(result), options
    assert CANARY not in "".join(logged) + everything(tmp_path / "store")


def test_a_download_goes_on_with_another_signature(capsys: Capsys, tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    source = qcow2(web / "a.qcow2", 12)
    faults = Faults(cut_after=8 * MIB, cuts=9)
    checksum = "sha256:" + hashlib.sha256(source.read_bytes()).hexdigest()
    with faulty(web, faults) as url:
        assert run(capsys, tmp_path, source=f"{url}a.qcow2?sig=1", checksum=checksum)["changed"]
    assert faults.ranges
