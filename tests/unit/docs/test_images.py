# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each import of docs/images.md finds one file in the catalogue of its publisher, as that is written there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from docs.test_examples import TREE, blocks
from support.local_play import local_play
from support.modules import run_module

PAGE = TREE / "docs/images.md"
HEX = "0123456789abcdef" * 4
DEBIAN = [f"debian-13-{kind}-{arch}.{suffix}" for kind in ("genericcloud", "generic", "nocloud") for arch in ("amd64", "arm64")
          for suffix in ("json", "qcow2", "raw", "tar.xz")]  # fmt: skip
ROCKY = [f"Rocky-9-{kind}{dated}.x86_64.qcow2" for kind in ("GenericCloud-Base", "GenericCloud-LVM", "EC2-Base")
         for dated in ("-9.6-20250531.0", ".latest")]  # fmt: skip
ALMA = [f"AlmaLinux-9-GenericCloud-{version}.x86_64.qcow2" for version in ("9.6-20250522", "9.7-20251118", "latest")]
FEDORA = [f"Fedora-Cloud-Base-{kind}" for kind in ("Generic-43-1.6.x86_64.qcow2", "GCE-43-1.6.x86_64.tar.gz",
          "AmazonEC2-43-1.6.x86_64.raw.xz", "Azure-43-1.6.x86_64.vhdfixed.xz")]  # fmt: skip
LISTS = {  # the last part of the URL of a list, or of its folder: the name of the list's file and its text
    "latest": ("SHA512SUMS", "".join(f"{HEX * 2}  {name}\n" for name in DEBIAN)),
    "Fedora-Cloud-43-1.6-x86_64-CHECKSUM": (
        "",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        + "".join(f"# {name}: 555745280 bytes\nSHA256 ({name}) = {HEX}\n" for name in FEDORA)
        + "-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----\n",
    ),
    "rocky": ("", "".join(f"# {name}: 645988352 bytes\nSHA256 ({name}) = {HEX}\n" for name in ROCKY)),
    "almalinux": ("", "".join(f"{HEX}  {name}\n" for name in ALMA)),
}
WANTED = {
    "debian": "debian-13-genericcloud-amd64.qcow2",
    "ubuntu": "ubuntu-24.04-server-cloudimg-amd64.img",
    "fedora": "Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2",
    "rocky": "Rocky-9-GenericCloud-Base.latest.x86_64.qcow2",
    "almalinux": "AlmaLinux-9-GenericCloud-latest.x86_64.qcow2",
}


def tasks(found: Any) -> Iterator[dict[str, Any]]:
    """Yield the options of each import of the page."""
    for one in found if isinstance(found, list) else []:
        yield from tasks(one.get("tasks"))
        if "edge.cloud.datastore_image" in one:
            yield one["edge.cloud.datastore_image"]


IMPORTS = [one for language, text in blocks(PAGE) if language == "yaml" for one in tasks(yaml.safe_load(text))]


def ubuntu(folder: Path) -> Path:
    """Write streams as Ubuntu has them: two versions of a release, with a disk and a file system each."""
    streams = folder / "streams/v1"
    streams.mkdir(parents=True)
    document = "streams/v1/com.ubuntu.cloud:released:download.json"
    index = {"com.ubuntu.cloud:released:download": {"datatype": "image-downloads", "path": document, "format": "products:1.0"},
             "com.ubuntu.cloud:released:aws": {"datatype": "image-ids", "path": "streams/v1/aws.json"}}  # fmt: skip
    (streams / "index.json").write_text(json.dumps({"index": index, "format": "index:1.0"}))
    products = {}
    for arch in ("amd64", "arm64"):
        versions = {}
        for serial in ("20251001", "20251113"):
            path = f"server/releases/noble/release-{serial}/ubuntu-24.04-server-cloudimg-{arch}"
            items = {
                "disk1.img": {"ftype": "disk1.img", "path": f"{path}.img", "sha256": HEX, "size": 629145600},
                "root.tar.xz": {"ftype": "root.tar.xz", "path": f"{path}-root.tar.xz", "sha256": HEX, "size": 1},
            }
            versions[serial] = {"items": items, "label": "release"}
        products[f"com.ubuntu.cloud:server:24.04:{arch}"] = {
            "os": "ubuntu", "release": "noble", "version": "24.04", "arch": arch, "aliases": "24.04,noble", "versions": versions,
        }  # fmt: skip
    (folder / document).write_text(json.dumps({"products": products, "format": "products:1.0"}))
    return folder


def catalogue(marketplace: dict[str, Any], folder: Path) -> Path:
    if marketplace["kind"] == "simplestreams":
        return ubuntu(folder)
    parts = PurePosixPath(marketplace["url"]).parts
    name, text = next(found for part, found in LISTS.items() if part in parts)
    (folder / (name or parts[-1])).write_text(text)
    return folder if name else folder / parts[-1]


@pytest.mark.parametrize("options", [one for one in IMPORTS if "marketplace" in one], ids=lambda one: one["name"])
def test_an_import_finds_its_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, options: dict[str, Any]) -> None:
    market = options["marketplace"]
    assert market["url"].startswith("https://")
    place = {"kind": market["kind"], "path": str(catalogue(market, tmp_path))}
    cache = {"cache_dir": str(tmp_path / "cache")}
    found = run_module(capsys, "appliance_info", marketplace=place, version="newest", **options["appliance"], **cache)["appliances"]
    assert [PurePosixPath(one["files"][0]["url"]).name for one in found] == [WANTED[options["name"]]]


@pytest.mark.parametrize(
    ("name", "text"),
    [("opensuse-leap", f"{HEX}  openSUSE-Leap-15.6-Minimal-VM.x86_64-15.6.0-Cloud-Build16.36.qcow2\n"), ("alpine", HEX * 2 + "\n")],
)
def test_a_checksum_file_of_one_image_is_read(tmp_path: Path, name: str, text: str) -> None:
    options = next(one for one in IMPORTS if one["name"] == name)
    (tmp_path / f"image.{options['checksum'].split(':')[0]}").write_text(text)
    variables = {
        "image_url": f"file://{tmp_path}/image",
        "checksum": options["checksum"],
        "wanted": f"{options['checksum'].split(':')[0]}:{text.split(maxsplit=1)[0]}",
    }
    play = {"vars": variables, "tasks": [{"ansible.builtin.assert": {"that": "checksum == wanted"}}]}
    done = local_play(tmp_path, play)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_distributions_of_the_page_are_looked_at() -> None:
    assert {one["name"] for one in IMPORTS} == {*WANTED, "opensuse-leap", "alpine"}
