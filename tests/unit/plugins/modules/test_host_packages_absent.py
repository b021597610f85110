# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that came with us go again, and no others: the real apt and dpkg in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._system import package_record
from support.modules import run_module
from support.small_packages import SmallPackages, offer

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record of the packages is."""
    path = tmp_path / "edge/packages.json"
    monkeypatch.setattr(package_record, "RECORD", path)
    return path


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror: server and tool are for us."""
    folder = tmp_path_factory.mktemp("mirror")
    for name in ("base", "lib", "other-lib"):
        offer(folder, name)
    offer(folder, "tool", Depends="lib")
    offer(folder, "server", Depends="lib, other-lib | virtual")
    offer(folder, "theirs", Depends="lib")
    offer(folder, "advised", Recommends="lib")
    offer(folder, "hinted", Suggests="lib")
    return folder


@pytest.fixture
def host(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallPackages:
    """A host with the package base."""
    made = SmallPackages(mirror, tmp_path, monkeypatch)
    made.apt("update")
    made.apt("install", "base")
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], host: SmallPackages, record: Path) -> Run:
    return lambda needed_by, **options: run_module(capsys, "host_packages", needed_by=needed_by, **options)


def absent(run: Run, needed_by: str) -> dict[str, Any]:
    """Remove what is needed by one of ours: check mode says what is done, and a second run does nothing."""
    planned = run(needed_by, state="absent", check=True)
    done = run(needed_by, state="absent")
    assert not done["failed"] and planned["actions"] == done["actions"] and planned["packages"] == done["packages"]
    again = run(needed_by, state="absent")
    assert not again["changed"] and again["kept"] == done["kept"]
    return done


def test_what_was_missing_goes_again_with_its_dependencies(run: Run, host: SmallPackages, record: Path) -> None:
    before = host.installed()
    done = run("images", names=["server", "base"])
    assert done["changed"] and host.installed() == before | {"server", "lib", "other-lib"}
    assert json.loads(record.read_text())["brought"] == ["lib", "other-lib", "server"]
    assert not run("images", names=["base", "server"])["changed"]
    assert absent(run, "images")["actions"][0].startswith("Remove lib, other-lib, server: ")
    assert host.installed() == before and not record.parent.exists()


def test_what_the_host_had_stays(run: Run, host: SmallPackages, record: Path) -> None:
    host.apt("install", "server")
    before = host.installed()
    assert run("images", names=["server"])["actions"] == ["Note that images needs server."]
    assert absent(run, "images")["actions"] == ["Note that images needs no packages any more."]
    assert host.installed() == before and not record.parent.exists()


def test_what_is_only_noted_is_not_installed(run: Run, host: SmallPackages) -> None:
    before = host.installed()
    assert run("images", names=["base", "server"], install=False)["packages"] == {"installed": ["base"], "needed": ["base"]}
    assert not run("images", names=["base", "server"], install=False)["changed"] and host.installed() == before


def test_what_another_of_ours_needs_stays_until_it_goes_too(run: Run, host: SmallPackages) -> None:
    before = host.installed()
    run("images", names=["server", "other-lib"])
    run("disks", names=["other-lib", "lib"])
    done = absent(run, "images")
    assert done["kept"] == [] and host.installed() == before | {"lib", "other-lib"}
    absent(run, "disks")
    assert host.installed() == before


@pytest.mark.parametrize(("theirs", "stays"), [("theirs", {"lib"}), ("advised", {"lib"}), ("hinted", set())])
def test_what_somebody_else_needs_stays_and_is_told(
    run: Run, host: SmallPackages, record: Path, theirs: str, stays: set[str]
) -> None:
    before = host.installed()
    run("images", names=["server"])
    host.apt("install", theirs)
    done = absent(run, "images")
    assert host.installed() == before | {theirs} | stays
    assert set(done["kept"]) == stays and record.exists() is bool(stays)
    assert done["kept_by"] == (["theirs"] if theirs == "theirs" else [])
    host.apt("remove", theirs)
    absent(run, "images")
    assert host.installed() == before and not record.parent.exists()


def test_what_is_removed_and_installed_by_somebody_else_is_theirs(run: Run, host: SmallPackages) -> None:
    run("images", names=["server"])
    host.apt("remove", "server", "other-lib")
    run("disks", names=["lib", "other-lib"])
    host.apt("install", "server")
    absent(run, "images")
    absent(run, "disks")
    assert "server" in host.installed()


def test_settings_of_apt_take_nothing_more(run: Run, host: SmallPackages, tmp_path: Path) -> None:
    host.apt("install", "theirs")
    host.apt("remove", "theirs")  # lib is left over, as far as apt knows
    with (tmp_path / "apt.conf").open("a") as settings:
        settings.write('APT::Get::AutomaticRemove "true";\nAPT::Get::Purge "true";\n')
    before = host.installed()
    run("images", names=["server"])
    absent(run, "images")
    assert "lib" in before and host.installed() == before


def test_a_record_that_is_none_is_left_alone(run: Run, host: SmallPackages, record: Path) -> None:
    run("images", names=["server"])
    record.write_text('{"brought": "server", "needs": {}}')
    failed = run("images", state="absent")
    assert failed["error"]["code"] == "corrupt" and "server" in host.installed() and str(record) in failed["msg"]


@pytest.mark.parametrize("options", [{"names": ["base"], "needed_by": "../x"}, {"needed_by": "", "state": "absent"}])
def test_what_is_no_name_of_ours_is_refused(run: Run, options: dict[str, Any]) -> None:
    assert run(**options)["error"]["option"] == "needed_by"
