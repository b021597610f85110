# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster from its first, interrupted run to its removal, on both releases. The tests build on each other, in this order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge_lab.api import unusable
from support.corosync_lab import ClusterLab, cluster_lab
from support.playbook import PlaybookFailed

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(3600)]
ALL = ["cl1", "cl2", "cl3", "cl4", "cl5"]
FIRST = ALL[:3]
DUMMY = "<primitive id='vm1' class='ocf' provider='pacemaker' type='Stateful'/>"


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterLab]:
    """Have the hosts."""
    if reason := unusable():
        pytest.skip(reason)
    with cluster_lab("cl", request.param, 5, tmp_path_factory.mktemp("life")) as found:
        yield found


def refused(made: ClusterLab, says: str, names: list[str], **given: object) -> None:
    """Assert that a run and a run in check mode fail with these words, and that both change nothing on any host."""
    before = made.state(ALL)
    for check in (True, False):
        with pytest.raises(PlaybookFailed) as caught:
            made.play(names, check=check, **given)  # type: ignore[arg-type]
        assert says in str(caught.value)
        assert made.state(ALL) == before


def test_bad_input_is_refused_before_anything_is_installed(made: ClusterLab) -> None:
    refused(made, "cluster_allow_unfenced: 3 hosts without fencing", FIRST, cluster_allow_unfenced=False)
    refused(made, "cluster_allow_without_witness: if 2 hosts", FIRST[:2])
    refused(made, "does not have the address 192.0.2.7", FIRST, by_host={"cl2": {"cluster_link0": "192.0.2.7"}})
    refused(made, "cl3: no answer, or not in this play", FIRST, limit="cl1,cl2")
    refused(made, "with the strategy linear", FIRST, strategy="free")
    made.sh("cl2", "install -D /dev/null /var/lib/pacemaker/cib/cib.xml")
    refused(made, "cl2 has a configuration of Pacemaker from another cluster", FIRST)
    made.sh("cl2", "rm -r /var/lib/pacemaker")
    assert made.sh("cl1", "ls /usr/sbin/corosync 2>&1 || true").startswith("ls: cannot access")


def test_forming_goes_on_after_a_cut_of_power_between_key_and_configuration(made: ClusterLab) -> None:
    made.break_off(FIRST, "Have the configuration on hosts that do not run")
    made.power_cut(*FIRST)
    assert all(made.membership(name)["running"] is None for name in FIRST), "Debian's example must not run"
    made.play(FIRST)
    made.whole(FIRST, version=1)


def test_hosts_come_back_by_themselves_after_a_cut_of_power(made: ClusterLab) -> None:
    made.power_cut(*FIRST)
    for name in FIRST:
        made.sh(name, "until corosync-quorumtool -s | grep -q 'Total votes: *3'; do sleep 0.5; done")
    made.whole(FIRST, version=1)
    assert made.changes(FIRST) == dict.fromkeys(FIRST, 0)


def test_what_is_not_known_is_refused(made: ClusterLab) -> None:
    refused(made, "runs Corosync in the cluster site1, not in site2", FIRST, cluster_name="site2")
    refused(made, "cl3 of the running cluster site1 is not in the inventory", ["cl1", "cl2", "cl4"])
    made.sh("cl2", "ip address add 198.51.100.2/32 dev lo")
    refused(made, "This role does not change addresses of members yet", FIRST, by_host={"cl2": {"cluster_link0": "198.51.100.2"}})
    made.sh("cl2", "ip address del 198.51.100.2/32 dev lo")


def test_a_host_of_a_cluster_of_its_own_does_not_join(made: ClusterLab) -> None:
    made.play(["cl4"])
    made.whole(["cl4"], version=1)
    refused(made, "Clusters are not merged", ALL)
    made.play(["cl4"], cluster_state="absent")


def test_nothing_is_changed_while_a_host_is_off(made: ClusterLab) -> None:
    made.hosts["cl2"].kill()
    others = ["cl1", "cl3", "cl4", "cl5"]
    before = made.state(others)
    with pytest.raises(PlaybookFailed, match="cl2"):
        made.play(ALL)
    assert made.state(others) == before
    made.hosts["cl2"].start()
    made.sh("cl2", "until corosync-quorumtool -s | grep -q 'Total votes: *3'; do sleep 0.5; done")


def test_a_join_goes_on_after_a_cut_of_power_before_it_was_loaded(made: ClusterLab) -> None:
    made.break_off(ALL, "Have all members load it")
    made.power_cut("cl2", "cl4")
    made.sh("cl2", "until corosync-quorumtool -s | grep -q 'Total votes: *3'; do sleep 0.5; done")
    assert made.membership("cl4")["running"] is None
    made.play(ALL)
    made.whole(ALL, version=2)


def test_a_host_that_was_off_while_settings_changed_gets_them(made: ClusterLab) -> None:
    made.sh("cl5", "systemctl stop pacemaker corosync")
    made.play(ALL, cluster_token_ms=4000)
    made.whole(ALL, version=3)
    assert made.changes(ALL, cluster_token_ms=4000) == dict.fromkeys(ALL, 0)


def test_a_missed_reload_is_made_up_for(made: ClusterLab) -> None:
    made.break_off(ALL, "Have all members load it", cluster_token_ms=5000)
    assert {made.membership(name)["conf"]["version"] for name in ALL} == {4}
    made.play(ALL, cluster_token_ms=5000)
    made.whole(ALL, version=4)


def test_a_key_that_was_not_loaded_is_noticed(made: ClusterLab) -> None:
    made.sh("cl3", "cp -p /etc/corosync/authkey /root/key; tr 0-9a-f 1-9a-f0 < /root/key > /etc/corosync/authkey")
    refused(made, "cl3: /etc/corosync/authkey is not the key with which Corosync started", ALL, cluster_token_ms=5000)
    made.sh("cl3", "cp -p /root/key /etc/corosync/authkey; rm /root/key")
    made.whole(ALL, version=4)


def test_the_cluster_stays_where_it_is_used(made: ClusterLab) -> None:
    gone = {"cluster_state": "absent"}
    refused(made, "cl5: no answer, or not in this play", ALL, limit="cl1,cl2,cl3,cl4", **gone)
    refused(made, "is in the cluster site1 with cl5", ALL[:4], **gone)
    refused(made, "runs Corosync in the cluster site1, not in site2", ALL, cluster_name="site2", **gone)
    made.sh("cl1", f'cibadmin --create --scope resources --xml-text "{DUMMY}"')
    refused(made, "has 1 resource configured", ALL, **gone)
    made.sh("cl1", f'cibadmin --delete --scope resources --xml-text "{DUMMY}"')


def test_the_cluster_goes_off_all_hosts_even_if_interrupted(made: ClusterLab) -> None:
    made.break_off(ALL, "Remove the files of Corosync", cluster_state="absent")
    made.power_cut("cl1")
    made.play(ALL, cluster_state="absent")
    assert made.changes(ALL, cluster_state="absent") == dict.fromkeys(ALL, 0)
    for name in ALL:
        left = made.sh(
            name, "ls /etc/corosync /etc/systemd/system/*.service.d /usr/sbin/corosync /usr/sbin/pacemakerd 2>/dev/null || true"
        )
        assert "authkey" not in left and "corosync.conf" not in left and "edge-cluster" not in left and "/usr/sbin" not in left
        assert "<cib" in made.sh(name, "cat /var/lib/edge/cluster/cib-*.xml")


def test_a_cluster_is_formed_anew_where_one_was(made: ClusterLab) -> None:
    made.play(FIRST)
    made.whole(FIRST, version=1)
    made.play(FIRST, cluster_state="absent", cluster_remove_packages=False)
    made.play(FIRST)
    made.whole(FIRST, version=1)
