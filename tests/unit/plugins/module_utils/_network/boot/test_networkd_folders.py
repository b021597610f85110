# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that would come before ours at boot, over all folders of networkd, and files that nobody can read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.managers import stanzas
from ansible_collections.edge.cloud.plugins.module_utils._network.bridge.networkd import Networkd
from ansible_collections.edge.cloud.plugins.module_utils._network.link.model import Link

CARD = "[Match]\nName=eth1\n[Network]\nDHCP=yes\n"
LINKS = {"eth1": Link("eth1", kind="veth", mac="52:54:00:12:34:56"), "eth2": Link("eth2", kind="veth", mac="52:54:00:12:34:57")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for below in ("etc", "run", "usr/local/lib", "usr/lib"):
        (tmp_path / below / "systemd/network").mkdir(parents=True)
    return tmp_path


def put(root: Path, path: str, text: str | bytes = CARD) -> Path:
    file = root / path.replace(":", "/systemd/network/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def require(root: Path) -> None:
    Networkd(root / "etc/systemd/network").require("br0", ["eth1"], LINKS, "52:54:00:12:34:56")


def refused(root: Path) -> str:
    with pytest.raises(Conflict) as caught:
        require(root)
    assert caught.value.details["option"] == "boot"
    return caught.value.message


@pytest.mark.parametrize("folder", ["etc", "run", "usr/local/lib", "usr/lib"])
def test_a_file_of_any_folder_comes_first_by_its_name(root: Path, folder: str) -> None:
    put(root, f"{folder}:60-late.network")
    require(root)
    put(root, f"{folder}:20-cards.network")
    assert f"{folder}/systemd/network/20-cards.network configures eth1" in refused(root)


def test_who_writes_a_file_is_told(root: Path) -> None:
    file = put(root, "run:10-netplan-eth1.network")
    assert "/etc/netplan" in refused(root)
    file.unlink()
    file = put(root, "etc:10-cloud-init-eth1.network", "[Match]\nMACAddress=52:54:00:12:34:56\n")
    assert "cloud-init writes it" in refused(root)
    file.unlink()
    put(root, "usr/lib:10-vendor.network", "[Match]\nName=*\n")
    advice = refused(root)
    assert "configures br0, eth1" in advice
    words = advice.partition("(ln -s ")[2].partition(")")[0].split()
    Path(words[1]).symlink_to(words[0])  # the advice works
    require(root)


def test_the_same_name_in_an_earlier_folder_replaces_or_masks(root: Path) -> None:
    put(root, "usr/lib:10-a.network")
    put(root, "run:10-a.network", "[Match]\nName=lo\n")
    require(root)
    put(root, "usr/lib:10-b.network")
    put(root, "etc:10-b.network", "")  # an empty file masks, too
    require(root)
    put(root, "etc:10-a.network")
    assert "etc/systemd/network/10-a.network" in refused(root)


def test_drop_ins_add_to_conditions(root: Path) -> None:
    put(root, "usr/lib:10-a.network", "[Match]\nName=lo\n")
    drop_in = put(root, "etc:10-a.network.d/more.conf", "[Match]\nName=eth1\n")
    assert "10-a.network configures eth1" in refused(root)
    put(root, "run:10-a.network.d/more.conf", "[Match]\nName=\nName=eth1\n")
    drop_in.write_text("[Match]\nName=\nName=eth9\n")  # replaces the one in /run
    require(root)
    drop_in.unlink()
    assert "eth1" in refused(root)


def test_conditions_that_cannot_be_judged_are_named(root: Path) -> None:
    put(root, "etc:10-a.network", "[Match]\nName=*\nCredential=x\n")
    assert "may configure br0, eth1, since its [Match] asks for Name=*, Credential=x" in refused(root)
    put(root, "etc:10-a.network", "[Network]\nDHCP=yes\n")
    assert "asks for nothing" in refused(root)


def test_other_encodings_are_read(root: Path) -> None:
    put(root, "etc:10-a.network", "# B\xfcro\n[Match]\nName=lo\n[Network]\nDescription=B\xfcro\n".encode("latin-1"))
    require(root)
    put(root, "etc:10-a.network", b"\xef\xbb\xbf[Match]\r\nName=eth1\r\n")
    assert "configures eth1" in refused(root)
    put(root, "etc:10-a.network", b"[Match]\nName=b\xfcro*\n")
    assert "may configure" in refused(root)


def test_what_is_no_file_is_named_with_the_cure(root: Path) -> None:
    path = root / "etc/systemd/network/10-a.network"
    path.mkdir()  # networkd passes folders over
    require(root)
    path.rmdir()
    path.symlink_to("/nowhere")
    assert "10-a.network is a link to /nowhere, which does not exist; remove the link" in refused(root)
    path.unlink()
    path.symlink_to(path.name)
    assert "remove the link" in refused(root)
    path.unlink()
    os.mkfifo(path)
    assert "cannot be read" in refused(root)


def test_another_file_that_makes_the_bridge(root: Path) -> None:
    put(root, "etc:90-br0.netdev", "[NetDev]\nName=br0\nKind=bridge\n")
    require(root)
    put(root, "run:25-br0.netdev", "[NetDev]\nName=br0\nKind=bridge\n")
    assert "25-br0.netdev makes br0" in refused(root)


def test_one_of_our_names_that_is_no_file_of_ours(root: Path) -> None:
    networkd = Networkd(root / "etc/systemd/network")
    for target in ("/nowhere", "/dev/null", "/"):
        path = root / "etc/systemd/network/50-edge-br0.network"
        path.symlink_to(target)
        with pytest.raises(Conflict, match="was not written by"):
            networkd.read("br0")
        path.unlink()


def test_what_ifupdown_configures(tmp_path: Path) -> None:
    main, more = tmp_path / "interfaces", tmp_path / "interfaces.d"
    more.mkdir()
    main.write_bytes(b"# B\xfcro\nsource interfaces.d/*\nsource interfaces\nauto lo\niface lo inet loopback\n")
    (more / "a").write_text(
        "auto eth0\niface eth0 inet dhcp\niface eth1:1 \\\n inet static\niface br1 inet manual\n  bridge_ports eth2 eth3\n"
    )
    assert next(stanzas(main, ["lo"])) == (main, "lo")
    for link in ("eth0", "eth1", "eth2", "eth3", "br1"):
        assert next(stanzas(main, [link])) == (more / "a", link)
    assert list(stanzas(main, ["eth9", "dhcp", "inet"])) == []
    assert list(stanzas(tmp_path / "none", ["eth0"])) == []
