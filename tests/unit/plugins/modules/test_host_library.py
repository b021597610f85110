# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_library in this process; its action plugin's part, the archive, is given by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._host.library import digest_of, pack, read
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "_room").mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "_room/b.py").write_text("from ..a import x\n")
    return folder


def run(capsys: Capsys, source: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module(capsys, "host_library", check=check, path=str(source.parent / "edge"), archive=pack(source), **options)


def test_its_whole_life(capsys: Capsys, source: Path) -> None:
    target = source.parent / "edge"
    checked = run(capsys, source, check=True)
    assert not target.exists()
    made = run(capsys, source)
    for key in ("changed", "actions", "diff", "library"):
        assert checked[key] == made[key]
    assert made["changed"]
    assert (target / "current/edge_cloud/_room/b.py").read_text() == "from ..a import x\n"
    assert not run(capsys, source)["changed"]
    (source / "a.py").write_text("x = 2\n")
    changed = run(capsys, source)
    assert changed["diff"]["before"]["version"] == made["library"]["version"]
    assert not run(capsys, source)["changed"]
    assert run(capsys, source, state="absent")["actions"] == ["Remove the library."]
    assert not target.exists()
    assert not run(capsys, source, state="absent")["changed"]


def test_the_name_alone_is_compared_and_writes_nothing(capsys: Capsys, source: Path) -> None:
    target, name = source.parent / "edge", digest_of(read(source))
    asked = run_module(capsys, "host_library", path=str(target), version=name)
    assert asked["actions"] == [f"Install the library {name}."] and not target.exists()
    run(capsys, source)
    assert not run_module(capsys, "host_library", path=str(target), version=name)["changed"]
    (target / "current/edge_cloud/a.py").write_bytes(b"\xff")
    spoilt = run_module(capsys, "host_library", path=str(target), version=name)
    assert spoilt["changed"] and spoilt["diff"]["before"] == {"whole": False}
    assert run(capsys, source)["changed"]
    assert not run_module(capsys, "host_library", path=str(target), version=name)["changed"]


def test_without_an_archive_it_says_so(capsys: Capsys, tmp_path: Path) -> None:
    shown = run_module(capsys, "host_library", path=str(tmp_path / "edge"))
    assert shown["error"]["code"] == "invalid_input"
    assert "archive" in shown["msg"]


def test_a_folder_of_somebody_else_is_not_removed(capsys: Capsys, source: Path) -> None:
    (source.parent / "edge").mkdir()
    (source.parent / "edge/mine").touch()
    assert run(capsys, source, state="absent")["error"]["code"] == "refused"
    assert (source.parent / "edge/mine").exists()
