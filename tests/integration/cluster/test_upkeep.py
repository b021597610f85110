# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is kept: certificates are renewed, images stay whole and within the quota, and what is not wanted ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from edge_lab.api import LabHost
from support.lab_cluster import Site, book, ended
from support.vm_host import IMAGES, VMS

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]  # the roles run on the whole cluster twice more
FRONT, REPLICA, OTHER, HYPERVISOR = "cd-front", "cd-r2", "cd-r1", "cd-h1"
SERIAL = "openssl s_client -connect {}:{} </dev/null 2>/dev/null | openssl x509 -noout -serial"
CERTIFICATE = ["--cacert", "/etc/edge/pki/ca.crt", "--cert", "/etc/edge/pki/host.crt", "--key", "/etc/edge/pki/host.key"]
SERVED = ((FRONT, 8443), (REPLICA, 8444), (HYPERVISOR, 16514))
LONG = {"pki_certificate_days": 600}  # a certificate of more days than asked for would be replaced
FLIP = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(1 << 20); b = f.read(1); f.seek(1 << 20); f.write(bytes([b[0] ^ 1]))"


@dataclass(frozen=True)
class Seen:
    """The serial numbers of the certificates that are served, and the replica's timers."""

    serials: dict[str, str]
    timers: dict[str, str]


def seen(site: Site) -> Seen:
    return Seen(serials(site), timers(site))


def run(site: Site, *hosts: str, front: dict[str, Any], replica: dict[str, Any], hypervisor: dict[str, Any]) -> None:
    """Run the roles with these variables on these hosts."""
    variables = (front, replica, hypervisor)
    site.run([{**play, "vars": more} for play, more in zip(book(site.nbd), variables, strict=True)], *hosts)


@pytest.fixture(scope="module")
def kept(site: Site) -> tuple[Seen, Seen]:
    """What was seen before and after a run that renews certificates, at will or as they end soon, and that has a quota."""
    before, soon = seen(site), {**LONG, "pki_renew_before_days": 400}
    quota = {"host_quota_bytes": "1MiB", "host_quota_percent": 50.0, "host_minimum_age": 0}
    run(site, FRONT, REPLICA, HYPERVISOR, front={"pki_renew": True}, replica={**soon, **quota}, hypervisor=soon)
    return before, seen(site)


def serials(site: Site) -> dict[str, str]:
    """Return the serial number of the certificate that each host shows who connects."""
    return {name: site.hosts[OTHER].run(["sh", "-c", SERIAL.format(name, port)]).stdout.strip() for name, port in SERVED}


def opens(site: Site, name: str, url: str) -> bool:
    return site.hosts[name].run(["curl", "--silent", "--fail", "--max-time", "300", *CERTIFICATE, url], check=False).returncode == 0


def timers(site: Site) -> dict[str, str]:
    """Return how the replica's timers are: enabled or disabled, active or inactive."""

    def asked(timer: str, *verbs: str) -> str:
        shown = [site.hosts[REPLICA].run(["systemctl", verb, f"edge-{timer}.timer"], check=False).stdout for verb in verbs]
        return " ".join(one.strip() for one in shown)

    return {timer: asked(timer, "is-enabled", "is-active") for timer in ("gc", "scrub")}


def test_a_new_certificate_is_served_by_all_and_opens_what_the_old_one_did(site: Site, kept: tuple[Seen, Seen]) -> None:
    before, after = (one.serials for one in kept)
    assert all(before.values()) and len(set(before.values())) == len(SERVED)
    assert not set(before.values()) & set(after.values())
    for name, serial in after.items():
        show = ["openssl", "x509", "-noout", "-serial", "-in", "/etc/edge/pki/host.crt"]
        assert site.hosts[name].run(show).stdout.strip() == serial
    front, replica = f"https://{FRONT}:8443/index.json", f"https://{REPLICA}:8444/index.json"
    assert opens(site, REPLICA, front), "with a new certificate"
    assert opens(site, OTHER, front) and opens(site, OTHER, replica), "with an old one"
    virsh = ["virsh", "-c", f"qemu+tls://{HYPERVISOR}/system", "uri"]
    assert site.hosts["cd-h2"].run(virsh, check=False).returncode == 0


def test_the_timers_keep_the_images_whole_and_within_the_quota(site: Site, kept: tuple[Seen, Seen]) -> None:
    host, one, two = site.hosts[REPLICA], site.digest("1"), site.digest("2")
    assert [state.timers for state in kept] == [
        {"gc": "enabled active", "scrub": "enabled active"},
        {"gc": "enabled active", "scrub": "enabled active"},
    ]
    host.run(["systemctl", "stop", "edge-gc.timer"])  # the test does it
    images = json.loads(host.run(["cat", "/etc/edge/cluster.json"]).stdout)["images"]
    assert (images["quota_bytes"], images["quota_percent"], images["minimum_age"]) == ("1MiB", 50.0, 0)

    for version in ("1", "2"):
        ended(site.pull(REPLICA, version))
    path = f"{IMAGES}/{one.removeprefix('sha256:')}.qcow2"
    host.run(["python3", "-c", FLIP, path])
    assert not site.has(REPLICA, one)
    host.run(["systemctl", "start", "edge-scrub.service"])
    assert site.has(REPLICA, one), "its damage was not repaired"

    disk, backing = f"{VMS}/kept.qcow2", f"{IMAGES}/{two.removeprefix('sha256:')}.qcow2"
    host.run(["mkdir", "-p", VMS])
    host.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, disk])
    host.run(["systemctl", "start", "edge-gc.service"])
    assert not site.has(REPLICA, one) and site.has(REPLICA, two), "what a disk stands on stays"
    host.run(["rm", disk])
    host.run(["systemctl", "start", "edge-gc.service"])
    assert not site.has(REPLICA, two)


def test_what_is_not_asked_for_any_more_ends_and_a_certificate_that_is_good_stays(site: Site, kept: tuple[Seen, Seen]) -> None:
    run(site, FRONT, REPLICA, front={}, replica={**LONG, "host_scrub": "", "host_quota_percent": "0"}, hypervisor={})
    assert seen(site) == Seen(kept[1].serials, {"gc": "disabled inactive", "scrub": "disabled inactive"})
    images = json.loads(site.hosts[REPLICA].run(["cat", "/etc/edge/cluster.json"]).stdout)["images"]
    assert images["quota_bytes"] is None and images["quota_percent"] is None
    ended(site.pull(REPLICA, "1"))
    assert site.has(REPLICA, site.digest("1"))


def test_a_hypervisor_closes_its_port_and_is_taken_off_and_comes_back(site: Site, kept: tuple[Seen, Seen]) -> None:
    host = site.hosts[HYPERVISOR]
    assert settings_of(host) and active(host, "libvirtd-tls.socket")
    run(site, HYPERVISOR, front={}, replica={}, hypervisor={**LONG, "hypervisor_migration": "false"})
    assert "edge.cloud migration" not in host.run(["cat", "/etc/libvirt/libvirtd.conf"]).stdout
    assert not active(host, "libvirtd-tls.socket")

    host.run(["touch", f"{VMS}/data.qcow2"])
    run(site, HYPERVISOR, front={}, replica={}, hypervisor={**LONG, "hypervisor_state": "absent"})
    assert settings_of(host) == []
    gone = ["/etc/pki/qemu/edge", "/etc/pki/libvirt/servercert.pem", "/etc/systemd/system/edge-arrive.path"]
    gone += ["/etc/systemd/system/edge-networks.service", "/etc/systemd/network/10-edge-networks.network"]
    gone += ["/etc/sysctl.d/10-edge-bridges.conf", "/etc/udev/rules.d/60-edge-bridges.rules"]
    assert [path for path in gone if host.run(["test", "-e", path], check=False).returncode == 0] == []
    assert not active(host, "edge-images.service")
    host.run(["virsh", "list"])  # libvirt answers, with its own settings
    host.run(["rm", f"{VMS}/data.qcow2"])  # data stays; a folder without any goes

    run(site, HYPERVISOR, front={}, replica={}, hypervisor=LONG)
    assert active(host, "libvirtd-tls.socket") and active(host, "edge-images.service")
    assert seen(site).serials == kept[1].serials


def active(host: LabHost, unit: str) -> bool:
    return host.run(["systemctl", "is-active", unit], check=False).stdout.strip() == "active"


def settings_of(host: LabHost) -> list[str]:
    """Return the lines of libvirt's files that are marked as ours."""
    shown = host.run(["cat", "/etc/libvirt/libvirtd.conf", "/etc/libvirt/qemu.conf"]).stdout
    return [line for line in shown.splitlines() if "edge.cloud" in line]
