# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight of hosts beside each other, run as users run it, in name spaces with what would stop them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.netspace import SPACE, netspace
from support.processes import TREE
from support.programs import loaded

PROGRAM = TREE / "roles/preflight/files/preflight-hosts"


def found(check: str, *arguments: str, before: tuple[str, ...] = ()) -> list[str]:
    """Return what the check says; ``before`` is put before the command."""
    done = subprocess.run([*before, sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout)
    assert shown["time"] > 0 and all(row["do"] for row in shown["problems"])
    return [row["found"] for row in shown["problems"] if row["check"] == check]


def test_a_name_with_another_address_and_one_without_are_told() -> None:
    assert found("name", "--host=localhost=127.0.0.1") == []
    assert found("name", "--host=localhost=192.0.2.7")[0].endswith("here, and the inventory has 192.0.2.7")
    assert found("name", "--host=none.invalid=192.0.2.7") == ["none.invalid does not resolve here"]
    assert found("name", "--own=localhost", "--host=localhost=192.0.2.7") == []


def test_a_port_of_a_range_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = found("port", f"--port={port - 1}-{port + 1}")
        assert [text for text in told if f"TCP port {port} is in use" in text]
    assert [text for text in found("port", f"--port={port}") if f"port {port} " in text] == []


@pytest.mark.parametrize(("address", "told"), [("0.0.0.0", True), ("127.0.0.53", False)])
def test_a_dns_server_on_all_addresses_is_told(tmp_path: Path, address: str, told: bool) -> None:
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a network name space")
    script = tmp_path / "serve.py"
    script.write_text(
        "import socket, subprocess, sys\n"
        "subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)\n"
        f"server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nserver.bind(({address!r}, 53))\n"
        "sys.exit(subprocess.run(sys.argv[1:]).returncode)\n"
    )
    text = found("dns", before=(*SPACE, sys.executable, str(script)))
    assert bool(text) is told and all("UDP port 53 of all addresses (0.0.0.0)" in line for line in text)


@pytest.mark.parametrize(("options", "told"), [("ro", True), ("rw", False)])
def test_a_folder_that_is_mounted_read_only_is_told(tmp_path: Path, options: str, told: bool) -> None:
    space = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*space, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a mount name space")
    mount = f'mount -t tmpfs -o {options} tmpfs {tmp_path} && exec "$@"'
    text = found("mount", f"--folder={tmp_path}/images", before=(*space, "sh", "-c", mount, "sh"))
    assert bool([line for line in text if f"on {tmp_path}, which is mounted read-only" in line]) is told


def test_a_mount_with_a_name_of_another_encoding_is_no_failure(tmp_path: Path) -> None:
    space = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*space, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a mount name space")
    place = bytes(tmp_path) + b"/\xfcber\ttab"
    Path(os.fsdecode(place)).mkdir()
    mount = b'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"'
    done = subprocess.run(
        [*space, "sh", "-c", mount, place, sys.executable, str(PROGRAM), b"--folder=" + place], capture_output=True, check=False
    )
    assert b"mounted read-only" in done.stdout, done.stderr


def program(name: str) -> Any:
    return loaded(TREE / "roles/preflight/files" / name)


def test_settings_are_seen_in_each_spelling_and_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts, conf = program("preflight-hosts"), tmp_path / "libvirtd.conf"
    monkeypatch.setattr(hosts, "SETTINGS", {conf: ("auth_tls", "tls_port")})
    monkeypatch.setattr(hosts, "LIBVIRT", conf)
    uuid = "0b5e8a5c-0000-4000-8000-000000000001"
    conf.write_bytes(
        f"# für ; auth_tls = 0\nz = 1; auth_tls = 'none'\nx = [\n'tls_port = 1']\n; host_uuid = '{uuid}'\n".encode("latin-1")
    )
    assert [row[0] for row in hosts.check_settings(None)] == [f"{conf}:2 sets auth_tls, which the role hypervisor sets too"]
    assert hosts.host_uuid() == uuid


def test_a_command_may_print_another_encoding() -> None:
    shell = ("sh", "-c", "printf '\\377'")
    assert program("preflight-hosts").run(*shell) == program("preflight").run(*shell).stdout == "\N{REPLACEMENT CHARACTER}"


def test_a_setting_of_others_is_told_with_its_line_and_ours_is_not(tmp_path: Path) -> None:
    space = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*space, "true"], capture_output=True, check=False).returncode or not Path("/etc/libvirt").is_dir():
        pytest.skip("no mount name space, or no libvirt here")
    block = '# BEGIN edge.cloud migration\nauth_tls = "none"\n# END edge.cloud migration\n'
    (tmp_path / "libvirtd.conf").write_text(f'{block}#auth_tls = 1\nauth_tls = "sasl"\n')
    mount = f'mount --bind {tmp_path} /etc/libvirt && exec "$@"'
    text = found("setting", before=(*space, "sh", "-c", mount, "sh"))
    assert text == ["/etc/libvirt/libvirtd.conf:5 sets auth_tls, which the role hypervisor sets too"]


DOCKER = """
table ip filter {
    chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
    chain DOCKER-USER { return; }
}
"""
FIREWALLD = """
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority 10; policy accept;
        ct state established accept
        reject with icmpx type admin-prohibited
    }
}
"""
HARMLESS = """
table ip filter {
    chain FORWARD { type filter hook forward priority filter; policy accept; ip daddr 192.0.2.1 drop; }
    chain INPUT { type filter hook input priority filter; policy drop; }
}
table bridge filter {
    chain forward { type filter hook forward priority 0; policy drop; }
}
"""


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (DOCKER, {"iptables": "chain FORWARD of table ip filter (Docker)"}),
        (
            FIREWALLD,
            dict.fromkeys(("iptables", "ip6tables"), "chain filter_FORWARD of table inet firewalld (firewalld)"),
        ),
        (
            "table ip6 own { chain f { type filter hook forward priority 0; policy drop; }; }",
            {"ip6tables": "chain f of table ip6 own"},
        ),
        (HARMLESS, {}),
        ("", {}),
    ],
)
def test_who_drops_frames_of_bridges_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, told: dict[str, str]
) -> None:
    hosts, settings = program("preflight-hosts"), tmp_path / "settings"
    own, other = shutil.which("ip"), shutil.which("nft")
    if not own or not other:
        pytest.skip("iproute2 or nftables is not installed")
    settings.mkdir()
    for name in ("iptables", "ip6tables"):
        (settings / f"bridge-nf-call-{name}").write_text("1\n")
    monkeypatch.setattr(hosts, "BRIDGES", settings)
    with netspace(tmp_path, monkeypatch):
        wrapper = tmp_path / "nft"
        wrapper.write_text((tmp_path / "ip").read_text().replace(own, other))
        wrapper.chmod(0o755)
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        found = [row[0] for row in hosts.check_bridges(None)]
        assert found == [
            f"net.bridge.bridge-nf-call-{name} is 1, and {chain} drops what is forwarded, frames between VMs of a bridge too"
            for name, chain in told.items()
        ]
        for name in ("iptables", "ip6tables"):
            (settings / f"bridge-nf-call-{name}").write_text("0\n")
        assert list(hosts.check_bridges(None)) == []
