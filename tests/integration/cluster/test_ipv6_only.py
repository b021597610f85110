# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster whose hosts reach each other by IPv6 alone: IPv4 reaches only the machine of the tests, for packages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from edge_lab.api import unusable
from support import lab_cluster
from support.images import qcow2
from support.playbook import changed_in

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(3600)]
PREFIX = "fd77:6::"
ONLY_IPV6 = """
set -e
ip -6 address add {address}/64 dev host0 nodad
sed -i '/^[0-9.]* *v6-/d' /etc/hosts
printf '%s\\n' {names} >> /etc/hosts
nft -f - <<END
table ip only_ipv6 {{
    chain input {{ type filter hook input priority -50; iif lo accept; ip saddr != {machine} drop; }}
    chain output {{ type filter hook output priority -50; oif lo accept; ip daddr != {machine} drop; }}
}}
END
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab_cluster.Site]:
    """A Front-end, a replica and a hypervisor of each release, which have no role yet."""
    if reason := unusable():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("ipv6")
    with lab_cluster.site("v6", folder, replicas=1, hypervisors=["trixie", "bookworm"], nbd=True) as made:
        lab = made.lab.settings
        subprocess.run(["ip", "address", "add", f"{PREFIX}1/64", "dev", lab.bridge, "nodad"], check=True)
        addresses = {name: address_of(made, name) for name in made.hosts}
        (folder / "host_vars").mkdir()
        for name, host in made.hosts.items():
            names = " ".join(f"'{address} {one}'" for one, address in addresses.items())
            host.run(["sh", "-c", ONLY_IPV6.format(address=addresses[name], machine=lab.gateway, names=names)])
            known = {"ansible_host": addresses[name], "ansible_ssh_extra_args": f"-o HostKeyAlias={host.address}"}
            (folder / f"host_vars/{name}.yml").write_text(yaml.safe_dump(known))
        made.offer(qcow2(folder / "1.qcow2", 40, seed=1), "1")
        yield made


def address_of(site: lab_cluster.Site, name: str) -> str:
    return f"{PREFIX}{11 + list(site.hosts).index(name)}"


def test_hosts_without_ipv4_between_them_are_a_cluster(site: lab_cluster.Site) -> None:
    one, other = (site.hosts[name] for name in site.named("h"))
    assert one.run(["ping", "-4", "-c", "1", "-W", "1", other.address], check=False).returncode != 0
    site.play()
    assert changed_in(site.run(lab_cluster.book(True))) == dict.fromkeys(site.hosts, 0)
    digest = site.digest("1")
    for name in site.named("h"):
        lab_cluster.ended(site.pull(name, "1"))
    assert all(site.has(name, digest) for name in (*site.named("h"), *site.named("r")))


def test_all_doors_are_open_by_ipv6_and_show_a_certificate_for_the_address(site: lab_cluster.Site) -> None:
    own, pki = site.hosts[site.named("h")[0]], "/etc/edge/pki"
    certificate = ["-CAfile", f"{pki}/ca.crt", "-cert", f"{pki}/host.crt", "-key", f"{pki}/host.key"]
    for name, port in ((site.front.name, 8443), (site.named("r")[0], 8444), (site.named("h")[1], 8444)):
        address = address_of(site, name)
        argv = ["openssl", "s_client", "-connect", f"[{address}]:{port}", "-verify_ip", address, *certificate]
        done = own.run(["sh", "-c", '"$@" </dev/null 2>&1', "sh", *argv], check=False)
        assert "Verify return code: 0 (ok)" in done.stdout, (name, done.stdout)


def test_qemu_reads_an_image_that_is_at_the_replica(site: lab_cluster.Site) -> None:
    replica, (own, other) = site.named("r")[0], (site.hosts[name] for name in site.named("h"))
    export = site.digest("1").removeprefix("sha256:")
    options = f"driver=nbd,host={address_of(site, replica)},port=10809,export={export},tls-creds=tls"
    for host in (own, other):
        tls = "tls-creds-x509,id=tls,dir=/etc/pki/qemu/edge,endpoint=client"
        shown = host.run(["qemu-img", "info", "--output=json", "--object", tls, "--image-opts", options]).stdout
        assert json.loads(shown)["virtual-size"] == site.size(site.digest("1"))
