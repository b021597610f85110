# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of DHCP services in this process, with real links, nftables and dnsmasq in name spaces made without root."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from support.dhcp_hosts import DhcpHost, dhcp_hosts
from support.modules import PREFIX, run_module

WEB = {"name": "web", "mac": "52:54:00:00:00:01", "addresses": ["192.0.2.10"]}
SUBNETS = [{"subnet": "192.0.2.0/24", "address": "192.0.2.2"}]
PRIVATE = {"name": "private", "bridge": "br0", "subnets": SUBNETS, "hosts": [WEB], "domain": "private.example"}
ABSENT = {"name": "private", "state": "absent"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DhcpHost]:
    with dhcp_hosts(tmp_path) as (one,):
        one.bridge("br0")
        for name in ("virtual_network_dhcp", "virtual_network_dhcp_info"):
            module = import_module(PREFIX + name)
            monkeypatch.setattr(module, "PLACES", one.places)
            monkeypatch.setattr(module, "ModuleRunner", lambda _module: one)
        yield one


@pytest.fixture
def module(host: DhcpHost, capsys: pytest.CaptureFixture[str]) -> Any:
    return partial(run_module, capsys)


def test_missing_and_bad_arguments(module: Any) -> None:
    assert "missing required arguments: name" in module("virtual_network_dhcp")["msg"]
    assert "bridge, subnets" in module("virtual_network_dhcp", name="private")["msg"]
    failed = module("virtual_network_dhcp", **{**PRIVATE, "hosts": [{**WEB, "name": "web\nserver"}]})
    assert failed["error"]["option"] == "hosts[0].name"
    assert module("virtual_network_dhcp_info")["services"] == []


def test_create_change_and_remove_each_twice(module: Any) -> None:
    run = partial(module, "virtual_network_dhcp")
    predicted = run(check=True, **PRIVATE)
    assert module("virtual_network_dhcp_info")["services"] == []
    made = run(**PRIVATE)
    assert made["changed"]
    assert (made["diff"], made["actions"], made["service"]) == (predicted["diff"], predicted["actions"], predicted["service"])
    assert made["service"]["current"]
    assert (run(**PRIVATE)["changed"], run(check=True, **PRIVATE)["changed"]) == (False, False)
    assert module("virtual_network_dhcp_info", name="private")["services"] == [made["service"]]

    changed = run(**{**PRIVATE, "hosts": []})
    assert changed["actions"] == ["Write the files of private", "Reload edge-dhcp@private.service"]
    assert changed["diff"] == {"before": {"hosts": [{**WEB, "hostname": "web"}]}, "after": {"hosts": []}}

    assert run(check=True, **ABSENT)["service"] == {"state": "absent"}
    assert run(**ABSENT)["changed"]
    assert not run(**ABSENT)["changed"]
    assert module("virtual_network_dhcp_info")["services"] == []
