# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host that is Front-end, replica and hypervisor."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from support import hand_check

FETCH = "curl --silent --max-time 300 --output /dev/null --write-out '%{http_code}' "
NOT_TRUSTED = 60  # curl: who serves is not of an authority that the machine knows
TLS = "--cacert /etc/edge/pki/ca.crt --cert /etc/edge/pki/host.crt --key /etc/edge/pki/host.key "


@pytest.mark.parametrize("name", ["edge-datastore", "edge-replica", "libvirtd"])
def test_service_runs_now_and_after_a_restart(host, name):
    assert host.service(name).is_running
    assert host.service(name).is_enabled


@pytest.mark.parametrize("port", [8443, 8444])
def test_image_servers_talk_only_to_hosts_with_a_certificate(host, port):
    index = f"https://localhost:{port}/index.json"
    assert host.run(FETCH + TLS + index).stdout == "200"
    assert host.run(FETCH + f"--cacert /etc/edge/pki/ca.crt {index}").stdout == "400"
    assert host.run(FETCH + index).rc == NOT_TRUSTED


def test_only_images_are_served(host):
    host.run_expect([0], "touch /var/lib/edge/datastore/secret.txt")
    assert host.run(FETCH + TLS + "https://localhost:8443/secret.txt").stdout == "404"
    host.run_expect([0], "rm /var/lib/edge/datastore/secret.txt")


def test_the_image_is_whole_on_the_replica(host):
    index = json.loads(host.file("/var/lib/edge/datastore/index.json").content_string)
    (image,) = index["images"]
    path = f"/var/lib/edge/images/{image['digest'].removeprefix('sha256:')}.qcow2"
    assert host.check_output("python3 -c %s %s", hand_check.program(), path) == image["digest"]


def test_the_network_gives_addresses_and_names(host):
    facts = dict(re.findall(r"^(\w+): +(\S+)$", host.check_output("virsh net-info edge"), re.MULTILINE))
    assert (facts["Active"], facts["Persistent"], facts["Autostart"]) == ("yes", "yes", "yes")
    assert "10.77.0.1" in host.interface(facts["Bridge"]).addresses
    network = ElementTree.fromstring(host.check_output("virsh net-dumpxml edge"))
    lease = network.find("ip[@address='10.77.0.1']/dhcp/range")
    assert lease.get("start").startswith("10.77.0.") and lease.get("end").startswith("10.77.0.")
    assert network.find("domain").get("name") == "edge.example"
    assert host.socket("udp://10.77.0.1:53").is_listening


def test_the_keys_stay_private(host):
    key = host.file("/etc/edge/pki/host.key")
    assert key.mode == 0o640
    assert key.user == "root"
    assert host.file("/etc/edge/pki/ca").mode == 0o700
