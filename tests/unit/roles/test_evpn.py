# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role evpn writes for FRR on each host, and whose configuration of FRR it takes for another's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.local_play import local_play, printed
from support.processes import TREE

ROLE = TREE / "roles/evpn"
FILES = [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")]
HOSTS = {"localhost": {"evpn_address": "192.0.2.11"}, "b": {"host_address": "192.0.2.12"}, "c": {"ansible_host": "192.0.2.13"}}
GROUP = [{"ansible.builtin.add_host": {"name": name, "groups": ["hypervisor"], **known}} for name, known in HOSTS.items()]
OF_BOOKWORM = "# default to using syslog. /etc/rsyslog.d/45-frr.conf places the log in\n#\nlog syslog informational\n"
WRITTEN = "frr version 10.3\nfrr defaults traditional\nhostname a\nno ip forwarding\nno ipv6 forwarding\n!\nend\n"
OF_OTHERS = "router bgp 65001\n neighbor 192.0.2.1 password s3cret-canary\n"
SECRET = "s3cret-canary"
BASE = {
    "evpn_group": "hypervisor", "evpn_route_reflectors": [], "evpn_asn": "65000", "evpn_hold_time": "9", "evpn_password": "",
    "evpn_bfd": "false", "evpn_router_id": "{{ evpn_address }}",
}  # fmt: skip
CLEAN = {"evpn_texts": {}, "evpn_single": {"files": []}}
WAYS: dict[str, dict[str, Any]] = {
    "mesh": {},
    "client": {"evpn_route_reflectors": ["b"], "evpn_password": SECRET, "evpn_bfd": "true", "evpn_hold_time": "30"},
    "reflector": {"evpn_route_reflectors": ["localhost", "c"]},
    "six": {"evpn_address": "2001:db8::11", "evpn_router_id": "192.0.2.11"},
}
DAEMONS = '# bgpd=yes\nbgpd=no\nospfd=no\nvtysh_enable=yes\nzebra_options="  -A 127.0.0.1"\n#frr_profile="traditional"\n'


def run(tmp_path: Path, tasks: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Run tasks with the variables of the role, as this host of the inventory has them; return how that went."""
    done = local_play(tmp_path, {"vars_files": FILES, "tasks": [*GROUP, {"ansible.builtin.set_fact": HOSTS["localhost"]}, *tasks]})
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def template(name: str) -> str:
    """Return a template that becomes a file of the role."""
    return f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/{name}.j2') }}}}"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Return the files as the role writes them on the first host, by the way that was asked."""
    files = {name: template(name) for name in ("frr.conf", "daemons", "frr.service.conf")}
    tasks: list[dict[str, Any]] = []
    for options in WAYS.values():
        tasks.append({"ansible.builtin.set_fact": {**HOSTS["localhost"], **BASE, **options}})
        tasks.append({"ansible.builtin.debug": {"msg": files}})
    tasks.append({"ansible.builtin.set_fact": {**HOSTS["localhost"], **BASE}})
    tasks.append({"ansible.builtin.set_fact": {"evpn_texts": {"daemons": DAEMONS + template("daemons")}}})
    tasks.append({"ansible.builtin.debug": {"msg": {"daemons": "{{ evpn_daemons_text }}", "was": "{{ evpn_texts.daemons }}"}}})
    made = [texts for _host, texts in printed(run(tmp_path_factory.mktemp("written"), tasks))]
    return dict(zip((*WAYS, "left"), made, strict=True))


def test_each_host_has_a_session_with_each_other(written: dict[str, dict[str, str]]) -> None:
    made = written["mesh"]
    lines = [line.strip() for line in made["frr.conf"].splitlines()]
    assert made["frr.conf"].startswith("! Managed by edge.cloud (role evpn).")
    assert [line for line in lines if line.startswith("neighbor 192")] == [
        "neighbor 192.0.2.12 peer-group edge-hosts", "neighbor 192.0.2.13 peer-group edge-hosts",
    ]  # fmt: skip
    assert {"router bgp 65000", "bgp router-id 192.0.2.11", "neighbor edge-hosts timers 3 9", "advertise-all-vni"} <= set(lines)
    assert "password" not in made["frr.conf"] and "bfd" not in made["frr.conf"] + made["daemons"]
    assert 'bgpd_options="-P 0 -l 192.0.2.11"' in made["daemons"].splitlines()
    assert "net.ipv4.ip_nonlocal_bind=1" in made["frr.service.conf"]


def test_route_reflectors_pass_on_what_the_others_tell(written: dict[str, dict[str, str]]) -> None:
    one = written["client"]
    assert "192.0.2.13" not in one["frr.conf"] and "route-reflector-client" not in one["frr.conf"]
    for line in ("192.0.2.12 peer-group edge-hosts", f"edge-hosts password {SECRET}", "edge-hosts bfd", "edge-hosts timers 10 30"):
        assert f" neighbor {line}\n" in one["frr.conf"]
    assert "bfdd=yes" in one["daemons"] and SECRET not in one["daemons"]
    own = written["reflector"]["frr.conf"]
    for line in ("192.0.2.12 peer-group edge-clients", "192.0.2.13 peer-group edge-hosts", "edge-clients route-reflector-client"):
        assert f" neighbor {line}\n" in own
    assert "edge-hosts route-reflector-client" not in own


def test_ipv6_carries_bgp(written: dict[str, dict[str, str]]) -> None:
    assert " neighbor edge-hosts update-source 2001:db8::11\n" in written["six"]["frr.conf"]
    assert "net.ipv6.ip_nonlocal_bind=1" in written["six"]["frr.service.conf"]


def test_what_is_ours_is_taken_out_of_the_list_of_daemons_to_the_byte(written: dict[str, dict[str, str]]) -> None:
    assert written["left"]["was"] == DAEMONS + written["mesh"]["daemons"]
    assert written["left"]["daemons"] == DAEMONS


def outcomes(tmp_path: Path, tasks: str, cases: list[dict[str, Any]]) -> list[str]:
    """Run a file of tasks of the role for each case, by one play; return the message of each failure, or nothing."""
    blocks = [
        {
            "block": [
                {"ansible.builtin.set_fact": {**HOSTS["localhost"], **BASE, **CLEAN, **case}},
                {"ansible.builtin.include_tasks": str(ROLE / f"tasks/{tasks}.yml")},
                {"ansible.builtin.debug": {"msg": ""}},
            ],
            "rescue": [{"ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}],
        }
        for case in cases
    ]
    done = run(tmp_path, blocks)
    assert "canary" not in done.stdout + done.stderr, done.stdout + done.stderr
    return [message for _host, message in printed(done)]


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"evpn_group": "none"}, "evpn_group: none has no hosts, and localhost is to be one of them"),
    ({"evpn_route_reflectors": ["d"]}, "and d is to be one of them"),
    ({"evpn_address": "192.0.2.12"}, "two hosts have the same"),
    ({"evpn_address": "one.example"}, "evpn_address: localhost one.example is not an IP address"),
    ({"evpn_address": "2001:db8::11", "evpn_router_id": "2001:db8::11"}, "evpn_router_id is 2001:db8::11"),
    ({"evpn_asn": "0"}, "evpn_asn is 0"),
    ({"evpn_hold_time": "2"}, "evpn_hold_time is 2"),
    ({"evpn_password": "canary"}, "evpn_password: 8 to 80 printable"),
    ({"evpn_password": "canary a space"}, "evpn_password: 8 to 80 printable"),
    ({"evpn_password": "canary-canary"}, "evpn_address: 192.0.2.11 is not an address of localhost"),
]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    found = outcomes(tmp_path, "options", [options for options, _words in OPTIONS])
    assert [words for (_options, words), message in zip(OPTIONS, found, strict=True) if words not in message] == []


FOREIGN: list[tuple[dict[str, str], str]] = [
    ({}, ""),
    ({"frr.conf": OF_BOOKWORM, "daemons": DAEMONS, "vtysh.conf": "service integrated-vtysh-config\n"}, ""),
    ({"frr.conf": OF_BOOKWORM + WRITTEN}, ""),
    ({"frr.conf": "! Managed by edge.cloud (role evpn). What is changed here is lost with its next run.\n" + OF_OTHERS}, ""),
    ({"daemons": DAEMONS + "# BEGIN edge.cloud (role evpn)\nbgpd=yes\nospfd=yes\n# END edge.cloud (role evpn)\n"}, ""),
    ({"frr.conf": OF_BOOKWORM + OF_OTHERS}, "frr.conf has router bgp, neighbor 192.0.2.1"),
    ({"frr.conf": "! managed by edge.cloud\nip route 192.0.2.0/24 blackhole\n"}, "frr.conf has ip route"),
    ({"daemons": DAEMONS.replace("ospfd=no", "ospfd=yes")}, "daemons enables ospfd"),
    ({"daemons": DAEMONS + ' pimd="1"\n'}, "daemons enables pimd"),
    ({"vtysh.conf": "no service integrated-vtysh-config\n"}, "vtysh.conf has no service integrated-vtysh-config"),
]


def test_a_configuration_of_others_is_refused_without_its_secrets(tmp_path: Path) -> None:
    found = outcomes(tmp_path, "foreign", [{"evpn_texts": texts} for texts, _words in FOREIGN])
    for (texts, words), message in zip(FOREIGN, found, strict=True):
        assert (message == "") is (words == "") and words in message and "canary" not in message, (texts, message)
