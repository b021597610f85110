# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot files of a bridge: their text, and reading and writing them whole."""

from __future__ import annotations

import os
from configparser import ConfigParser
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.boot_files import boot_files, file_names
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.networkd import Networkd
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.steps import Bridge, RemoveBootFile, WriteBootFile
from ansible_collections.edge.cloud.plugins.module_utils._network.link.routes import Route

BRIDGE = Bridge("br0", ports=("eth0", "eth1"), vm_ports=("vnet0",), addresses=("192.0.2.1/24",), forward_delay=4.0, stp=True)


def sections(text: str) -> ConfigParser:
    parser = ConfigParser(comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_all_that_makes_the_bridge_again() -> None:
    words = ("default", "via", "192.0.2.254", "metric", "100", "src", "192.0.2.1")
    route = Route("default", "br0", 4, words, gateway="192.0.2.254")
    files = {name: sections(text) for name, text in boot_files(BRIDGE, [route], mac="52:54:00:00:00:01", mtu=1400).items()}
    netdev, network, ports = (files[name] for name in file_names("br0"))
    assert dict(netdev["NetDev"]) == {"Name": "br0", "Kind": "bridge", "MACAddress": "52:54:00:00:00:01"}
    assert dict(netdev["Bridge"]) == {"STP": "yes", "ForwardDelaySec": "4"}
    assert dict(network["Match"]) == {"Name": "br0"}
    assert dict(network["Link"]) == {"MTUBytes": "1400"}
    assert network["Network"]["Address"] == "192.0.2.1/24"
    assert dict(network["Route"]) == {"Gateway": "192.0.2.254", "Metric": "100", "PreferredSource": "192.0.2.1"}
    assert ports["Match"]["Name"] == "eth0 eth1"
    assert ports["Link"]["RequiredForOnline"] == "no"
    assert ports["Network"]["Bridge"] == "br0"


def test_what_nobody_gave_is_not_pinned() -> None:
    files = boot_files(Bridge("br0", mtu=1500, mac="52:54:00:00:00:01"), [], mac=None, mtu=None)
    assert len(files) == 2
    assert not any("MTU" in text or "MAC" in text for text in files.values())


def test_boot_waits_only_for_a_bridge_with_the_default_route() -> None:
    network = file_names("br0")[1]
    route = Route("198.51.100.0/24", "br0", 4, ("198.51.100.0/24", "via", "192.0.2.254"), gateway="192.0.2.254")
    assert dict(sections(boot_files(BRIDGE, [route], mac=None, mtu=None)[network])["Link"]) == {"RequiredForOnline": "no"}
    default = Route("default", "br0", 4, ("default", "via", "192.0.2.254"), gateway="192.0.2.254")
    assert "RequiredForOnline" not in boot_files(BRIDGE, [route, default], mac=None, mtu=None)[network]


def test_files_are_written_whole_and_read_back(tmp_path: Path) -> None:
    networkd = Networkd(tmp_path)
    files = boot_files(BRIDGE, [], mac=None, mtu=None)
    for name, text in files.items():
        networkd.apply(WriteBootFile(name, text))
    assert networkd.read("br0") == files
    assert networkd.read("br1") == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
    for name in files:
        networkd.apply(RemoveBootFile(name))
        networkd.apply(RemoveBootFile(name))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networkd = Networkd(tmp_path)
    networkd.apply(WriteBootFile("50-edge-br0.netdev", "old"))

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        networkd.apply(WriteBootFile("50-edge-br0.netdev", "new"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_file_of_somebody_else_is_a_conflict(tmp_path: Path) -> None:
    (tmp_path / "50-edge-br0.network").write_text("[Match]\nName=br0\n")
    with pytest.raises(Conflict, match=r"50-edge-br0\.network was not written"):
        Networkd(tmp_path).read("br0")


def test_a_folder_of_the_users_must_exist(tmp_path: Path) -> None:
    Networkd(tmp_path).require("br0", ["eth0"])
    with pytest.raises(InvalidInput, match="boot_directory"):
        Networkd(tmp_path / "none").require("br0", ["eth0"])


def test_a_file_that_comes_first_is_a_conflict(tmp_path: Path) -> None:
    networkd = Networkd(tmp_path)
    for name, text in boot_files(BRIDGE, [], mac=None, mtu=None).items():
        networkd.apply(WriteBootFile(name, text))
    (tmp_path / "99-late.network").write_text("[Match]\nName=eth0\n")
    (tmp_path / "10-other.network").write_text("[Match]\nName=eth2 wl*\n[Network]\nName=eth0\n")
    networkd.require("br0", ["eth0", "eth1"])
    (tmp_path / "20-cards.network").write_text("[Match]\nName = lan0 eth*\n\n[Network]\nDHCP=yes\n")
    with pytest.raises(Conflict, match=r"20-cards\.network configures eth0, eth1") as caught:
        networkd.require("br0", ["eth0", "eth1"])
    assert caught.value.details == {"option": "boot", "path": str(tmp_path / "20-cards.network")}
    networkd.require("br0", ["other"])
