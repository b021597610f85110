# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_files on real files, and by ansible-playbook where the controller's part counts; units: see its lab test."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.local_play import local_play
from support.modules import run_module

ME = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return lambda **options: run_module(capsys, "host_files", **options)


def all_kinds(root: Path, text: str = "one\n") -> dict[str, Any]:
    return {
        "folders": [{"path": str(root / "a"), "mode": "0750", **ME}, {"path": str(root / "a/b"), **ME}],
        "files": [{"path": str(root / "a/b/f"), "content": text, "mode": "0600", **ME}],
        "links": [{"path": str(root / "a/l"), "to": "b/f"}],
    }


def test_its_whole_life(run: Run, tmp_path: Path) -> None:
    checked = run(check=True, **all_kinds(tmp_path))
    assert checked["changed"] and not (tmp_path / "a").exists()
    made = run(**all_kinds(tmp_path))
    for key in ("changed", "actions", "diff", "files"):
        assert made[key] == checked[key]
    assert (tmp_path / "a/l").read_text() == "one\n" and (tmp_path / "a").stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "a/b/f").stat().st_mode & 0o7777 == 0o600
    assert run(**all_kinds(tmp_path))["actions"] == []
    changed = run(**all_kinds(tmp_path, "two\n"))
    assert changed["actions"] == [f"Write {tmp_path}/a/b/f: its content differs."]
    assert changed["diff"][0]["before"].endswith("one\n") and changed["diff"][0]["after"].endswith("two\n")
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["f"]
    gone = run(state="absent", **all_kinds(tmp_path))
    assert gone["changed"] and not (tmp_path / "a").exists() and gone["kept"] == []
    assert not run(state="absent", **all_kinds(tmp_path))["changed"]


def test_owner_and_mode_are_mended_and_named(run: Run, tmp_path: Path) -> None:
    run(**all_kinds(tmp_path))
    (tmp_path / "a").chmod(0o777)
    (tmp_path / "a/b/f").chmod(0o644)
    words = [f"Set the folder {tmp_path}/a: its mode is 0777.", f"Write {tmp_path}/a/b/f: its mode is 0644."]
    assert run(**all_kinds(tmp_path))["actions"] == words


def test_the_second_name_of_a_file_keeps_its_mode(run: Run, tmp_path: Path) -> None:
    """A hard link to a file of somebody else is replaced, not changed through it."""
    foreign = tmp_path / "foreign"
    foreign.write_text("one\n")
    foreign.chmod(0o640)
    (tmp_path / "a/b").mkdir(parents=True)
    os.link(foreign, tmp_path / "a/b/f")
    assert run(**all_kinds(tmp_path))["changed"]
    assert foreign.stat().st_mode & 0o7777 == 0o640 and foreign.stat().st_nlink == 1


@pytest.mark.parametrize("place", ["a", "a/b"])
def test_a_link_in_a_folder_that_others_write_is_refused(run: Run, tmp_path: Path, place: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(target)
    (tmp_path / place).parent.chmod(0o777)
    options = all_kinds(tmp_path)
    if place == "a/b":
        options["folders"] = []
    answer = run(**options)
    assert answer["error"]["code"] == "refused" and str(tmp_path / place) in answer["msg"]
    assert list(target.iterdir()) == []


def test_a_link_of_root_that_moves_a_folder_is_followed_and_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "a").symlink_to("disk")
    tmp_path.chmod(0o755)
    assert run(**all_kinds(tmp_path))["changed"] and (tmp_path / "disk/b/f").exists()
    assert not run(**all_kinds(tmp_path))["changed"]
    assert "reached through a symbolic link" in run(state="absent", **all_kinds(tmp_path))["kept"][0]
    assert (tmp_path / "a").is_symlink() and list((tmp_path / "disk").iterdir()) == []


@pytest.mark.parametrize("kind", ["folders", "files", "links"])
def test_what_is_of_another_kind_is_left_alone(run: Run, tmp_path: Path, kind: str) -> None:
    options = {kind: all_kinds(tmp_path)[kind][:1]}
    path = Path(options[kind][0]["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    answer = run(**options)
    assert answer["error"]["code"] == "conflict" and answer["error"]["option"] == f"{kind}[0]"
    kept = run(state="absent", **options)
    assert not kept["changed"] and "neither a file, a folder nor a link" in kept["kept"][0] and path.is_fifo()


def test_a_folder_with_other_things_is_kept_unless_said(run: Run, tmp_path: Path) -> None:
    run(**all_kinds(tmp_path))
    (tmp_path / "a/b/other").touch()
    gone = run(state="absent", **all_kinds(tmp_path))
    assert gone["kept"] == [f"{tmp_path}/a is kept: it is not empty.", f"{tmp_path}/a/b is kept: it is not empty."]
    options = all_kinds(tmp_path)
    options["folders"][0]["remove_contents"] = True
    assert run(state="absent", **options)["changed"] and not (tmp_path / "a").exists()


def test_a_file_that_is_refused_leaves_the_old_one(run: Run, tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "f"), "validate": "grep -q good %s", **ME}
    run(files=[{**file, "content": "good\n"}])
    answer = run(files=[{**file, "content": "bad\n"}])
    assert answer["error"]["option"] == "files[0]" and "grep -q good" in answer["msg"]
    assert (tmp_path / "f").read_text() == "good\n" and [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_copy_of_a_file_of_the_host_follows_it_and_shows_nothing(run: Run, tmp_path: Path) -> None:
    key, copy = tmp_path / "a/key", tmp_path / "b/key"
    options = {"files": [{"path": str(copy), "copy_of": str(key), "mode": "0640", **ME}]}
    missing = run(**options)
    assert missing["error"]["code"] == "not_found" and missing["error"]["option"] == "files[0].copy_of" and not copy.exists()
    assert run(check=True, **options)["files"] == [str(copy)]
    key.parent.mkdir()
    for text in ("private one", "private two"):
        key.write_text(text)
        made = run(**options)
        assert copy.read_text() == text and copy.stat().st_mode & 0o7777 == 0o640
        assert made["changed"] and "private" not in str(made)
        assert not run(**options)["changed"]
    key.unlink()
    key.symlink_to(copy)
    assert run(**options)["error"]["code"] == "conflict"
    assert run(state="absent", **options)["changed"] and not copy.exists()


def test_what_a_killed_run_left_is_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".f.edge-new").symlink_to(tmp_path / "elsewhere")
    run(files=[{"path": str(tmp_path / "f"), "content": "x", **ME}])
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_what_a_killed_run_left_goes_with_its_folder(run: Run, tmp_path: Path) -> None:
    """It may hold a secret."""
    run(**all_kinds(tmp_path))
    (tmp_path / "a/b/.f.edge-new").write_text("secret")
    assert not run(**all_kinds(tmp_path))["changed"]
    assert run(state="absent", **all_kinds(tmp_path))["kept"] == [] and not (tmp_path / "a").exists()


def test_the_umask_makes_no_difference(run: Run, tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        run(files=[{"path": str(tmp_path / "above/below/f"), "content": "x", **ME}])
    finally:
        assert os.umask(umask) == 0o077
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("above", "above/below", "above/below/f")] == [0o755, 0o755, 0o644]


def test_any_name_of_the_owner_will_do(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several users can have one number, as root and toor."""
    run(**all_kinds(tmp_path))
    other = pwd.struct_passwd(("toor", "x", os.geteuid(), 0, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _number: other)
    assert not run(**all_kinds(tmp_path))["changed"]


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"files": [{"path": "relative", "content": ""}]}, "files[0].path"),
        ({"files": [{"path": "/tmp/../etc/x", "content": ""}]}, "files[0].path"),
        ({"files": [{"path": "/tmp/x"}]}, "files[0]"),
        ({"files": [{"path": "/tmp/x", "content": "", "secret_content": ""}]}, "files[0]"),
        ({"files": [{"path": "/tmp/x", "content": "", "copy_of": "/tmp/y"}]}, "files[0]"),
        ({"files": [{"path": "/tmp/x", "copy_of": "y"}]}, "files[0].copy_of"),
        ({"files": [{"path": "/tmp/x", "content": "", "mode": "420!"}]}, "files[0].mode"),
        ({"files": [{"path": "/tmp/x", "content": "", "validate": "true"}]}, "files[0].validate"),
        ({"files": [{"path": "/tmp/x", "content": ""}], "links": [{"path": "/tmp//x", "to": "y"}]}, "links[0]"),
        ({"units": [{"name": "../x.service"}]}, "units[0].name"),
        ({"units": [{"name": "x@.service", "content": "", "state": "started"}]}, "units[0]"),
        ({"units": [{"name": "x@.service", "content": "", "enabled": True}]}, "units[0]"),
        ({"files": [{"path": "/tmp/edge-nobody", "content": "", "owner": "no-such-user"}]}, "files[0].owner"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(run: Run, options: dict[str, Any], path: str) -> None:
    answer = run(**options)
    assert answer["failed"] and answer["error"]["option"] == path and answer["msg"].startswith(path)


def test_the_controller_renders_templates_and_shows_no_secret(tmp_path: Path) -> None:
    role = tmp_path / "roles/r"
    for folder, name, text in (
        ("templates", "t.j2", "{{ word }}\n"),
        ("files", "s", "as {{ it }} is\n"),
        ("templates", "k.j2", "{{ word }}9"),
    ):
        (role / folder).mkdir(parents=True, exist_ok=True)
        (role / folder / name).write_text(text)
    (role / "tasks").mkdir()
    root = tmp_path / "host"
    root.mkdir()
    files = [
        {"path": f"{root}/t", "template": "t.j2", **ME},
        {"path": f"{root}/s", "source": "s", **ME},
        {"path": f"{root}/k", "template": "k.j2", "secret": True, **ME},
        {"path": f"{root}/i", "content": "{{ word }}8", "secret": "yes", **ME},
    ]
    (role / "tasks/main.yml").write_text(yaml.safe_dump([{"name": "Do", "edge.cloud.host_files": {"files": files}}]))
    done = local_play(tmp_path, {"roles": ["r"], "vars": {"word": "c4n4ry"}}, "-vvv", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(root / name).read_text() for name in "tski"] == ["c4n4ry\n", "as {{ it }} is\n", "c4n4ry9", "c4n4ry8"]
    assert not {"c4n4ry8", "c4n4ry9"} & set(re.findall(r"c4n4ry\d", done.stdout + done.stderr)) and "(secret)" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
@pytest.mark.parametrize("contents", [False, True])
def test_a_folder_on_which_a_file_system_is_mounted_is_kept(run: Run, tmp_path: Path, contents: bool) -> None:
    place = tmp_path / "a b"
    place.mkdir()
    if contents:
        (place / "of-others").touch()
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        gone = run(state="absent", folders=[{"path": str(place), "remove_contents": contents, **ME}])
    finally:
        subprocess.run(["umount", place], check=True)
    assert not gone["failed"] and gone["kept"] == [f"{place} is kept: a file system is mounted there."]
    assert (place / "of-others").exists() == contents
