# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of .network files: what matches a link, what does not, and what cannot be told."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.matching import Answer, Facts, matches, pairs

CARD = Facts(
    ("eth1", "enp2s0"),
    mac="52:54:00:12:34:56",
    permanent_mac="52:54:00:ab:cd:ef",
    kind="",
    types=("ether",),
    properties={"ID_PATH": "pci-0000:02:00.0", "ID_NET_DRIVER": "virtio_net", "ID_BUS": "pci"},
)
VETH = Facts(
    ("eth1",), mac="52:54:00:12:34:56", permanent_mac="", kind="veth", types=("ether",), properties={"ID_NET_DRIVER": "veth"}
)
CONDITIONS = {("Host", "here"): True, ("Virtualization", "container"): False, ("Architecture", "x86-64"): True}


def answer(match: str, facts: Facts = CARD) -> Answer:
    return matches(pairs(f"[Match]\n{match}\n[Network]\nName=lo\n"), facts, lambda key, value: CONDITIONS.get((key, value)))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("Name=eth1", True),
        ("Name=enp2s0", True),  # another name of the link
        ("Name=en* lo", True),
        ("Name=eth[0-9]", True),
        ("Name=eth[^0]", True),
        ("Name=eth?", True),
        ("Name=ETH1", False),
        ("Name=!lo", True),
        ("Name=!eth1 enp2s0", False),
        ("Name=!eth0\nName=eth*", True),
        ("Name=eth* !eth1\nName=!enp2s0", False),
        ('Name="eth1"', None),  # as systemd has it today a name with quotes in it, which no link has
        ("Name=lo 'eth1'", None),
        ('Name="lo"', False),
        ('Name="lo" eth1', True),
        ('Property="ID_BUS=pci"', True),
        ("Name=lo \\\n  eth1", True),
        ("Name=lo \\\n# Name=eth9 \\\n eth1", True),
        ("Name=lo\nName=eth1", True),
        ("Name=lo\nName=\nName=eth1", True),
        ("Name=eth1\nName=\nName=lo", False),
        ("Name=eth1\nName=", None),  # empty again
        ("  Name = eth1  ", True),
        ("#Name=lo\n;Name=lo\nName=eth1", True),
        ("Name=eth1\r", True),
        ("MACAddress=52:54:00:12:34:56", True),
        ("MACAddress=52-54-00-12-34-56 00:00:00:00:00:01", True),
        ("MACAddress=5254.0012.3456", True),
        ("MACAddress=52:54:00:12:34:57", False),
        ("MACAddress=52:54:00:12:34:5A\nMACAddress=52:54:00:12:34:56", True),
        ("PermanentMACAddress=52:54:00:AB:CD:EF", True),
        ("PermanentMACAddress=52:54:00:12:34:56", False),
        ("PermanentMACAddress=52:54:00:ab:cd:ef\nName=eth9", False),
        ("Type=ether", True),
        ("Type=!wlan", True),
        ("Type=wlan bridge", False),
        ("Kind=!*", True),
        ("Kind=*", False),
        ("Kind=!*\nName=*", True),
        ("Driver=virtio*", True),
        ("Driver=!virtio_net", False),
        ("Path=pci-0000:02:00.0", True),
        ("Path=pci-0000:03:*", False),
        ("Path=!platform-*", True),
        ("Property=ID_BUS=pci", True),
        ("Property=ID_BUS=usb", False),
        ("Property=ID_BUS=pci ID_PATH=pci-*", True),
        ("Property=!ID_BUS=usb", True),
        ("Property=!ID_BUS=pci", False),
        ("SSID=home", False),
        ("Host=here", True),
        ("Host=\nName=eth1", True),
        ("Virtualization=container\nName=eth1", False),
        ("Architecture=x86-64\nName=lo", False),
        ("Firmware=uefi\nName=eth1", None),
        ("Credential=net\nName=eth1", None),
        ("Credential=net\nName=lo", False),
        ("NewInTheFuture=yes\nName=eth1", None),
        ("NewInTheFuture=yes\nName=lo", False),
        ("", None),
        ("Name=\udcfc", None),
    ],
)
def test_a_card(match: str, expected: Answer) -> None:
    assert answer(match) is expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("Kind=veth", True),
        ("Kind=!veth", False),
        ("Path=pci-*", False),
        ("Path=!pci-*", True),
        ("PermanentMACAddress=52:54:00:12:34:56", False),
    ],
)
def test_a_link_that_is_no_card(match: str, expected: Answer) -> None:
    assert answer(match, VETH) is expected


@pytest.mark.parametrize("key", ["MACAddress", "PermanentMACAddress", "Type", "Kind", "Driver", "Path", "Property", "SSID"])
def test_what_is_not_known_is_told_only_if_another_condition_tells(key: str) -> None:
    bare = Facts(("eth1",))
    assert answer(f"{key}=x", bare) is None
    assert answer(f"{key}=x\nName=eth1", bare) is None
    assert answer(f"{key}=x\nName=lo", bare) is False
