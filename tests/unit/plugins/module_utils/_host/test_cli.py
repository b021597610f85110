# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""edge-host: options or JSON in, JSON out, errors with their code."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._host.cli import main
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import lease
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import datastore, qcow2, qemu_img
from support.small_disk import small_disk

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps({"name": "site1", "host": "edge1", "images": {"root": str(tmp_path / "here"), "minimum_age": 0}}))
    return path


def run(capsys: Capsys, config: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    code = main(["--config", str(config), *argv])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        ([], "arguments are required: VERB; see edge-host --help."),
        (["dance"], "invalid choice: 'dance'"),
        (["point"], "arguments are required: WHAT; see edge-host point --help."),
        (
            ["pull", "--size=3"],
            "'--size=3' is unknown here; the options are --digest, --name, --version, --pinned, --progress-file.",
        ),
        (["point", "list", "--name", "web"], "'--name' is unknown here; the options are --vm."),
        (["point", "list", "web"], "'web' is unknown here; the options are --vm."),
        (["point", "run", "--vm", "web"], "'--vm' is unknown here; the options are none."),
        (["pull"], "digest: no image is named"),
        (["pull", "--digest", "sha256:12"], "is not valid"),
    ],
)
def test_wrong_words(capsys: Capsys, config: Path, argv: list[str], answer: str) -> None:
    code, shown = run(capsys, config, *argv)
    assert (code, shown["error"]["code"]) == (1, "invalid_input")
    assert answer in shown["msg"]


def test_without_a_configuration(capsys: Capsys, tmp_path: Path) -> None:
    code, shown = run(capsys, tmp_path / "none", "gc")
    assert (code, shown["error"]["code"]) == (1, "not_found")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"size": 3}', "size: this option is unknown; the options are digest, name, version, pinned, progress_file"),
        ('{"digest": 3}', "digest: 3 is not a str"),
        ('{"name": "x", "pinned": "yes"}', "pinned: 'yes' is not a bool"),
    ],
)
def test_wrong_json(capsys: Capsys, config: Path, monkeypatch: pytest.MonkeyPatch, text: str, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    code, shown = run(capsys, config, "pull", "-")
    assert (code, shown["error"]["code"]) == (1, "invalid_input")
    assert answer in shown["msg"]


def test_options_and_json_mean_the_same(capsys: Capsys, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _store, image = datastore(tmp_path / "here", qcow2(tmp_path / "a.qcow2", 2))
    code, spoken = run(capsys, config, "pull", "--digest", image.digest)
    assert (code, spoken["changed"], spoken["image"]["digest"]) == (0, False, image.digest)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"name": image.name, "version": image.version, "pinned": True})))
    code, read = run(capsys, config, "pull", "-")
    assert (code, read["actions"], read["image"]["pinned"]) == (0, ["Pin the image."], True)
    for words, pinned in (([], True), (["--no-pinned"], False), ([], False), (["--pinned"], True)):
        code, spoken = run(capsys, config, "pull", "--digest", image.digest, *words)
        assert (code, spoken["image"]["pinned"]) == (0, pinned)


def test_the_images_of_a_host(capsys: Capsys, config: Path, tmp_path: Path) -> None:
    _store, image = datastore(tmp_path / "here", qcow2(tmp_path / "a.qcow2", 2))
    assert run(capsys, config, "cache")[1]["bytes"] == image.size
    assert run(capsys, config, "scrub")[1]["checked"] == 1
    given = json.loads(config.read_text())
    given["images"]["quota_bytes"] = 0
    config.write_text(json.dumps(given))
    code, shown = run(capsys, config, "gc")
    assert (code, [one["digest"] for one in shown["removed"]], shown["quota"]) == (0, [image.digest], 0)
    assert Store(tmp_path / "here").images() == []


def test_damage_that_nobody_repairs_is_an_error(capsys: Capsys, config: Path, tmp_path: Path) -> None:
    store, image = datastore(tmp_path / "here", qcow2(tmp_path / "a.qcow2", 2))
    path = store.image_path(image.digest)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(70_000)
        byte = file.read(1)
        file.seek(70_000)
        file.write(bytes([byte[0] ^ 1]))
    code, shown = run(capsys, config, "scrub")
    assert (code, shown["error"]["code"], shown["error"]["damaged"][0]["digest"]) == (1, "corrupt", image.digest)


def test_a_disk_that_is_gone_for_ever_is_released(capsys: Capsys, config: Path, tmp_path: Path) -> None:
    store, image = datastore(tmp_path / "here", qcow2(tmp_path / "a.qcow2", 1))
    path = store.image_path(image.digest)
    with small_disk(tmp_path / "disk", 8) as folder:
        qemu_img("create", "-f", "qcow2", "-b", path, "-F", "qcow2", folder / "d")
        lease.write(path, folder / "d", folder / "d")
        code, shown = run(capsys, config, "release", "--path", str(folder / "d"))
        assert (code, shown["error"]["code"]) == (1, "refused")
    assert run(capsys, config, "cache")[1]["images"][0]["doubts"]
    for words, left in ((["--check"], True), ([], False)):
        code, shown = run(capsys, config, "release", "--path", str(tmp_path / "disk" / "d"), *words)
        assert (code, shown["images"]) == (0, [path.name])
        assert bool(run(capsys, config, "cache")[1]["images"][0]["doubts"]) is left
    assert run(capsys, config, "release")[1]["error"]["code"] == "invalid_input"
