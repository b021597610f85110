# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's cloud-init, with what it prints (22.4 of Debian 12) where it is not installed here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.schema import check_schema
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner

WRONG = (
    "Cloud config schema deprecations: \nError:\nCloud config schema errors: mounts.0.1: None is not of type 'string', "
    "packages: 'nginx' is not of type 'array', users.0: {'name': 'a', 'passwd': 12} is not valid under any of the given schemas\n"
)
NEWER = "Error:\nCloud config schema errors: write_files.0: Additional properties are not allowed ('whatever' was unexpected)\n"
EMPTY = "Error:\nCloud config schema errors: packages: [] is too short\n"
CONFIG = "#cloud-config\na: 1\n"
OTHER = "#cloud-config\npackages: nginx\n"
Install = Callable[[int, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A program cloud-init that keeps what it is asked, prints what the real one does, and ends so."""

    def write(rc: int, prints: str) -> Path:
        (tmp_path / "says").write_text(prints)
        program = tmp_path / "cloud-init"
        program.write_text(
            f'#!/bin/sh\necho "$1 $2" > {tmp_path}/asked; cat "$3" >> {tmp_path}/asked\ncat {tmp_path}/says >&2; exit {rc}\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path / "asked"

    return write


@pytest.mark.parametrize(("name", "option"), [("user-data", "cloud_init.user_data"), ("vendor-data", "cloud_init.vendor_data")])
def test_what_the_schema_refuses_is_an_error_without_the_values(install: Install, name: str, option: str) -> None:
    asked = install(1, WRONG)
    with pytest.raises(InvalidInput) as caught:
        check_schema({name: CONFIG}, SubprocessRunner())
    assert caught.value.message == (
        f"{option}: cloud-init cannot use it: mounts.0.1 is not of type 'string'; packages is not of type 'array'; "
        "users.0 is not valid under any of the given schemas."
    )
    assert asked.read_text() == f"schema --config-file\n{CONFIG}"


@pytest.mark.parametrize(
    ("rc", "prints"), [(0, "Valid cloud-config: x\n"), (1, NEWER), (1, EMPTY), (2, "usage: cloud-init\n"), (1, "Traceback\n")]
)
def test_what_it_accepts_or_does_not_know_is_taken(install: Install, rc: int, prints: str) -> None:
    install(rc, prints)
    check_schema({"user-data": CONFIG}, SubprocessRunner())


def test_the_same_text_is_validated_once(install: Install) -> None:
    asked, known = install(1, WRONG), {CONFIG: ["mounts.0.1 is not of type 'string'"]}
    with pytest.raises(InvalidInput, match=r"cannot use it: mounts\.0\.1 is not of type 'string'\.$"):
        check_schema({"user-data": CONFIG}, SubprocessRunner(), known)
    assert not asked.exists()
    with pytest.raises(InvalidInput):
        check_schema({"vendor-data": OTHER}, SubprocessRunner(), known)
    assert asked.read_text() == f"schema --config-file\n{OTHER}"
    assert list(known) == [CONFIG, OTHER]
    asked.unlink()
    with pytest.raises(InvalidInput):
        check_schema({"user-data": OTHER}, SubprocessRunner(), known)
    assert not asked.exists()


def test_other_kinds_of_data_have_no_schema(install: Install) -> None:
    asked = install(1, WRONG)
    check_schema({"user-data": "#!/bin/sh\n", "meta-data": "{}"}, SubprocessRunner())
    assert not asked.exists()


def test_a_host_without_cloud_init(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check_schema({"user-data": CONFIG}, SubprocessRunner())


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="cloud-init is not installed here")
def test_the_real_one() -> None:
    check_schema({"user-data": "#cloud-config\npackages: [nginx]\n"}, SubprocessRunner())
    with pytest.raises(InvalidInput, match=r"packages is not of type 'array'"):
        check_schema({"user-data": "#cloud-config\npackages: nginx\n"}, SubprocessRunner())
