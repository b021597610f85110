# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module uplink in this process, with the real ip(8) in a name space made without root, as far as no systemd is needed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.modules import run_module
from support.netspace import cable, ip, netspace
from support.waiting import until


@pytest.fixture
def uplink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    with netspace(tmp_path, monkeypatch):
        cable("edge-t0", "far0")
        ip("addr", "add", "192.0.2.10/24", "dev", "edge-t0")
        yield partial(run_module, capsys, "uplink", check=True)


def test_missing_arguments(uplink: Any) -> None:
    assert "missing required arguments: name" in uplink()["msg"]


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"name": "a/b"}, "name"),
        ({"port": "a/b"}, "port"),
        ({"port": "br0"}, "port"),
        ({"rollback_after": 5}, "rollback_after"),
        ({"rollback_after": 5000}, "rollback_after"),
    ],
)
def test_bad_input_is_named(uplink: Any, options: dict[str, Any], option: str) -> None:
    failed = uplink(**{"name": "br0", **options})
    assert failed["error"] == {"code": "invalid_input", "option": option}
    assert failed["msg"].startswith(f"{option}: ")


def test_without_a_default_route_the_port_is_asked_for(uplink: Any) -> None:
    assert uplink(name="br0")["error"]["code"] == "not_found"
    ip("route", "add", "default", "via", "192.0.2.1")
    assert "configures edge-t0" in uplink(name="br0")["msg"]


def test_a_port_that_nothing_configures_is_refused(uplink: Any) -> None:
    until(lambda: "tentative" not in ip("addr"), "the kernel's own addresses, which it tests for a second")
    before = ip("addr")
    refused = uplink(name="br0", port="edge-t0", allow_disruption=True)
    assert refused["error"] == {"code": "unsupported", "option": "port"}
    assert uplink(name="br0", port="eth9")["error"]["code"] == "not_found"
    assert ip("addr") == before


def test_a_bridge_of_others_is_left_alone(uplink: Any) -> None:
    assert not uplink(name="br0", state="absent")["changed"]
    ip("link", "add", "br0", "type", "bridge")
    assert uplink(name="br0", state="absent")["error"]["code"] == "conflict"
    assert uplink(name="br0", port="edge-t0")["error"]["code"] == "conflict"


def test_a_token_that_is_not_known(uplink: Any) -> None:
    assert uplink(name="br0", token="0")["error"]["code"] == "not_found"
