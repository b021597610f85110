# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of its cluster, from files and from what the programs of Debian 12 and 13 print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._availability.model import Conf, Node, digest, parse, read_seen, view_seen
from ansible_collections.edge.cloud.plugins.module_utils._availability.observe import Observer, resources_in
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from support.runners import ScriptedRunner

CONF = Conf("site1", 3, (Node(1, "a", ("192.0.2.1",)), Node(4, "b", ("192.0.2.2",))), 3650)
TOTEM = """totem.cluster_name (str) = site1
totem.config_version (u64) = 3
totem.consensus (u32) = 4380
totem.interface.0.bindnetaddr (str) = 192.0.2.1
totem.token (u32) = 3650
"""
NODES = """nodelist.local_node_pos (u32) = 0
nodelist.node.0.name (str) = a
nodelist.node.0.nodeid (u32) = 1
nodelist.node.0.ring0_addr (str) = 192.0.2.1
nodelist.node.1.name (str) = b
nodelist.node.1.nodeid (u32) = 4
nodelist.node.1.ring0_addr (str) = 192.0.2.2
"""
QUORUM = """Quorum information
------------------
Date:             Sat Nov 28 18:53:13 2026
Nodes:            2
Ring ID:          1.9
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   2
Quorum:           2  
Flags:            Quorate 

Membership information
----------------------
    Nodeid      Votes Name
         1          1 a (local)
         4          1 b
"""  # noqa: W291 - as it prints it
CIB = "<cib><configuration><resources>{}</resources></configuration><status/></cib>"
ADDRESSES = '[{"addr_info": [{"local": "127.0.0.1"}]}, {"addr_info": [{"local": "192.0.2.1"}, {}]}, {}]'


def file(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def runs(runner: ScriptedRunner, totem: str = TOTEM, quorum: str = QUORUM, rc: int = 0) -> None:
    runner.expect("ip", "-json", "address", "show", stdout=ADDRESSES)
    runner.expect("systemctl", "is-active", "corosync.service", stdout="active\n")
    runner.expect("corosync-cmapctl", "totem.", stdout=totem).expect("corosync-cmapctl", "nodelist.", stdout=NODES)
    runner.expect("corosync-quorumtool", "-s", stdout=quorum, rc=rc)


def test_a_bare_host(tmp_path: Path) -> None:
    file(tmp_path, "etc/os-release", 'NAME="Debian"\nVERSION_CODENAME=trixie\n')
    runner = ScriptedRunner().expect("ip", "-json", "address", "show", stdout=ADDRESSES)
    runner.expect("systemctl", "is-active", "corosync.service", stdout="inactive\n", rc=4)
    runner.expect("systemctl", "is-active", "pacemaker.service", stdout="inactive\n", rc=4)
    seen = Observer(runner, tmp_path).seen()
    assert seen == replace(seen, release="trixie", addresses=("127.0.0.1", "192.0.2.1"), running=None, conf=None, resources=0)
    assert not (seen.installed or seen.managed or seen.ran or seen.key or seen.conf_digest)


def test_a_member(tmp_path: Path) -> None:
    key = "0123" * 64
    for path in ("usr/sbin/corosync", "usr/sbin/pacemakerd", "etc/systemd/system/corosync.service.d/edge-cluster.conf"):
        file(tmp_path, path)
    for path in ("etc/corosync/authkey", "run/edge-corosync/authkey"):
        file(tmp_path, path, key)
    file(tmp_path, "etc/corosync/corosync.conf", CONF.text())
    file(tmp_path, "var/lib/corosync/ringid_1")
    runner = ScriptedRunner()
    runs(runner)
    runner.expect("systemctl", "is-active", "pacemaker.service", stdout="active\n")
    runner.expect("cibadmin", "--query", "--local", stdout=CIB.format("<primitive id='a'/><group id='b'/>"))
    seen = Observer(runner, tmp_path).seen()
    runner.done()
    assert (seen.installed, seen.managed, seen.has_run, seen.resources) == (True, True, True, 2)
    assert seen.key == seen.started_key == digest(key.encode()) and key not in str(view_seen(seen))
    assert seen.conf == CONF and seen.conf_digest == digest(CONF.text().encode())
    assert seen.running is not None and seen.running.conf == CONF
    assert (seen.running.quorate, seen.running.joined) == (True, {1, 4})
    assert read_seen(view_seen(seen)) == seen


def test_a_member_without_quorum(tmp_path: Path) -> None:
    runner = ScriptedRunner()
    runs(
        runner,
        quorum=QUORUM.replace("Quorate:          Yes", "Quorate:          No").replace("         4          1 b\n", ""),
        rc=2,
    )
    runner.expect("systemctl", "is-active", "pacemaker.service", stdout="activating\n")
    seen = Observer(runner, tmp_path).seen()
    assert seen.running is not None and (seen.running.quorate, seen.running.joined) == (False, {1})


def test_pacemaker_that_does_not_answer_may_have_resources(tmp_path: Path) -> None:
    file(tmp_path, "var/lib/pacemaker/cib/cib.xml", CIB.format(""))
    runner = ScriptedRunner()
    runs(runner)
    runner.expect("systemctl", "is-active", "pacemaker.service", stdout="active\n")
    runner.expect("cibadmin", "--query", "--local", rc=102)
    assert Observer(runner, tmp_path).seen().resources is None


@pytest.mark.parametrize(("text", "found"), [(CIB.format(""), 0), (CIB.format("<clone/>"), 1), ("<cib/>", None), ("<cib", None)])
def test_the_resources_of_a_cib(tmp_path: Path, text: str, found: int | None) -> None:
    assert resources_in(text) == found
    file(tmp_path, "var/lib/pacemaker/cib/cib.xml", text)
    runner = ScriptedRunner().expect("ip", "-json", "address", "show", stdout="[]")
    runner.expect("systemctl", "is-active", "corosync.service", stdout="failed\n", rc=3)
    runner.expect("systemctl", "is-active", "pacemaker.service", stdout="inactive\n", rc=3)
    assert Observer(runner, tmp_path).seen().resources == found


def test_a_corosync_that_says_nothing_yet(tmp_path: Path) -> None:
    runner = ScriptedRunner().expect("ip", "-json", "address", "show", stdout="[]")
    runner.expect("systemctl", "is-active", "corosync.service", stdout="activating\n", rc=3)
    runner.expect("corosync-cmapctl", "totem.", rc=1).expect("corosync-cmapctl", "nodelist.", rc=1)
    with pytest.raises(EdgeError, match=r"corosync\.service is activating, and corosync-cmapctl tells of no cluster"):
        Observer(runner, tmp_path).seen()


@pytest.mark.parametrize("nodes", [CONF.nodes, (Node(7, "edge-7.example", ("2001:db8::7", "192.0.2.7")),)])
def test_a_configuration_is_read_as_it_was_written(nodes: tuple[Node, ...]) -> None:
    conf = replace(CONF, nodes=nodes)
    assert parse(conf.text()) == conf


def test_a_file_of_others() -> None:
    text = "# totem { cluster_name: no }\ntotem {\n\tcluster_name:x\n  interface {\n  cluster_name: no\n }\n}\nnodelist {\n}\n"
    assert parse(text) == Conf("x", 0, (), 0)
    assert parse("totem {\n}\n") is None and parse("}\n:\n") is None
