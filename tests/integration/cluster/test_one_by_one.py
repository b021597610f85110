# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is deployed host by host (``serial: 1``), and whose programs speak German: the same as all at once, in English."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge_lab.api import LabHost, unusable
from support import lab_cluster
from support.images import qcow2
from support.playbook import changed_in

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(3600)]
LOCALE = "de_DE.UTF-8"
SPEAK_GERMAN = f"""
apt-get -qq update && apt-get -qq install --no-install-recommends locales > /dev/null
localedef -i de_DE -f UTF-8 {LOCALE}
printf 'LANG={LOCALE}\\nLANGUAGE=de\\n' | tee /etc/default/locale > /etc/locale.conf
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab_cluster.Site]:
    """A Front-end, a replica and a hypervisor of each release, that have no role yet; services and sessions have the locale."""
    if reason := unusable():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("serial")
    with lab_cluster.site("cs", folder, replicas=1, hypervisors=["trixie", "bookworm"]) as made:
        for host in made.hosts.values():
            host.run(["sh", "-ec", SPEAK_GERMAN])
            host.kill()
            host.start()
        made.offer(qcow2(folder / "1.qcow2", 40, seed=1), "1")
        yield made


def one_by_one() -> list[dict[str, object]]:
    return [{**play, "serial": 1} for play in lab_cluster.book(False)]


def cluster_files(site: lab_cluster.Site) -> dict[str, str]:
    names = [*site.named("r"), *site.named("h")]
    return {name: site.hosts[name].run(["cat", "/etc/edge/cluster.json"]).stdout for name in names}


def language(host: LabHost, *prefix: str) -> str:
    """Return what a program of the host says, which differs by its locale."""
    return host.run([*prefix, "sh", "-c", "ls /nowhere 2>&1 || true"]).stdout


def test_hosts_one_by_one_become_what_they_become_all_at_once(site: lab_cluster.Site) -> None:
    for host in site.hosts.values():
        assert "nicht" in language(host), "a session, such as Ansible's"
        assert "nicht" in language(host, "systemd-run", "--quiet", "--pipe"), "a service"
    site.run(one_by_one())
    alone = cluster_files(site)
    assert changed_in(site.run(one_by_one())) == dict.fromkeys(site.hosts, 0)
    assert changed_in(site.run(lab_cluster.book(False))) == dict.fromkeys(site.hosts, 0)
    assert cluster_files(site) == alone


def test_the_cluster_does_its_work(site: lab_cluster.Site) -> None:
    (name, other), digest = site.named("h"), site.digest("1")
    lab_cluster.ended(site.pull(name, "1"))
    lab_cluster.ended(site.pull(other, "1"))
    assert all(site.has(host, digest) for host in (name, other, *site.named("r")))
    for host in site.hosts.values():
        assert host.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "edge-*"]).stdout == ""
