# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each network manager gets for a change: files below another root, and commands that run in a real name space."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.boot.managers import Managers
from ansible_collections.edge.cloud.plugins.module_utils._network.link.iproute import IpRoute
from ansible_collections.edge.cloud.plugins.module_utils._network.link.model import Host, Link
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.ifupdown import Ifupdown
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.live import (
    carried,
    check_port,
    check_removal,
    refuse_cloud,
)
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.model import BootFile, Parts, UplinkRequest, UplinkState
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.netplan import Netplan
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.networkd import Networkd
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.reconcile import Uplink
from ansible_collections.edge.cloud.plugins.module_utils._plan import Plan
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from support.netspace import cable, ip, netspace
from support.runners import ScriptedRunner

INTERFACES = "source /etc/network/interfaces.d/*\nauto eth0\niface eth0 inet static\n  address 192.0.2.10/24\n  gateway 192.0.2.1\n"


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IpRoute]:
    with netspace(tmp_path, monkeypatch):
        cable("eth0", "far0")
        ip("addr", "add", "192.0.2.10/24", "dev", "eth0")
        ip("addr", "add", "2001:db8::10/64", "dev", "eth0")
        ip("route", "add", "default", "via", "192.0.2.1", "metric", "7")
        yield IpRoute(SubprocessRunner())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("usr/sbin", "etc/network/interfaces.d", "etc/netplan", "etc/systemd/network", "etc/cloud"):
        (tmp_path / "root" / name).mkdir(parents=True)
    (tmp_path / "root/usr/sbin/ifup").touch()
    (tmp_path / "root/etc/network/interfaces").write_text(INTERFACES)
    return tmp_path / "root"


def now() -> tuple[str, str, str]:
    """Return addresses and routes, without what the kernel changes by itself (carriers, tentative)."""
    addresses = [" ".join(line.split()[1:4]) for line in ip("-o", "addr", "show", "scope", "global").splitlines()]
    routes, routes6 = (ip(*family, "route").replace(" linkdown", "") for family in ((), ("-6",)))
    return "\n".join(addresses), routes, routes6


def run(lines: tuple[str, ...]) -> None:
    subprocess.run(["sh", "-e"], input="\n".join(lines), text=True, check=True, capture_output=True)


def write(made: Parts) -> None:
    for file in made.boot:
        if file.after is None:
            Path(file.path).unlink()
        else:
            Path(file.path).write_text(file.after)


def test_static_addresses_there_and_back_and_undone(space: IpRoute, root: Path) -> None:
    before = now()
    host = space.observe()
    mac = host.links["eth0"].mac
    made = Ifupdown(root).present(host, carried(host, "br0", "eth0", "eth0"))
    run(made.forward)
    assert [line.replace("br0", "eth0") for line in now()[1].splitlines()] == before[1].splitlines()
    assert space.links()["br0"].mac == mac
    run(made.back)
    assert now() == before
    run(made.forward)
    write(made)
    assert Ifupdown(root).made("br0") == "eth0"
    host = space.observe()
    gone = Ifupdown(root).absent(host, carried(host, "br0", "eth0", "br0"))
    moved = now()
    run(gone.forward)
    assert now() == before
    run(gone.back)
    assert now() == moved
    write(gone)
    assert (root / "etc/network/interfaces").read_text() == INTERFACES


def test_a_boot_file_that_has_the_bridge_needs_no_change(space: IpRoute, root: Path) -> None:
    host = space.observe()
    held = carried(host, "br0", "eth0", "eth0")
    write(Ifupdown(root).present(host, held))
    again = Ifupdown(root).present(host, held)
    assert (again.boot, len(again.forward)) == ((), 1)


def test_edited_within_the_marks_it_is_not_taken_back(space: IpRoute, root: Path) -> None:
    host = space.observe()
    held = carried(host, "br0", "eth0", "eth0")
    write(Ifupdown(root).present(host, held))
    path = root / "etc/network/interfaces"
    path.write_text(path.read_text().replace("  address 192.0.2.10/24\n", "  address 192.0.2.99/24\n", 1))
    with pytest.raises(EdgeError, match="was edited since"):
        Ifupdown(root).absent(host, held)


def test_a_file_of_cloud_init_stays_ours(space: IpRoute, root: Path) -> None:
    (root / "etc/network/interfaces").write_text("source interfaces.d/*\n")
    path = root / "etc/network/interfaces.d/50-cloud-init"
    path.write_text(INTERFACES)
    host = space.observe()
    held = carried(host, "br0", "eth0", "eth0")
    made = Ifupdown(root).present(host, held)
    assert [Path(file.path).name for file in made.boot] == ["99-edge-uplink-network.cfg", "50-cloud-init"]
    (root / "etc/cloud/cloud.cfg.d").mkdir()
    write(made)
    gone = Ifupdown(root).absent(host, held)
    assert [Path(file.path).name for file in gone.boot] == ["50-cloud-init", "99-edge-uplink-network.cfg"]
    write(gone)
    assert path.read_text() == INTERFACES
    assert not list((root / "etc/cloud/cloud.cfg.d").iterdir())


def test_stanzas_in_two_files_are_refused(space: IpRoute, root: Path) -> None:
    (root / "etc/network/interfaces").write_text(INTERFACES.replace("/etc/network/", ""))
    (root / "etc/network/interfaces.d/more").write_text("iface eth0 inet6 auto\n")
    (root / "etc/network/interfaces.d/.edge-old").write_text("iface eth0 inet6 auto\n")
    host = space.observe()
    with pytest.raises(EdgeError, match=r"interfaces and .*more; two files"):
        Ifupdown(root).present(host, carried(host, "br0", "eth0", "eth0"))


def answer(path: str) -> ScriptedRunner:
    runner = ScriptedRunner()
    runner.script = [(("networkctl", "--json=short", "status", "eth0"), Completed(0, f'{{"NetworkFile": "{path}"}}', ""))] * 9
    return runner


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_netplan_changes_its_one_file_and_tells_cloud_init(space: IpRoute, root: Path, end: str) -> None:
    text = "network:\n  ethernets:\n    eth0:\n      addresses: [192.0.2.10/24]\n"
    text = text.replace("\n", end)
    (root / "etc/netplan/50-cloud-init.yaml").write_text(text)
    managers = Managers(answer("/run/systemd/network/10-netplan-eth0.network"))
    host = space.observe()
    held = carried(host, "br0", "eth0", "eth0")
    assert Netplan(managers, root).owns("eth0")
    made = Netplan(managers, root).present(host, held)
    assert [Path(file.path).name for file in made.boot] == ["99-edge-uplink-network.cfg", "50-cloud-init.yaml"]
    for file in made.boot:
        Path(file.path).parent.mkdir(parents=True, exist_ok=True)
    write(made)
    gone = Netplan(managers, root).absent(host, held)
    assert [Path(file.path).name for file in gone.boot] == ["50-cloud-init.yaml", "99-edge-uplink-network.cfg"]
    write(gone)
    assert (root / "etc/netplan/50-cloud-init.yaml").read_bytes() == text.encode()
    (root / "etc/netplan/60.yaml").write_text(text)
    with pytest.raises(EdgeError, match="is in 2 files"):
        Netplan(managers, root).present(host, held)


def test_networkd_refuses_a_file_that_comes_first(space: IpRoute, root: Path) -> None:
    folder = root / "etc/systemd/network"
    (folder / "10-a.network").write_text("[Match]\nName=eth0\n[Network]\nAddress=192.0.2.10/24\n")
    host = space.observe()
    held = carried(host, "br0", "eth0", "eth0")

    def made() -> Parts:
        runner = answer(str(folder / "10-a.network"))
        runner.script.insert(0, (("systemctl", "is-enabled", "systemd-networkd.service"), Completed(0, "enabled\n", "")))
        return Networkd(Managers(runner), root).present(host, held)

    assert [Path(file.path).name for file in made().boot] == [
        "00-edge-uplink-br0.netdev",
        "00-edge-uplink-br0.network",
        "00-edge-uplink-br0-port.network",
    ]
    (folder / "00-a.network").write_text("[Match]\nName=lan*\n")
    made()
    (folder / "00-a.network").write_text("[Match]\nName=br*\n")
    with pytest.raises(EdgeError, match="comes before"):
        made()


def test_what_cannot_be_a_port(space: IpRoute) -> None:
    ip("link", "add", "br9", "type", "bridge")
    ip("link", "set", "far0", "master", "br9")
    host = space.observe()
    for port, said in (
        ("eth9", "does not exist"),
        ("br9", "is a bridge itself"),
        ("far0", "is a port of br9"),
        ("lo", "not an Ethernet"),
    ):
        with pytest.raises(EdgeError, match=said):
            check_port(host, "br0", port)
    with pytest.raises(EdgeError, match="br9 exists"):
        check_port(host, "br9", "eth0")
    assert check_port(host, "br0", "eth0").name == "eth0"
    with pytest.raises(EdgeError, match="br9 exists"):
        check_port(host, "br9", "eth0", begun=True)
    ip("link", "add", "br8", "type", "bridge")
    assert check_port(space.observe(), "br8", "eth0", begun=True).name == "eth0"
    with pytest.raises(EdgeError, match=r"further ports \(far0\)"):
        check_removal(host, "br9", "eth0")


@pytest.mark.parametrize("port", ["eth0", "bond0", "bond0.7"])
def test_a_cloud_without_layer_2_is_named(port: str) -> None:
    links = (Link("eth0"), Link("eth1", master="bond0"), Link("bond0", "bond"), Link("bond0.7", "vlan", lower="bond0"))
    host = Host({link.name: link for link in links})
    with pytest.raises(EdgeError, match=rf"^port: {port} is in the network of Amazon EC2, which has no layer 2.* write none to "):
        refuse_cloud(host, port, "Amazon EC2")
    refuse_cloud(host, port, None)
    refuse_cloud(Host({port: Link(port, "dummy")}), port, "Amazon EC2")


def test_extra_addresses_follow_systemd_networkd(space: IpRoute) -> None:
    held: Any = carried(space.observe(), "br0", "eth0", "eth0")
    run((f"ip -batch - <<'END'\n{held.to_bridge}END",))
    ip("addr", "add", "192.0.2.10/24", "dev", "eth0")
    run((f"ip -force -batch - <<'END' || true\n{held.rest('eth0', 'br0')}END",))
    assert "192.0.2.10" not in ip("addr", "show", "dev", "eth0")
    assert "192.0.2.10" in ip("addr", "show", "dev", "br0")


def test_a_name_that_sh_would_read_reaches_no_program(space: IpRoute, root: Path) -> None:
    for words in ("link set eth0 down", "link set eth0 name e;id", "link set e;id up", "route add default via 192.0.2.1 dev e;id"):
        ip(*words.split(" "))
    with pytest.raises(EdgeError, match=r"^port: 'e;id' cannot name"):
        Uplink(SubprocessRunner(), root).run(UplinkRequest.checked({"name": "br0"}), check=True)


@pytest.mark.parametrize("port", [None, "eth0"])
def test_the_result_and_the_diff_show_no_key_of_another_link(port: str | None) -> None:
    before = "network:\n  tunnels:\n    wg0:\n      key: c4n4ry\n"
    made = Plan(
        UplinkState("br0", port, boot=(("/etc/netplan/a.yaml", before),)),
        (BootFile("/etc/netplan/a.yaml", before, f"{before}#\n"),),
    )
    shown = (made.before.view(), made.after.view(), made.diff(UplinkState.view), made.actions)
    assert "c4n4ry" not in str(shown)
    assert "wg0" in str(made.before.view())
    assert made.diff(UplinkState.view)["before"] != made.diff(UplinkState.view)["after"]
