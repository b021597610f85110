# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""domain_migration between two lab hosts, with a guest that streams checked blocks to its disk all along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_lab.api import unusable
from support.backups import Backups
from support.migration_hosts import Pair, pair
from support.playbook import start_play
from support.stream_guest import BLOCK
from support.stream_host import StreamHost
from support.vm_host import IMAGES, MIB, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if reason := unusable():
        pytest.skip(reason)
    with pair(f"mig-{request.param}", request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def test_there_and_back_while_it_runs(hosts: Pair) -> None:
    uuid = hosts.guest("web", autostart=True)["domain"]["uuid"]
    known = hosts.one.wait_more("web", 20)
    assert hosts.one.host.run(["virsh", "dominfo", "web"]).stdout.count("enable") == 1

    grown = [{"name": "data", "image": hosts.digest, "size": "136MiB"}]
    assert hosts.guest("web", autostart=True, disks=grown)["changed"]  # our record is newer than what runs

    planned = hosts.migrate("web", check=True)
    assert planned["changed"] and planned["diff"]["before"] == {"host": hosts.one.host.name}
    assert hosts.domains(hosts.two) == {} and hosts.two.run("ls", VMS) == ""

    sent = hosts.sent(hosts.one)
    moved = hosts.migrate("web", progress_file="/run/edge-migration.progress")
    sent = hosts.sent(hosts.one) - sent
    assert moved["actions"] == planned["actions"] and moved["diff"] == planned["diff"]
    assert moved["domain"] == planned["domain"] == {
        "name": "web", "state": "running", "host": hosts.two.host.name, "uuid": uuid, "autostart": True,
    }  # fmt: skip
    assert "web to " in hosts.one.run("cat", "/run/edge-migration.progress")
    hosts.only_on(hosts.two, "web")
    _no_more_than_needed(hosts, moved["migration"], sent)
    assert hosts.two.verify("web") > known

    again = hosts.migrate("web")
    assert again["changed"] is False and again["domain"] == moved["domain"]
    assert hosts.guest("web", hosts.two, autostart=True, disks=grown)["changed"] is False

    hosts.migrate("web", hosts.two, bandwidth="200MiB", auto_converge=True, compressed=True)
    hosts.only_on(hosts.one, "web")
    hosts.one.wait_more("web", 5)
    hosts.one.verify("web")
    hosts.one.module("domain", name="web", state="absent", force_stop=True, delete_disks=True, timeout=5)


@pytest.mark.slow
def test_a_vm_that_moved_is_made_on_one_host_only(hosts: Pair) -> None:
    """The playbook of the first host still lists it; that of the second never did, and removes what it does not list."""
    one, two = hosts.one, hosts.two
    for host, other in ((one, two), (two, one)):
        cluster = {"name": "edge", "host": host.host.name, "hypervisors": [one.host.name, two.host.name, "gone.example"]}
        host.run("mkdir", "-p", "/etc/edge")
        host.run("sh", "-c", f"echo '{json.dumps(cluster)}' > /etc/edge/cluster.json")
        assert other is not host
    hosts.guest("a1", nics=[])
    hosts.guest("b1", two, nics=[])
    hosts.migrate("a1")
    hosts.only_on(two, "a1")
    for options in ({}, {"state": "stopped"}, {"allow_recreate": True}):
        failed = hosts.guest("a1", nics=[], ok=False, **options)
        assert failed["error"]["host"] == two.host.name and "a second time" in failed["msg"], failed
    one.run("rm", "/etc/edge/cluster.json")
    assert hosts.guest("a1", nics=[], ok=False)["error"]["code"] == "refused", "the mark alone refuses it"
    assert one.module("domain_info")["moved"][0]["destination"] == two.host.name and hosts.domains(one) == {}

    listed = {"domains": [{"name": "b1"}], "unlisted": "absent", "defaults": {"delete_disks": True, "force_stop": True}}
    kept = two.module("domains", **listed)
    assert kept["changed"] is False and hosts.domains(two) == {"a1": "running", "b1": "running"}
    assert two.module("domain_info", name="a1")["domains"][0]["arrival"]["source"] == one.host.name

    hosts.migrate("a1", two)
    hosts.only_on(one, "a1")
    assert hosts.guest("a1", nics=[])["changed"] is False
    shown = one.module("domain_info")
    assert shown["moved"] == [] and shown["domains"][0]["arrival"] is None
    assert "a1" in hosts.guest("a1", two, nics=[], ok=False)["msg"], "the host that it left has a mark now"
    one.module("domain", name="a1", state="absent", force_stop=True, delete_disks=True, timeout=5)
    assert hosts.guest("a1", two, nics=[], allow_recreate=True, state="stopped")["changed"]
    for name in ("a1", "b1"):
        two.module("domain", name=name, state="absent", force_stop=True, delete_disks=True, timeout=5)
    two.run("rm", "/etc/edge/cluster.json")


def test_stopped_with_all_its_files(hosts: Pair) -> None:
    hosts.guest("cold", nics=[])
    known = hosts.one.wait_more("cold", 20)
    hosts.one.module("domain", name="cold", state="stopped", force_stop=True, timeout=5)
    before = hosts.one.run("sha256sum", f"{VMS}/cold/data.qcow2", f"{VMS}/cold/seed.iso")
    planned = hosts.migrate("cold", check=True)
    moved = hosts.migrate("cold")
    assert moved["actions"] == planned["actions"]
    assert "Define domain cold on" in " ".join(moved["actions"]) and "Start domain" not in " ".join(moved["actions"])
    hosts.only_on(hosts.two, "cold", "shut off")
    assert hosts.two.run("sha256sum", f"{VMS}/cold/data.qcow2", f"{VMS}/cold/seed.iso") == before
    assert hosts.two.written("cold", f"{VMS}/cold/data.qcow2") > known
    assert len(hosts.two.run("ls", f"{IMAGES}/leases").split()) == 1, (
        "the host that the disk came to does not know that it uses the image"
    )
    hosts.two.run("mv", f"{VMS}/cold", "/var/lib/edge/away")
    kept = hosts.two.module("image_cache", quota_bytes="0", minimum_age=0)["kept"]
    assert ["another host makes the disk" in one["reason"] for one in kept] == [True]
    hosts.two.run("mv", "/var/lib/edge/away", f"{VMS}/cold")
    hosts.two.module("image_cache", quota_bytes="0", minimum_age=0)
    hosts.two.run("mv", f"{VMS}/cold", "/var/lib/edge/away")
    kept = hosts.two.module("image_cache", quota_bytes="0", minimum_age=0)["kept"]
    assert ["data.qcow2" in one["reason"] and "another host" not in one["reason"] for one in kept] == [True]
    hosts.two.run("mv", "/var/lib/edge/away", f"{VMS}/cold")
    assert hosts.guest("cold", hosts.two, nics=[])["actions"] == ["Start domain cold"]
    hosts.two.wait_more("cold", 5)
    hosts.two.module("domain", name="cold", state="absent", force_stop=True, delete_disks=True, timeout=5)


@pytest.mark.slow  # the matrix of two_hosts moves snapshots and backups
def test_snapshots_and_recovery_points_go_along(hosts: Pair, tmp_path: Path) -> None:
    one, two = hosts.one, hosts.two
    hosts.guest("deep")
    chain = deepen(one, "deep")
    backups = Backups("deep", tmp_path)
    backups.take(one)
    known = one.wait_more("deep", 10)
    before = one.module("domain_snapshot_info", name="deep")

    moved = hosts.migrate("deep")
    assert moved["migration"]["warnings"] == []
    hosts.only_on(two, "deep")
    assert two.chain(two.active("deep")) == chain
    after = two.module("domain_snapshot_info", name="deep")
    assert after["snapshots"] == before["snapshots"]
    two.wait_more("deep", 3)
    assert two.verify("deep") > known
    backups.take(two)  # libvirt refuses where the bitmap did not come along
    assert backups.written() > known

    go_back(two, "deep", "second")
    two.wait_more("deep", 3)
    for name in ("first", "second"):
        two.snapshot("deep", name, state="absent")
    assert len(two.chain(two.active("deep"))) == 2
    two.wait_more("deep", 3)
    two.verify("deep")
    two.module("domain", name="deep", state="absent", force_stop=True, delete_disks=True, timeout=5)


def go_back(host: StreamHost, name: str, snapshot: str) -> None:
    """Revert, and forget what the guest wrote to its console: its blocks have lower numbers again."""
    host.module("domain", name=name, state="stopped", force_stop=True, timeout=5)
    host.run("truncate", "-s", "0", f"{VMS}/{name}/console.log")
    assert host.snapshot(name, snapshot, state="reverted", allow_restart=True)["changed"]
    host.module("domain", name=name)


def deepen(host: StreamHost, name: str) -> list[str]:
    """Give a guest two snapshots, the first gone back to, and return the chain: three overlays, and the image."""
    host.wait_more(name, 3)
    host.snapshot(name, "first")
    host.wait_more(name, 3)
    go_back(host, name, "first")
    host.wait_more(name, 3)
    host.snapshot(name, "second")
    chain = host.chain(host.active(name))
    assert len(chain) == 4 and len(host.files(name)) == 4, (chain, host.files(name))
    return chain


@pytest.mark.slow  # the lock and the mark have unit tests
def test_a_raw_disk_below_a_snapshot_stays_raw(hosts: Pair) -> None:
    """Its guest wrote the header of a qcow2 into it, which names a file of the host that it goes to."""
    secret, raw = "/srv/secret", f"{VMS}/opaque/data.raw"
    hosts.two.run("sh", "-c", f"head -c 1M /dev/urandom > {secret} && chmod 644 {secret}")
    hosts.one.run("sh", "-c", f"mkdir -m 711 -p {VMS}/opaque && truncate -s 4M {raw}")
    hosts.one.run("sh", "-c", f"qemu-img create -q -f qcow2 -u -b {secret} -F raw /srv/evil 1M")
    hosts.one.run("dd", "if=/srv/evil", f"of={raw}", "conv=notrunc", "status=none")
    options: dict[str, Any] = {"name": "opaque", "virt_type": "qemu", "memory": "64MiB", "force_stop": True, "timeout": 60}
    disk = {"name": "data", "path": raw}
    hosts.one.module("domain", **options, disks=[{**disk, "format": "raw"}])
    hosts.one.snapshot("opaque", "a")
    hosts.migrate("opaque")
    hosts.only_on(hosts.two, "opaque")
    overlay = json.loads(hosts.two.run("qemu-img", "info", "-U", "-f", "qcow2", "--output=json", f"{VMS}/opaque/data.a.qcow2"))
    assert (overlay["backing-filename"], overlay["backing-filename-format"]) == (raw, "raw")
    for state in ("running", "stopped", "running"):
        hosts.two.module("domain", **{**options, "timeout": 1}, disks=[disk], state=state)
        opened = hosts.two.run("sh", "-c", "readlink /proc/$(cat /run/libvirt/qemu/opaque.pid)/fd/*", ok=False).splitlines()
        assert (raw in opened, secret in opened) == (state == "running", False)
    hosts.two.module("domain", name="opaque", state="absent", force_stop=True, timeout=1)


@pytest.mark.slow
def test_one_task_at_a_time_on_both_ends(hosts: Pair) -> None:
    one, two = hosts.one, hosts.two
    hosts.guest("held", nics=[])
    lock = "/run/edge/locks/domain-held"
    one.run("systemd-run", "--quiet", "--unit=holder", "flock", lock, "sleep", "600")
    one.run("sh", "-c", f"until ! flock -n {lock} true; do sleep 0.1; done")
    failed = hosts.migrate("held", ok=False, timeout=1)
    assert failed["error"]["code"] == "busy" and lock in failed["msg"] and "held" not in two.run("ls", VMS).split()
    one.run("systemctl", "stop", "holder")

    two.run("mkdir", "-p", f"{VMS}/held")
    two.run("sh", "-c", f"""echo '{{"source": "{one.host.name}"}}' > {VMS}/held/incoming.json""")
    failed = hosts.guest("held", two, nics=[], ok=False)
    assert failed["error"]["code"] == "busy" and f"on {one.host.name} again" in failed["msg"]
    assert "incoming.json" in hosts.migrate("held", ok=False)["msg"], "a note that another migration left there was overlooked"
    two.run("rm", "-r", f"{VMS}/held")

    task = start_play(
        [{"edge.cloud.domain_migration": {"name": "held", "destination": two.host.name, "bandwidth": "1MiB"}}],
        inventory=hosts.inventory,
        hosts=one.host.name,
    )
    two.run("sh", "-c", f"until [ -s {VMS}/held/incoming.json ]; do sleep 0.1; done")
    others = (("domain_snapshot", {"name": "held", "snapshot": "no"}), ("domain", {"name": "held", "timeout": 1}))
    for host in (one, two):
        failed = host.play([{f"edge.cloud.{module}": asked, "ignore_errors": True} for module, asked in others])
        assert [result["failed"] for result in failed] == [True, True] and failed[1]["error"]["code"] == "busy", failed
    one.run("virsh", "migrate-setspeed", "held", "1000")
    assert task.wait(600) == 0
    hosts.only_on(two, "held")
    assert two.run("ls", "-A", f"{VMS}/held").split() == ["console.log", "data.qcow2", "seed.iso"]
    two.module("domain", name="held", state="absent", force_stop=True, delete_disks=True, timeout=5)


@pytest.mark.slow  # the checks have unit tests
def test_what_cannot_move_is_reported_before_any_change(hosts: Pair) -> None:
    hosts.guest("stays", memory="64MiB")
    two, hexadecimal = hosts.two, hosts.digest.removeprefix("sha256:")

    def refused(*words: str, name: str = "stays", **options: object) -> None:
        failed = hosts.migrate(name, ok=False, **options)["msg"]
        assert all(word in failed for word in words), failed

    refused("destination: ", "nowhere.example", destination="nowhere.example")
    refused("destination: ", "is this host itself", destination=hosts.one.host.name)
    refused("destination: ", "neither a host name", destination="a b")
    refused("bandwidth: ", bandwidth="10KiB")
    refused("neither", "ghost", name="ghost")
    two.run("mv", f"{IMAGES}/{hexadecimal}.json", "/root/kept.json")
    refused("destination: ", hosts.digest, "replica_image")
    two.run("mv", "/root/kept.json", f"{IMAGES}/{hexadecimal}.json")
    two.run("virsh", "net-destroy", "default")
    refused("destination: ", "network default is not active")
    two.run("virsh", "net-start", "default")
    two.run("mkdir", f"{VMS}/stays")
    two.run("touch", f"{VMS}/stays/data.qcow2")
    refused("destination: ", "data.qcow2 already")
    assert two.run("ls", f"{VMS}/stays") == "data.qcow2"
    two.run("rm", "-r", f"{VMS}/stays")
    hosts.guest("other", two, nics=[{"network": "default", "mac": "52:54:00:00:00:77"}], state="stopped")
    two.run(
        "sh", "-c", "virsh dumpxml --inactive other | sed -e 's/>other</>stays</' -e '/<uuid>/d' -e '/mac address/d' > /root/x.xml"
    )
    two.run("virsh", "define", "/root/x.xml")
    refused("destination: ", "has a domain stays already")
    two.run("virsh", "undefine", "stays")
    two.module("domain", name="other", state="absent", delete_disks=True)
    assert hosts.domains(hosts.one)["stays"] == "running" and hosts.domains(two) == {}
    assert "migration.json" not in hosts.one.run("ls", "-A", f"{VMS}/stays")
    hosts.one.module("domain", name="stays", state="absent", force_stop=True, delete_disks=True, timeout=5)


def _no_more_than_needed(hosts: Pair, shown: dict[str, Any], sent: int) -> None:
    """The guest's memory went over, and of the disk what the guest had written, not what is in the image."""
    length, blocks = map(int, hosts.two.run("stat", "-c", "%s %b", f"{VMS}/web/data.qcow2").split())
    written = (hosts.two.wait_more("web", 5) + 2) * BLOCK
    assert shown["memory_bytes"] > 0 and shown["downtime"] > 0 and shown["warnings"] == []
    assert sent < 1.05 * shown["memory_bytes"] + written + 16 * MIB, "the disk of 136 MiB was sent, too"
    assert length >= 128 * MIB and blocks * 512 < written + 16 * MIB, "it has room ahead, which takes no space"


@pytest.mark.slow  # fault runs break migrations off at each step
def test_a_migration_that_takes_too_long_leaves_the_guest_as_it_was(hosts: Pair) -> None:
    hosts.guest("slow", autostart=True)
    hosts.one.wait_more("slow", 5)
    late = hosts.migrate("slow", ok=False, bandwidth="1MiB", timeout=15)
    assert late["error"]["code"] == "timed_out" and any(late["error"]["progress"].values())
    assert hosts.domains(hosts.one)["slow"] == "running" and hosts.domains(hosts.two) == {}
    assert "slow" not in hosts.two.run("ls", VMS).split()
    assert hosts.guest("slow", autostart=True)["changed"] is False
    hosts.one.wait_more("slow", 5)
    hosts.one.verify("slow")
    hosts.one.module("domain", name="slow", state="absent", force_stop=True, delete_disks=True, timeout=5)


@pytest.mark.slow  # the other way to the same end is what most use
def test_post_copy_where_the_kernel_lets_it(hosts: Pair) -> None:
    """Refused in words where QEMU's user may not have userfaultfd; done where it may, which lab hosts get by the device's file."""
    one, two = hosts.one, hosts.two
    hosts.guest("late")
    known = one.wait_more("late", 10)
    if one.run("cat", "/proc/sys/vm/unprivileged_userfaultfd") == "0":
        refused = hosts.migrate("late", ok=False, post_copy=True)
        assert refused["error"]["option"] == "post_copy" and "vm.unprivileged_userfaultfd" in refused["msg"]
        assert hosts.domains(one)["late"] == "running" and "late" not in two.run("ls", VMS).split()
        for host in (one, two):
            host.run("sh", "-c", "mknod -m 666 /dev/userfaultfd c 10 $(sed -n 's/ userfaultfd//p' /proc/misc)")
    if "bookworm" not in two.run("cat", "/etc/os-release"):  # its QEMU does not know the device's file
        moved = hosts.migrate("late", post_copy=True, bandwidth="4MiB")
        assert moved["migration"]["post_copy"] is True
        hosts.only_on(two, "late")
        two.wait_more("late", 5)
        assert two.verify("late") > known
    for host in (one, two):
        host.run("rm", "-f", "/dev/userfaultfd")
        host.module("domain", name="late", state="absent", force_stop=True, delete_disks=True, timeout=5)


def test_a_client_without_a_certificate_of_ours_gets_nothing(hosts: Pair) -> None:
    """Without a certificate, with one of another CA, or with one of ours that is not a hypervisor's, libvirt answers nothing."""
    uri = f"qemu+tls://{hosts.two.host.name}/system"
    assert hosts.one.run("virsh", "-c", uri, "uri")
    hosts.one.run("sh", "-c", CERTIFICATES)
    for who in ("none", "foreign", "guest"):
        done = hosts.one.host.run(["virsh", "-c", f"{uri}?pkipath=/root/{who}", "list"], check=False)
        assert done.returncode != 0, who
        assert "error" in done.stderr and "Id " not in done.stdout


CERTIFICATES = """
set -e
cd /root
pki=/etc/edge/pki
new() {  # folder, name, CA certificate, CA key
  openssl req -newkey rsa:2048 -nodes -keyout $1/clientkey.pem -subj "/CN=$2" -out $1/request 2>/dev/null
  openssl x509 -req -in $1/request -CA $3 -CAkey $4 -CAcreateserial -days 2 -out $1/clientcert.pem 2>/dev/null
  cp $pki/ca.crt $1/cacert.pem
}
mkdir -p none foreign guest
cp $pki/ca.crt none/cacert.pem
openssl req -x509 -newkey rsa:2048 -nodes -keyout foreign.key -subj /CN=foreign -days 2 -out foreign.crt 2>/dev/null
new foreign mig-1 foreign.crt foreign.key
new guest guest.example $pki/ca/ca.crt $pki/ca/ca.key
"""
