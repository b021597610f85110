# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points of a hypervisor's VM arrive at a replica by the units of the real roles, and nobody else may read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from edge_lab.api import LabHost, unusable
from support import lab_cluster, stream_guest
from support.lab_cluster import Site
from support.playbook import changed_in
from support.stream_host import StreamHost
from support.vm_host import IMAGES, MACHINE, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab]
HYPERVISOR, REPLICA, FRONT = "rp-h1", "rp-r1", "rp-front"
RECOVERY = "/var/lib/edge/recovery"
POINTS, OUTGOING = f"{RECOVERY}/points", f"{RECOVERY}/outgoing"
BOOK = lab_cluster.book(True, points_nbd=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := unusable():
        pytest.skip(reason)
    with lab_cluster.site("rp", tmp_path_factory.mktemp("rp"), replicas=1, hypervisors=["trixie"]) as made:
        made.run(BOOK)
        yield made


@pytest.fixture(scope="module")
def vm(site: Site) -> tuple[StreamHost, str]:
    """Have a VM over an image that only the hypervisor has; return its host and the image's digest."""
    host = StreamHost(site.hosts[HYPERVISOR], site.lab.inventory, site.folder)
    digest = host.have_image(site.folder / "image")
    disks = [{"name": "data", "image": digest, "size": "128MiB"}]
    asked = {"name": "web", **MACHINE, "cmdline": stream_guest.cmdline("vda"), "disks": disks, "nics": [], "guest_agent": False}
    host.module("domain", **asked, timeout=300)
    return host, digest


def edge_host(host: LabHost, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.run(["edge-host", *words]).stdout)
    return found


def status(host: LabHost, url: str) -> str:
    """Ask with the certificate of a host, and return the status."""
    pki = "/etc/edge/pki"
    own = ["--cacert", f"{pki}/ca.crt", "--cert", f"{pki}/host.crt", "--key", f"{pki}/host.key"]
    curl = ["curl", "--silent", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code}"]
    return host.run([*curl, *own, url], check=False).stdout


def restored(host: LabHost, generation: str, path: str) -> str:
    """Restore a disk whole on the replica, and return the SHA-256 of its content."""
    edge_host(host, "point", "restore", "--vm", "web", "--generation", generation, "--path", path, "--whole")
    return content(host, path)


def content(host: LabHost, path: str) -> str:
    script = f"qemu-img convert -f qcow2 -O raw {path} /var/tmp/raw && sha256sum < /var/tmp/raw; rm -f /var/tmp/raw"
    return host.run(["sh", "-ec", script]).stdout.split()[0]


def test_points_arrive_and_restore_to_equal_bytes(site: Site, vm: tuple[StreamHost, str]) -> None:
    hypervisor, digest = vm
    replica = site.hosts[REPLICA]
    known = hypervisor.wait_more("web", 10)
    first = edge_host(hypervisor.host, "point", "make", "--vm", "web")
    hypervisor.wait_more("web", 10)
    hypervisor.run("virsh", "destroy", "web")
    second = edge_host(hypervisor.host, "point", "make", "--vm", "web")

    replica.run(["systemctl", "start", "edge-points-pull.service"])
    (found,) = edge_host(replica, "point", "list", "--vm", "web")["vms"]
    names = [one["generation"] for one in found["generations"]]
    assert names == [first["generation"], second["generation"]] and found["uuid"] == second["vm"]
    image = f"{IMAGES}/{digest.removeprefix('sha256:')}.json"  # which edge-fill brings from the hypervisor
    stream_guest.wait_for(lambda: str(replica.run(["test", "-e", image], check=False).returncode), "0".__eq__, "the image")
    assert restored(replica, second["generation"], "/var/tmp/second.qcow2") == content(hypervisor.host, hypervisor.active("web"))
    restored(replica, first["generation"], "/var/tmp/first.qcow2")
    assert stream_guest.written(lambda *argv: replica.run(argv).stdout, "/var/tmp/first.qcow2") > known
    assert edge_host(replica, "status")["failed"] == []


def test_only_hosts_that_may_read_the_data_of_guests(site: Site, vm: tuple[StreamHost, str]) -> None:
    uuid = vm[0].run("virsh", "domuuid", "web")
    made, kept = f"https://{HYPERVISOR}:8445/outgoing/{uuid}/", f"https://{REPLICA}:8445/points/{uuid}/"
    found = {name: (status(host, made), status(host, kept)) for name, host in site.hosts.items()}
    assert found == {REPLICA: ("200", "200"), HYPERVISOR: ("403", "200"), FRONT: ("403", "403")}
    for host, folder in ((site.hosts[HYPERVISOR], f"{OUTGOING}/{uuid}"), (site.hosts[REPLICA], f"{POINTS}/{uuid}")):
        shown = host.run(["find", folder, "-type", "f", "-printf", "%u %m %p\n"]).stdout.splitlines()
        assert shown and {line.rsplit(maxsplit=1)[0] for line in shown} == {"root 600"}
        assert host.run(["runuser", "-u", "www-data", "--", "cat", shown[0].split()[2]], check=False).returncode != 0
        users = host.run(["ps", "-o", "user:20=", "-C", "nginx"]).stdout.split()
        assert "edge-points" in users
    main = host.run(["systemctl", "show", "--value", "--property=MainPID", "edge-points-server.service"]).stdout.strip()
    assert host.run(["ps", "-o", "user:20=", "-p", main]).stdout.split() == ["edge-points"]


OVER_NBD = """
cd /var/tmp
rm -rf pki raw; mkdir pki
for pair in ca-cert:%(pki)s/ca%(ca)s client-cert:%(pki)s/%(own)s%(cert)s client-key:%(pki)s/%(own)s%(key)s
do ln -s "${pair#*:}" "pki/${pair%%:*}.pem"; done
qemu-img convert -O raw --object tls-creds-x509,id=tls,endpoint=client,dir=/var/tmp/pki --image-opts \\
  driver=nbd,host=%(host)s,port=10810,export=%(name)s,tls-creds=tls raw
sha256sum < raw
rm -rf pki raw
"""
OWN = {"pki": "/etc/edge/pki", "ca": ".crt", "own": "host", "cert": ".crt", "key": ".key"}
QEMUS = {"pki": "/etc/pki/qemu/edge", "ca": "-cert.pem", "own": "client", "cert": "-cert.pem", "key": "-key.pem"}


def test_a_disk_is_read_by_nbd_where_it_is_by_those_who_may(site: Site, vm: tuple[StreamHost, str]) -> None:
    replica = site.hosts[REPLICA]
    generation = edge_host(replica, "point", "list", "--vm", "web")["vms"][0]["generations"][0]["generation"]
    true = restored(replica, generation, "/var/tmp/oldest.qcow2")
    (disk,) = edge_host(replica, "point", "export", "--vm", "web", "--generation", generation)["disks"]

    def read(host: LabHost, certificates: dict[str, str]) -> str:
        asked = {**certificates, "host": REPLICA, "name": disk["name"]}
        return host.run(["sh", "-ec", OVER_NBD % asked], check=False).stdout.partition(" ")[0]

    hypervisor = site.hosts[HYPERVISOR]
    stream_guest.wait_for(lambda: read(hypervisor, QEMUS), true.__eq__, "the content of the disk, read with the key of QEMU")
    assert read(hypervisor, OWN) == true
    assert read(site.hosts[FRONT], OWN) == ""
    main = replica.run(["systemctl", "show", "--value", "--property=MainPID", "edge-points-nbd.service"]).stdout.strip()
    assert replica.run(["ps", "-o", "user:20=", "-p", main]).stdout.split() == ["edge-points"]
    replica.run(["systemctl", "restart", "edge-points-nbd.service"])
    stream_guest.wait_for(lambda: read(hypervisor, QEMUS), true.__eq__, "the same after a restart")
    edge_host(replica, "point", "export", "--vm", "web", "--generation", generation, "--end")
    assert read(hypervisor, QEMUS) == ""
    assert replica.run(["systemctl", "is-active", "edge-points-nbd.service"], check=False).stdout.strip() == "inactive"


def exported(replica: LabHost) -> str:
    return json.dumps(edge_host(replica, "point", "export")["exports"])


@pytest.mark.slow
def test_a_hypervisor_has_a_point_exported_by_itself_as_long_as_it_lives(site: Site, vm: tuple[StreamHost, str]) -> None:
    hypervisor, replica = site.hosts[HYPERVISOR], site.hosts[REPLICA]
    uuid = vm[0].run("virsh", "domuuid", "web").strip()
    generation = edge_host(replica, "point", "list", "--vm", "web")["vms"][0]["generations"][0]["generation"]
    true = restored(replica, generation, "/var/tmp/leased.qcow2")
    found = edge_host(hypervisor, "point", "lease", "--vm", uuid, "--generation", generation)
    server = urlsplit(found["server"])
    assert (server.scheme, server.port) == ("nbds", 10810)
    script = OVER_NBD % {**QEMUS, "host": server.hostname, "name": found["disks"][0]["name"]}
    assert hypervisor.run(["sh", "-ec", script]).stdout.partition(" ")[0] == true, "it is there when the verb returns"
    edge_host(hypervisor, "point", "lease", "--lease", found["lease"])
    mark = f"{POINTS}/{uuid}/{generation}.lease"
    assert replica.run(["stat", "-c", "%U %a", mark]).stdout.strip() == "root 600"
    unknown = hypervisor.run(["edge-host", "point", "lease", "--vm", uuid, "--generation", "0.999"], check=False)
    assert unknown.returncode == 1 and json.loads(unknown.stdout)["error"]["code"] == "not_found"
    assert status(site.hosts[FRONT], f"https://{REPLICA}:8444/leases/{found['lease']}.json") == "403"
    edge_host(hypervisor, "point", "lease", "--lease", found["lease"], "--end")
    stream_guest.wait_for(lambda: exported(replica), "[]".__eq__, "the end of the export")
    assert replica.run(["test", "-e", mark], check=False).returncode != 0
    assert hypervisor.run(["sh", "-ec", script], check=False).stdout.partition(" ")[0] != true

    dead = edge_host(hypervisor, "point", "lease", "--vm", uuid, "--generation", generation)
    over = f"/var/lib/edge/leases/state/{HYPERVISOR}.{dead['lease']}.json"
    passed = {**json.loads(replica.run(["cat", over]).stdout), "until": 1}
    replica.run(["sh", "-ec", f"printf '%s' '{json.dumps(passed)}' > {over}"])  # an hour without a sign of the host
    stream_guest.wait_for(lambda: exported(replica), "[]".__eq__, "the end by the timer")
    stream_guest.wait_for(lambda: replica.run(["ls", "-A", "/var/lib/edge/leases/state"]).stdout, "".__eq__, "the last lease's end")
    assert edge_host(replica, "status")["failed"] == []
    edge_host(hypervisor, "point", "lease", "--lease", dead["lease"], "--end")  # which forgets it at once


@pytest.mark.slow
def test_a_vm_begins_over_its_point_without_a_task_on_the_replica(site: Site, vm: tuple[StreamHost, str]) -> None:
    hypervisor, uuid = vm[0], vm[0].run("virsh", "domuuid", "web").strip()
    ours = edge_host(hypervisor.host, "point", "lease", "--vm", uuid, "--user", "leased")
    asked = {"vm": "web", "generation": ours["generation"], "point_servers": [ours["server"]]}
    assert hypervisor.module("recovery_point", name="leased", **asked, timeout=300)["changed"]
    hypervisor.module("domain", name="leased", state="running", timeout=300)
    stream_guest.wait_for(
        lambda: hypervisor.run("ls", "-A", f"{VMS}/leased"), lambda names: "arriving" not in names, "the disk of its own"
    )
    stream_guest.wait_for(lambda: exported(site.hosts[REPLICA]), "[]".__eq__, "the end of the lease by edge-arrive")
    stream_guest.wait_for(lambda: hypervisor.run("ls", "-A", f"{RECOVERY}/leases"), "".__eq__, "the end of its note")
    hypervisor.wait_more("leased", 3)
    hypervisor.module("domain", name="leased", state="absent", force_stop=True, timeout=1, delete_disks=True)


def test_a_vm_runs_over_its_point_before_that_is_here_and_is_moved(site: Site, vm: tuple[StreamHost, str]) -> None:
    hypervisor, replica = vm[0], site.hosts[REPLICA]
    found = edge_host(replica, "point", "list", "--vm", "web")["vms"][0]["generations"][-1]
    edge_host(replica, "point", "export", "--vm", "web", "--generation", found["generation"])
    asked = {"name": "soon", "vm": "web", "generation": found["generation"], "point_servers": [REPLICA], "timeout": 300}
    hypervisor.run("systemctl", "stop", "edge-arrive.path")  # until the guest has written, however long that takes
    try:
        assert hypervisor.module("recovery_point", **asked)["changed"]
        hypervisor.module("domain", name="soon", state="running", timeout=300)
        known = hypervisor.wait_more("soon", 3)
        assert "arriving-soon" not in hypervisor.run("ls", RECOVERY).split(), "nothing of the point has been fetched"
        assert hypervisor.active("soon").endswith("/data.arriving.qcow2")
        assert "STREAM-FROM 0\n" not in hypervisor.console("soon"), "it goes on where the point was"
        assert "is still on its way" in hypervisor.snapshot("soon", "early", ok=False)["msg"]
        assert hypervisor.host.run(["edge-host", "point", "make", "--vm", "soon"], check=False).returncode == 1
        replica.run(["systemctl", "stop", "edge-points-nbd.service"])  # what the guest reads from is gone in the middle
    finally:
        hypervisor.run("systemctl", "start", "edge-arrive.path")
    stream_guest.wait_for(lambda: hypervisor.active("soon"), lambda path: path.endswith("/data.qcow2"), "the disk of its own")
    stream_guest.wait_for(
        lambda: hypervisor.run("ls", "-A", f"{VMS}/soon"), lambda names: "arriving" not in names, "the end of the move"
    )
    assert "nbd" not in hypervisor.run("virsh", "dumpxml", "soon") + hypervisor.run("virsh", "dumpxml", "--inactive", "soon")
    assert hypervisor.wait_more("soon", 3) > known
    hypervisor.verify("soon")
    assert hypervisor.chain(hypervisor.active("soon")) == ["data.qcow2", f"{vm[1].removeprefix('sha256:')}.qcow2"]
    assert not hypervisor.module("recovery_point", **asked)["changed"]
    assert "arriving-soon" not in hypervisor.run("ls", RECOVERY).split()
    hypervisor.run("virsh", "destroy", "soon")
    hypervisor.module("domain", name="soon", state="running", timeout=300)
    hypervisor.wait_more("soon", 3)  # it needs the replica no more
    hypervisor.module("domain", name="soon", state="absent", force_stop=True, timeout=1, delete_disks=True)


def test_a_policy_is_met_by_the_units_and_a_host_without_points_restores(site: Site, vm: tuple[StreamHost, str]) -> None:
    hypervisor, replica = vm[0], site.hosts[REPLICA]
    uuid = hypervisor.run("virsh", "domuuid", "web").strip()
    hypervisor.module("domain", name="web", recovery={"interval": 60, "quiesce": "never"}, state="running", timeout=300)
    hypervisor.wait_more("web", 5)

    def newest_held() -> str:
        hypervisor.run("systemctl", "start", "edge-points.service", ok=False)  # fails while points are late, as on a busy machine
        replica.run(["systemctl", "start", "edge-points-pull.service"])
        (found,) = edge_host(hypervisor.host, "point", "status")["vms"]
        return str(found["held"][-1]) if found["held"] and found["newest"] == found["held"][-1] else ""

    stream_guest.wait_for(newest_held, bool, "a point at the replica")
    left = hypervisor.run("ls", f"{OUTGOING}/{uuid}").split()
    assert left == ["journal.json"], "what the replica holds goes from the VM's host"
    (held,) = edge_host(replica, "point", "list", "--vm", uuid)["vms"]
    generation = held["generations"][-1]["generation"]
    made = hypervisor.module("recovery_point", name="again", vm="web", generation=generation, timeout=300)
    assert made["changed"] and made["generation"] == generation
    assert content(hypervisor.host, hypervisor.active("again")) == restored(replica, generation, "/var/tmp/third.qcow2")


@pytest.mark.slow
def test_a_timer_backs_up_points_and_the_front_end_without_a_controller(site: Site, vm: tuple[StreamHost, str]) -> None:
    replica, front = site.hosts[REPLICA], site.hosts[FRONT]
    role = {"role": "edge.cloud.backup", "backup_repository": "/srv/backup", "backup_password": "c4n4ry", "backup_init": "true"}
    plays = [{"hosts": "replica:frontend", "roles": [role]}]
    site.run(plays)
    assert set(changed_in(site.run(plays)).values()) == {0}
    for host, made in ((replica, ["VM web"]), (front, ["files frontend"])):
        assert (
            host.run(["stat", "-c", "%U %a", "/etc/edge/backup.json", "/etc/edge/backup.password"]).stdout.split()
            == ["root", "600"] * 2
        )
        assert host.run(["systemctl", "is-active", "edge-backup.timer"]).stdout.strip() == "active"
        host.run(["systemctl", "start", "edge-backup.service"])
        last = edge_host(host, "backup", "status")["last"]
        assert set(made) <= set(last["made"]) and len(last["verified"]) == 1 and last["failed"] == {}, last
    replica.run(["mv", "/etc/edge/backup.password", "/etc/edge/backup.away"])
    assert replica.run(["systemctl", "start", "edge-backup.service"], check=False).returncode != 0
    stream_guest.wait_for(lambda: str(edge_host(replica, "status")["failed"]), lambda seen: "edge-backup" in seen, "the failure")
    replica.run(["mv", "/etc/edge/backup.away", "/etc/edge/backup.password"])
    replica.run(["systemctl", "start", "edge-backup.service"])
    assert edge_host(replica, "status")["failed"] == []
    site.run([{**plays[0], "vars": {"backup_state": "absent"}}])
    left = replica.run(["sh", "-c", "ls -d /etc/edge/backup* /var/lib/edge/backup /var/cache/edge-backup /srv/backup"], check=False)
    assert left.stdout.split() == ["/etc/edge/backup.password", "/srv/backup"], "the password and the repository stay"


@pytest.mark.slow
def test_the_roles_again_change_nothing_and_absent_leaves_the_points(site: Site, vm: tuple[StreamHost, str]) -> None:
    assert set(changed_in(site.run(BOOK)).values()) == {0}
    replica, uuid = site.hosts[REPLICA], vm[0].run("virsh", "domuuid", "web")
    absent = {"role": "edge.cloud.replica", "replica_state": "absent"}
    site.run([{"hosts": "replica", "roles": [absent]}])
    units = replica.run(["sh", "-c", "ls /etc/systemd/system | grep edge-points"], check=False).stdout
    assert units == "" and uuid in replica.run(["ls", POINTS]).stdout.split()
    assert replica.run(["id", "edge-points"], check=False).returncode != 0
    site.run([{"hosts": "replica", "roles": [{**absent, "replica_remove_points": "true"}]}])
    assert replica.run(["test", "-e", "/var/lib/edge/recovery"], check=False).returncode != 0
