# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules bridge and bridge_info in this process, with the real ip(8) and kernel in a name space made without root."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.plan import BridgeRequest, plan
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.modules import run_module
from support.netspace import carrier, ip, netspace


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    folder = tmp_path / "network"
    folder.mkdir()
    return folder


@pytest.fixture
def module(tmp_path: Path, boot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    with netspace(tmp_path, monkeypatch):
        for number in (0, 1):
            ip("link", "add", f"eth{number}", "type", "veth", "peer", "name", f"far{number}")
        yield partial(run_module, capsys, boot_directory=str(boot))


@pytest.fixture
def bridge(module: Any) -> Any:
    return partial(module, "bridge", name="br0")


def test_missing_arguments(module: Any) -> None:
    assert "missing required arguments: name" in module("bridge")["msg"]


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"name": "lo"}, "name"),
        ({"ports": ["a/b"]}, "ports"),
        ({"ports": ["br0"]}, "ports"),
        ({"addresses": ["192.0.2.1"]}, "addresses"),
        ({"mtu": 1}, "mtu"),
        ({"mac": "ff:ff:ff:ff:ff:ff"}, "mac"),
        ({"stp": True, "forward_delay": 1}, "forward_delay"),
        ({"boot": "networkd", "boot_directory": "/no/such/folder"}, "boot_directory"),
    ],
)
def test_bad_input_is_named_and_nothing_is_made(bridge: Any, options: dict[str, Any], option: str) -> None:
    assert bridge(**options)["error"] == {"code": "invalid_input", "option": option}
    assert "br0" not in ip("-br", "link")


def test_create_change_and_remove_each_twice(bridge: Any, boot: Path) -> None:
    options = {"ports": ["eth0"], "addresses": ["192.0.2.1/24"], "mtu": 1400, "boot": "networkd"}
    predicted = bridge(check=True, **options)
    assert "br0" not in ip("-br", "link")
    assert not list(boot.iterdir())
    made = bridge(**options)
    assert made["changed"]
    assert (made["diff"], made["actions"]) == (predicted["diff"], predicted["actions"])
    assert made["diff"]["after"]["ports"] == ["eth0"]
    assert made["bridge"]["mtu"] == 1400
    assert len(list(boot.iterdir())) == 3
    again = bridge(**options)
    assert (again["changed"], again["bridge"]) == (False, made["bridge"])

    changed = bridge(ports=["eth1"], addresses=["2001:db8::1/64"], stp=True, forward_delay=2)
    assert changed["diff"]["before"] == {"ports": ["eth0"], "addresses": ["192.0.2.1/24"], "stp": False, "forward_delay": 15.0}
    assert changed["diff"]["after"] == {"ports": ["eth1"], "addresses": ["2001:db8::1/64"], "stp": True, "forward_delay": 2.0}
    assert not bridge(ports=["eth1"], addresses=["2001:db8::1/64"], stp=True, forward_delay=2)["changed"]

    assert bridge(state="absent", check=True)["bridge"] == {"state": "absent", "boot_files": {}}
    assert bridge(state="absent")["changed"]
    assert "br0" not in ip("-br", "link")
    assert not list(boot.iterdir())
    assert not bridge(state="absent")["changed"]


def test_the_default_route_moves_only_with_the_word(bridge: Any) -> None:
    ip("link", "set", "eth0", "up")
    ip("link", "set", "far0", "up")
    carrier("eth0")
    ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    ip("route", "add", "default", "via", "192.0.2.254")
    before = ip("route")
    assert bridge(ports=["eth0"])["error"]["code"] == "refused"
    assert ip("route") == before
    assert bridge(ports=["eth0"], allow_disruption=True)["bridge"]["addresses"] == ["192.0.2.1/24"]
    assert ip("route") == before.replace("eth0", "br0")
    assert bridge(state="absent")["error"]["code"] == "refused"


def test_errors_name_what_is_in_the_way(bridge: Any) -> None:
    assert bridge(name="eth0")["error"]["code"] == "conflict"
    missing = bridge(ports=["eth9"])
    assert missing["error"] == {"code": "not_found", "option": "ports", "port": "eth9"}
    assert "eth0, eth1" in missing["msg"]


def test_no_iproute(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr("ansible.module_utils.common.process.os.path.exists", lambda _path: False)
    failed = module("bridge", name="br0")
    assert failed["error"] == {"code": "unsupported", "program": "ip"}


def test_what_a_killed_run_left_of_a_boot_file_goes(bridge: Any, boot: Path) -> None:
    left = boot / ".50-edge-br0.network.new"
    for options in ({"boot": "networkd"}, {"state": "absent"}):
        left.write_text("half a fi")
        assert bridge(**options)["changed"]
        assert not left.exists()
    assert not list(boot.iterdir())


def test_a_removal_that_was_killed_anywhere_gives_all_back_at_the_next_run(bridge: Any) -> None:
    ip("link", "set", "eth0", "up")
    ip("link", "set", "far0", "up")
    ip("addr", "add", "192.0.2.7/24", "dev", "eth0")
    ip("route", "add", "203.0.113.0/24", "via", "192.0.2.1", "dev", "eth0")
    done, number = 0, 1
    while done < number:
        assert bridge(ports=["eth0"], allow_disruption=True)["changed"]
        options = BridgeRequest.checked({"name": "br0", "state": "absent", "allow_disruption": True})
        (step,) = plan(IpRoute(SubprocessRunner()).observe(), {}, options).steps
        commands = step.commands  # type: ignore[attr-defined]
        for words in commands[:done]:
            ip(*words)
        bridge(state="absent", allow_disruption=True)
        assert "192.0.2.7/24" in ip("-br", "addr", "show", "eth0"), commands[:done]
        assert "via 192.0.2.1" in ip("route", "show", "dev", "eth0"), commands[:done]
        done, number = done + 1, len(commands)
    assert number == 5


def test_info(module: Any, bridge: Any, boot: Path) -> None:
    assert module("bridge_info")["bridges"] == []
    made = bridge(ports=["eth0"], boot="networkd")
    ip("link", "add", "br1", "type", "bridge")
    (boot / "50-edge-br1.netdev").write_text("of somebody else")
    found = module("bridge_info")
    assert not found["changed"]
    assert [item["name"] for item in found["bridges"]] == ["br0", "br1"]
    assert found["bridges"][0] == made["bridge"]
    assert found["bridges"][1]["boot_files"] == {}
    assert module("bridge_info", name="br1")["bridges"] == found["bridges"][1:]
