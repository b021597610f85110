# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab does what its page says, on real hosts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edge_lab.api import Lab, LabError, LabHost
from edge_lab.cgroup import Group
from edge_lab.hosts import every, find, mounted
from edge_lab.settings import Settings
from support.waiting import until

from .support import (
    Traces,
    boot_id,
    burst,
    dropped,
    killed_when,
    lab_command,
    line,
    pings,
    rtt,
    ssh_open,
    throughput,
    traces,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]  # every other test of a lab host stands on these
Pair = tuple[LabHost, LabHost]


def test_hosts_answer_and_reach_each_other(pair: Pair) -> None:
    for host, other in (pair, pair[::-1]):
        assert host.run(["hostname"]).stdout.strip() == host.name
        assert host.run(["getent", "hosts", other.name]).stdout.split()[0] == other.address
        until(lambda host=host, other=other: pings(host, other))  # type: ignore[misc]
        assert host.run(["systemctl", "is-system-running", "--wait"], check=False).stdout.strip() == "running"


def test_hosts_are_different_machines(pair: Pair) -> None:
    for command in (["cat", "/etc/machine-id"], ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"], ["readlink", "/proc/self/ns/net"]):
        one, two = (host.run(command).stdout for host in pair)
        assert one != two


def test_arguments_and_exit_status_pass_through(pair: Pair) -> None:
    assert lab_command("exec", pair[0].name, "--", "printf", "%s|", "a b", "$HOME", "'").stdout == "a b|$HOME|'|"
    assert lab_command("exec", pair[0].name, "--", "sh", "-c", "exit 7").returncode == 7


def test_files_go_in_and_out(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(range(256)))
    pair[0].put(tmp_path / "in", "/root/file")
    pair[0].get("/root/file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == bytes(range(256))


def test_a_second_up_changes_nothing(lab: Lab, pair: Pair) -> None:
    boots = [boot_id(host) for host in pair]
    state = lab.status()
    done = lab_command("up", "-n", "2")
    assert done.returncode == 0, done.stderr
    assert [boot_id(host) for host in pair] == boots
    assert lab.status() == state


def test_a_killed_host_is_gone_at_once_and_keeps_its_disk(pair: Pair) -> None:
    one, two = pair
    identity = one.run(["cat", "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout
    one.run(["sh", "-c", "echo kept > /root/kept && sync && mkdir /run/volatile"])
    one.run(["systemd-run", "--quiet", "sleep", "infinity"])
    one.kill()
    assert not one.running
    assert not ssh_open(one.address)
    assert not pings(two, one)
    one.start()
    assert one.run(["cat", "/root/kept"]).stdout == "kept\n"
    assert one.run(["test", "-e", "/run/volatile"], check=False).returncode == 1
    assert one.run(["cat", "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout == identity
    until(lambda: pings(two, one))


def test_a_cut_host_is_alone_until_mended(pair: Pair) -> None:
    one, two = pair
    boot = boot_id(one)
    one.cut()
    assert not ssh_open(one.address)
    assert not pings(two, one)
    until(lambda: ssh_open(two.address))
    one.mend()
    until(lambda: pings(one, two))
    assert boot_id(one) == boot


def test_a_cut_between_two_hosts_leaves_the_rest(lab: Lab, pair: Pair) -> None:
    one, two = pair
    one.cut(two)
    assert not pings(one, two)
    assert not pings(two, one)
    until(lambda: ssh_open(one.address))
    until(lambda: ssh_open(two.address))
    assert [host["cut"] for host in lab.status()["hosts"]] == [["host2"], []]
    two.mend(one)
    until(lambda: pings(one, two))


def test_a_cut_outlives_a_kill(pair: Pair) -> None:
    one, two = pair
    one.cut()
    one.kill()
    one.start()
    assert one.running
    assert not ssh_open(one.address)
    one.mend()
    until(lambda: pings(two, one))


def test_a_slow_rate_is_the_rate_both_ways(settings: Settings, pair: Pair) -> None:
    """Never more than the rate, which a slow machine keeps to as well; without it more than that, as soon as the machine can."""
    one, two = pair
    one.slow(rate="40mbit")
    for source, sink in (pair, pair[::-1]):
        assert throughput(source, sink) < 44
    assert line(settings, one.name) == [40_000_000] * 2
    one.mend()
    until(lambda: throughput(one, two, 1) > 80)
    assert line(settings, one.name) == []


def test_a_slow_line_queues_for_100_ms_and_loses_the_rest(settings: Settings, pair: Pair) -> None:
    one, _two = pair
    one.slow(rate="2mbit", delay="10ms")
    for source, sink in (pair, pair[::-1]):
        assert burst(source, sink, 14) == 14  # 80 ms of the line
        lost = dropped(settings, one.name)
        assert 16 < burst(source, sink, 1200) < 1200  # 7 s of the line
        assert dropped(settings, one.name) > lost
    one.mend()


def test_a_delay_is_the_delay_and_outlives_a_reboot(pair: Pair) -> None:
    """A ping takes 40 ms at least, and not much more once the machine has a quiet moment."""
    one, two = pair
    one.slow(rate="100mbit", delay="20ms")
    until(lambda: 40 <= rtt(two, one) < 60)
    assert throughput(one, two) < 110
    boot = boot_id(one)
    one.run(["systemctl", "reboot"], check=False)
    until(lambda: ssh_open(one.address) and _booted_again(one, boot))
    until(lambda: pings(two, one))
    until(lambda: 40 <= rtt(two, one) < 60)
    one.mend()
    until(lambda: rtt(two, one) < 40)


def test_a_slow_rate_outlives_a_kill(settings: Settings, pair: Pair) -> None:
    one, two = pair
    one.slow(rate="40mbit")
    one.kill()
    one.start()
    assert throughput(one, two) < 44
    assert line(settings, one.name) == [40_000_000] * 2
    one.mend()


def test_loss_loses(pair: Pair) -> None:
    one, two = pair
    one.slow(loss="30%")
    answer = two.run(["ping", "-q", "-c200", "-i0.01", "-W20", one.name], check=False).stdout
    assert 70 < int(answer.split(" received")[0].split()[-1]) < 130  # 0.7 each way of 200 is 98, five deviations either side


def test_a_route_reaches_what_is_behind_a_host(pair: Pair) -> None:
    one, two = pair
    one.run(["ip", "address", "replace", "198.51.100.1/24", "dev", "lo"])
    one.route("198.51.100.0/24")
    until(lambda: ssh_open("198.51.100.1"))
    until(lambda: two.run(["ping", "-c1", "-W2", "198.51.100.1"], check=False).returncode == 0)


def test_the_inventory_enters_every_host(lab: Lab, pair: Pair) -> None:
    group = json.loads(lab_command("inventory", "--format", "json").stdout)["lab"]
    assert {name: entry["ansible_host"] for name, entry in group["hosts"].items()} == {host.name: host.address for host in pair}
    common = group["vars"]
    for entry in group["hosts"].values():
        command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-i", common["ansible_ssh_private_key_file"]]
        command += [*common["ansible_ssh_common_args"].split(), f"{common['ansible_user']}@{entry['ansible_host']}"]
        assert subprocess.run([*command, common["ansible_python_interpreter"], "-V"], check=False).returncode == 0
    assert lab.inventory.read_text() == lab_command("inventory").stdout


@pytest.mark.parametrize("moment", ["described", "mounted", "booting"])
def test_an_interrupted_up_goes_on(lab: Lab, settings: Settings, moment: str) -> None:
    name = f"broken-{moment}"
    directory = settings.hosts / name
    happened = {
        "described": (directory / "host.json").exists,
        "mounted": lambda: mounted(directory / "root"),
        "booting": lambda: Group(settings.name, f"host-{name}").alive(),
    }[moment]
    while not killed_when(["up", "--name", name], happened):
        lab.down(name)
    (host,) = lab.up(names=[name])
    assert host.run(["hostname"]).stdout.strip() == name
    host.down()
    assert not directory.exists()


@pytest.mark.parametrize("moment", ["killed", "unmounted"])
def test_an_interrupted_down_goes_on(lab: Lab, settings: Settings, moment: str) -> None:
    (host,) = lab.up(names=["leaving"])
    directory = settings.hosts / "leaving"
    happened = {"killed": lambda: not host.running, "unmounted": lambda: not mounted(directory / "root")}[moment]
    while not killed_when(["down", "leaving"], happened):
        lab.up(names=["leaving"])
    lab.down("leaving")
    assert not directory.exists()
    assert "leaving" not in {entry.name for entry in lab.hosts()}


def test_a_host_that_does_not_boot_says_why(lab: Lab, settings: Settings) -> None:
    (host,) = lab.up(names=["headless"])
    host.kill()
    for init in ("usr/lib/systemd/systemd", "usr/sbin/init"):
        (find(settings, "headless").root / init).unlink()
    with pytest.raises(LabError, match=r"headless: ended before ssh answered[\s\S]*init"):
        host.start()
    host.down()


def test_what_cannot_be_is_refused_with_what_to_do(lab: Lab, pair: Pair) -> None:
    with pytest.raises(LabError, match=r"asked for release 'bookworm', it is there with 'trixie'[\s\S]*lab down host1"):
        lab.up(names=["host1"], release="bookworm")
    with pytest.raises(LabError, match=r"not in this lab. Hosts are: host1, host2"):
        lab.host("nobody")
    with pytest.raises(LabError, match="does not exist on this machine"):
        lab.up(names=["host3"], binds=["/nowhere:/mnt"])
    taken = "198.51.100.128/25"
    with pytest.raises(LabError, match="already has it on labtest-other"), _network_of_the_machine("labtest-other", taken):
        pair[0].route(taken)
    assert [host.name for host in lab.hosts()] == ["host1", "host2"]


def test_one_host_down_leaves_the_other(lab: Lab, pair: Pair) -> None:
    one, two = pair
    boot = boot_id(one)
    two.down()
    assert boot_id(one) == boot
    assert one.run(["getent", "hosts", "host2"], check=False).returncode == 2
    assert [host.name for host in lab.hosts()] == ["host1"]


def test_down_leaves_nothing(lab: Lab, settings: Settings, pair: Pair, before: Traces) -> None:
    pair[0].slow(rate="10mbit", delay="5ms")
    pair[1].kill()
    pair[0].cut()
    during = traces(settings)
    assert all(vars(during).values()), f"the test does not see what it looks for: {during}"
    lab.clear()
    assert traces(settings) == before
    assert not any(vars(before).values())
    assert every(settings) == []
    lab.clear()


def _booted_again(host: LabHost, boot: str) -> bool:
    try:
        return boot_id(host) != boot
    except LabError:
        return False


@contextmanager
def _network_of_the_machine(link: str, network: str) -> Iterator[None]:
    """Let the machine have a network of its own for a while."""
    subprocess.run(["ip", "link", "add", link, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
        subprocess.run(["ip", "route", "add", network, "dev", link], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "delete", link], check=True)
