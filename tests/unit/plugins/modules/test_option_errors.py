# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An error about an option begins with the option's path and carries it, in every module of images."""

from pathlib import Path
from typing import Any

import pytest
from support.modules import run_module

Options = dict[str, Any]
IMAGE = {"name": "debian", "version": "13"}
MARKET = {"kind": "checksums", "url": "https://market.example/"}
CASES: list[tuple[str, str, Options]] = [
    ("replica_image", "root", {"digest": "sha256:" + "0" * 64, "root": "relative/../x"}),
    ("replica_image", "digest", {"digest": "sha256:0"}),
    ("replica_image", "name", {"name": "a b"}),
    ("replica_image", "version", {"name": "debian", "version": "1 3"}),
    ("replica_image", "version", {"name": "debian", "state": "absent"}),
    ("replica_image", "sources[1]", {"name": "debian", "sources": ["/srv/images", "ftp://x"]}),
    ("replica_image", "sources[0]", {"name": "debian", "sources": ["https://x:99999/"]}),
    ("replica_image", "rate_limit", {"name": "debian", "rate_limit": 0}),
    ("replica_image", "cluster_file", {"name": "debian", "cluster_file": "/nowhere.json"}),
    ("datastore_image", "name", {**IMAGE, "name": "../x"}),
    ("datastore_image", "source", IMAGE),
    ("datastore_image", "source", {**IMAGE, "source": "/nowhere.qcow2"}),
    ("datastore_image", "source", {**IMAGE, "source": "https://x.example/a.qcow2"}),
    ("datastore_image", "checksum", {**IMAGE, "checksum": "md5:0"}),
    ("datastore_image", "min_disk", {**IMAGE, "min_disk": "much"}),
    ("datastore_image", "max_virtual_size", {**IMAGE, "max_virtual_size": "0"}),
    ("datastore_image", "signature", {**IMAGE, "signature": "x", "keyring": "/k"}),
    ("datastore_image", "appliance", {**IMAGE, "appliance": {}, "marketplace": MARKET}),
    ("appliance_info", "limit", {"marketplace": MARKET, "limit": 0}),
    ("appliance_info", "max_age", {"marketplace": MARKET, "max_age": -1}),
    ("appliance_info", "marketplace.url", {"marketplace": {"kind": "folder", "url": "https://x.example"}}),
    ("appliance_info", "marketplace.url", {"marketplace": {"kind": "index", "url": "ftp://x.example"}}),
    ("appliance_info", "marketplace", {"marketplace": {"kind": "folder", "path": "/nowhere"}}),
    ("appliance_info", "proxy", {"marketplace": MARKET, "proxy": "socks5://x"}),
    ("image_cache", "quota_bytes", {"quota_bytes": "much"}),
    ("image_cache", "quota_percent", {"quota_percent": 101}),
    ("image_cache", "minimum_age", {"minimum_age": -1}),
    ("image_scrub", "sources[0]", {"sources": ["x"]}),
    ("qcow2_image", "size", {}),
    ("qcow2_image", "size", {"size": "much"}),
    ("qcow2_image", "cluster_size", {"size": "1M", "cluster_size": "3K"}),
    ("qcow2_image", "backing_image", {"backing_image": "/nowhere.qcow2"}),
    ("qcow2_image", "source", {"source": "/nowhere.qcow2"}),
    ("qcow2_image", "size", {"size": 1.5}),
    ("qcow2_image", "path", {"size": "1M", "path": "/tmp/\0"}),
    ("replica_image", "name", {"name": "debian\0"}),
    ("replica_image", "version", {"name": "debian", "version": 1.1}),
    ("datastore_image", "version", {**IMAGE, "version": 24.04}),
    ("datastore_image", "marketplace.url", {**IMAGE, "appliance": {"name": "a"}, "marketplace": {**MARKET, "url": 5}}),
]


@pytest.mark.parametrize(("module", "option", "options"), CASES)
def test_an_error_begins_with_the_option(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, module: str, option: str, options: Options
) -> None:
    place = {"qcow2_image": "path", "appliance_info": "cache_dir"}.get(module, "root")
    failed = run_module(capsys, module, **{place: str(tmp_path / "place"), **options})
    assert failed["failed"]
    assert failed["msg"].startswith(f"{option}: "), failed["msg"]
    assert failed["error"]["option"] == option
