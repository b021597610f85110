# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module libvirt_settings in this process, on files like those of libvirt's packages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]
SHIPPED = "# Master configuration\n#migrate_tls_force = 0\n"
SETTINGS = {"migrate_tls_force": 1, "names": ["CN=a", "CN=b"], "folder": "/etc/pki"}
LINES = ["migrate_tls_force = 1", 'names = ["CN=a", "CN=b"]', 'folder = "/etc/pki"']
BLOCK = "\n".join(["# BEGIN edge.cloud migration", *LINES, "# END edge.cloud migration", ""])


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "qemu.conf"
    path.write_text(SHIPPED)
    path.chmod(0o644)
    return path


def run(
    capsys: Capsys, conf: Path, *, check: bool = False, settings: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    file = {"path": str(conf), "settings": SETTINGS if settings is None else settings, "mode": "0600"}
    return run_module(capsys, "libvirt_settings", check=check, **{"name": "migration", "files": [file], **options})


def test_its_whole_life(capsys: Capsys, conf: Path) -> None:
    checked = run(capsys, conf, check=True)
    assert conf.read_text() == SHIPPED
    made = run(capsys, conf)
    for key in ("changed", "actions", "diff", "settings"):
        assert checked[key] == made[key]
    assert made["changed"] and conf.read_text() == SHIPPED + BLOCK and conf.stat().st_mode & 0o777 == 0o600
    assert not run(capsys, conf)["changed"]
    other = run(capsys, conf, settings={"spice_tls": 1}, name="displays")
    assert other["changed"] and not run(capsys, conf)["changed"]
    assert not run(capsys, conf, settings={"spice_tls": 1}, name="displays")["changed"]
    assert run(capsys, conf, settings={}, name="displays", state="absent")["changed"]
    assert conf.read_text() == SHIPPED + BLOCK
    assert run(capsys, conf, settings={}, state="absent")["changed"]
    assert conf.read_text() == SHIPPED
    assert not run(capsys, conf, settings={}, state="absent")["changed"]


FOREIGN = [
    "migrate_tls_force = 0\n",
    "  migrate_tls_force=0 # why\n",
    'names = ["CN=evil"]\n',
    'names = [\n  "CN=a", # first ] and\n  "CN=evil",\n]\nother = 1\n',
    "folder = '/srv'",
    'folder = """/srv"""\n',
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_setting_in_the_way_is_refused_or_kept_as_a_comment(capsys: Capsys, conf: Path, foreign: str) -> None:
    before = SHIPPED + foreign + ("" if foreign.endswith("\n") else "\n")
    conf.write_text(before)
    refused = run(capsys, conf)
    assert refused["error"]["code"] == "refused" and f"{conf}:3 sets " in refused["msg"] and conf.read_text() == before
    made = run(capsys, conf, replace=True)
    assert made["changed"] and not run(capsys, conf, replace=True)["changed"]
    live = [line for line in conf.read_text().splitlines() if not line.startswith("#")]
    assert "migrate_tls_force = 1" in live and not any(
        "evil" in line or "srv" in line or line.strip().endswith("= 0") for line in live
    )
    run(capsys, conf, settings={}, state="absent")
    assert conf.read_text() == before


@pytest.mark.parametrize("same", ["migrate_tls_force = 1\n", "names = ['CN=a',\n'CN=b']\n", "folder='/etc/pki' # ours too\n"])
def test_the_same_value_is_not_in_the_way(capsys: Capsys, conf: Path, same: str) -> None:
    conf.write_text(same)
    assert run(capsys, conf)["changed"] and conf.read_text() == same + BLOCK


def test_nothing_is_written_where_one_file_is_refused(capsys: Capsys, conf: Path, tmp_path: Path) -> None:
    second = tmp_path / "libvirtd.conf"
    second.write_text("spice_password = 'c4n4ry'\n")
    files = [{"path": str(conf), "settings": SETTINGS}, {"path": str(second), "settings": {"spice_password": "x"}}]
    refused = run(capsys, conf, files=files)
    assert f"{second}:1 sets spice_password to another one" in refused["msg"] and "c4n4ry" not in str(refused)
    assert conf.read_text() == SHIPPED


def test_bad_input(capsys: Capsys, conf: Path) -> None:
    assert "files[0].settings.a" in run(capsys, conf, settings={"a": {"b": 1}})["msg"]
    assert "settings.a" in run(capsys, conf, settings={"a": 'x"y'})["msg"]
    assert "files[0].settings" in run(capsys, conf, settings={})["msg"]
    assert run(capsys, conf.with_name("none"))["error"]["code"] == "not_found"
    assert run(capsys, conf.with_name("none"), check=True)["changed"]
    conf.write_text("# BEGIN edge.cloud migration\n")
    assert f"{conf}: line 1" in run(capsys, conf)["msg"]


@pytest.mark.parametrize(
    "foreign",
    [
        b"z = 1; migrate_tls_force = 0\n",
        b"z = 1\rmigrate_tls_force = 0\r",
        b'z = ["x"] ; migrate_tls_force=0 # why\n',
        b"migrate_tls_force = 0;z=1",
    ],
)
def test_a_setting_beside_another_one_is_seen_and_left_to_people(capsys: Capsys, conf: Path, foreign: bytes) -> None:
    """libvirt takes a semicolon and a carriage return for the end of a setting."""
    conf.write_bytes(foreign)
    assert f"{conf}:1 sets migrate_tls_force to 0" in run(capsys, conf)["msg"]
    assert "a line of its own" in run(capsys, conf, replace=True)["msg"] and conf.read_bytes() == foreign


@pytest.mark.parametrize(
    "text", [b'z = """\nmigrate_tls_force = 0\n"""\n', b'z = "; migrate_tls_force = 0"\n', b"migrate_tls_force = +1\r\n"]
)
def test_what_is_in_no_way_stays(capsys: Capsys, conf: Path, text: bytes) -> None:
    conf.write_bytes(text)
    assert run(capsys, conf)["changed"] and conf.read_bytes() == text + BLOCK.encode()


def test_a_block_with_other_line_ends_is_ours(capsys: Capsys, conf: Path) -> None:
    run(capsys, conf, settings={"migrate_tls_force": 0})
    conf.write_bytes(conf.read_bytes().replace(b"\n", b"\r\n"))
    assert run(capsys, conf)["changed"] and conf.read_text().count("BEGIN") == 1
    assert not run(capsys, conf)["changed"]


def test_what_would_break_the_file_is_refused(capsys: Capsys, conf: Path) -> None:
    for key in ("a-b", "a = 0\nb", "1a", ""):
        assert "a key has letters" in run(capsys, conf, settings={key: 1})["msg"]
    assert "63 bits" in run(capsys, conf, settings={"a": 10**30})["msg"]
    assert run(capsys, conf, name="x\ny = 2")["msg"].startswith("name:")
    link = conf.with_name("link")
    link.symlink_to(conf)
    files = [{"path": str(conf), "settings": {"a": 1}}, {"path": str(link), "settings": {"b": 1}}]
    assert run(capsys, conf, files=files)["error"]["option"] == "files[1].path"
    assert run(capsys, conf, files=[{"path": str(conf), "settings": {"a": 1}, "mode": 420}])["error"]["option"] == "files[0].mode"
    assert conf.read_text() == SHIPPED


def test_owner_and_mode_are_there_with_the_name(capsys: Capsys, conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the rename must not leave a file that its readers may read no more."""
    os.chown(conf, 0, 7)
    conf.chmod(0o640)
    seen, rename = [], Path.rename

    def cut(work: Path, path: Path) -> Path:
        about = work.stat()
        seen.append((about.st_gid, about.st_mode & 0o777))
        return rename(work, path)

    monkeypatch.setattr(Path, "rename", cut)
    run(capsys, conf, files=[{"path": str(conf), "settings": SETTINGS, "mode": "0644"}])
    assert seen == [(7, 0o640)]
