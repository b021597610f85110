# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a live migration: plugs pulled, libvirt restarted, the task killed, the disk full, post-copy broken. The guest streams.

Before a fault ``migration_moment`` holds the task still at a state of the migration, which is tried in each. After it the same task
runs again, once, as docs/migration.md promises. ``lost`` counts tries after which a block that the guest knew to be on its disk is
missing or damaged, or the VM did not run on the destination in the end; ``doubled`` those in which it ran in two places. A fault
hit if the task was held with its journal there, and did not succeed all the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from compute_faults import Case, Stage
from edge_lab.command import LabError
from support import stream_guest
from support.migration_hosts import Pair, make_pair
from support.outcomes import MISSED, Outcome, RandomMoment, first_hit
from support.playbook import start_play
from support.stream_host import StreamHost
from support.vm_host import VMS

TRIES = 3
LONGEST = 600.0  # seconds; what has not ended by then hangs
SOON = 5.0
NAME = "moving"
SLOW = "2MiB"
STATES = ("begun", "disks", "memory", "over")
LATEST = 0.5  # of what is sent, so that the fault has the time of the other half to land
OWN = "0x5a 64M 16M"  # what the disk has beside the stream
PROGRAM = "/root/migration_moment.py"
LOCK = Folders().lock(NAME)
USERFAULTFD = "test -e /dev/userfaultfd || mknod -m 666 /dev/userfaultfd c 10 $(sed -n 's/ userfaultfd//p' /proc/misc)"
CUT_AT_POST_COPY = """
stdbuf -oL virsh event --event lifecycle --loop --timeout 600 | while read -r event; do
  case "$event" in *{name}*[Rr]esumed*[Pp]ost-copy*)
    nft 'table inet cut {{
      chain in {{ type filter hook input priority -300; ip saddr {peer} drop; }}
      chain out {{ type filter hook output priority -300; ip daddr {peer} drop; }}
    }}'
    exit ;;
  esac
done
"""


@dataclass
class Moment(RandomMoment):
    """A state of a migration, and of what it sends by then the largest share that is drawn."""

    state: str


class Try:
    """One guest on the first host, its migration begun, and the last block that its console named.

    With a ``moment`` the task is held then, until it goes on.
    """

    def __init__(self, hosts: Pair, moment: Moment | None = None, **options: Any) -> None:
        self.hosts = hosts
        self.doubled = False
        _away(hosts)
        hosts.guest(NAME, autostart=True, state="stopped")
        hosts.one.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {OWN}", f"{VMS}/{NAME}/data.qcow2")
        hosts.one.run("virsh", "start", NAME)
        self.known = hosts.one.wait_more(NAME, 10)
        slow = {"bandwidth": SLOW} if moment and moment.state in ("disks", "memory") else {}
        asked = {"name": NAME, "destination": hosts.two.host.name, "timeout": LONGEST, **slow, **options}
        self.task = start_play([{"edge.cloud.domain_migration": asked}], inventory=hosts.inventory, hosts=hosts.one.host.name)
        self.held = self._hold(moment) if moment else ""
        self.hit = self.held != ""

    def _hold(self, moment: Moment) -> str:
        """Hold the task at the moment; return its process, nothing where the moment came and went."""
        share = moment.draw()
        words = ("hold", NAME, LOCK, f"{VMS}/{NAME}/migration.json", moment.state, f"{share:.3f}")
        process = self.hosts.one.host.run(["python3", PROGRAM, *words], timeout=LONGEST).stdout.strip()
        if not process:
            moment.too_late(share)
            self.hurry()
        return process

    def go_on(self) -> None:
        """Let the task go on, if it was held."""
        if self.held:
            self.hosts.one.run("kill", "-CONT", self.held, ok=False)

    def hurry(self) -> None:
        """Let the memory be sent as fast as it can be, where it still is sent."""
        self.hosts.one.run("virsh", "migrate-setspeed", NAME, "1000", ok=False)

    def until(self, seen: Callable[[], bool], what: str, seconds: float = 90) -> None:
        """Wait until ``seen``; raise when the time is up."""
        stream_guest.wait_for(lambda: str(seen()), lambda text: text == "True", what, seconds)

    def look(self) -> None:
        """Note what the guest wrote, by the consoles of both hosts, and whether it runs on both."""
        for host in (self.hosts.one, self.hosts.two):
            self.known = max(self.known, stream_guest.acked(host.console(NAME)))
        states = [self.hosts.domains(host).get(NAME) for host in (self.hosts.one, self.hosts.two)]
        self.doubled |= states == ["running", "running"]

    def end_task(self, seconds: float = LONGEST) -> None:
        """Wait for the task, which may fail or hang at a connection that is gone; one that succeeded was not hit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.task.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.task.pid, signal.SIGKILL)
        self.hit &= self.task.wait() != 0

    def judge(self, **options: Any) -> Outcome:
        """Run the task again, once, and look for harm."""
        if not self.hit:
            return MISSED
        self.look()
        asked = {"name": NAME, "destination": self.hosts.two.host.name, "timeout": LONGEST, **options}
        done = self.hosts.module_or_failure(self.hosts.one, **asked)
        self.look()
        try:
            assert not done.get("failed"), f"the second run failed: {done.get('msg')}"
            self.hosts.only_on(self.hosts.two, NAME)
            self.hosts.two.wait_more(NAME, 2)
            lost = self.hosts.two.written(NAME) <= self.known or not self._has_own()
        except (AssertionError, LabError) as error:
            print(f"harm: {error}", file=sys.stderr)
            lost = True
        return lost, self.doubled

    def _has_own(self) -> bool:
        path = f"{VMS}/{NAME}/data.qcow2"
        printed = self.hosts.two.run("qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {OWN}", path)
        return "verification failed" not in printed


def _away(hosts: Pair) -> None:
    """Remove the guest of an earlier try from both hosts, in whatever state it is."""
    hosts.one.run("python3", PROGRAM, "kill", LOCK)
    for host in (hosts.one, hosts.two):
        for verb in ("destroy", "undefine"):
            host.run("virsh", verb, NAME, ok=False)
        host.run("rm", "-rf", f"{VMS}/{NAME}", f"{VMS}/.moved")


def _revive(host: StreamHost) -> None:
    """Boot a host and have what a host in service has."""
    host.host.start()
    host.run("virsh", "net-start", "default", ok=False)


def source_unplugged(hosts: Pair, moment: Moment) -> Outcome:
    """Pull the source's plug."""
    found = Try(hosts, moment)
    hosts.one.host.kill()
    found.end_task(SOON)
    _revive(hosts.one)
    return found.judge()


def destination_unplugged(hosts: Pair, moment: Moment) -> Outcome:
    """Pull the destination's plug."""
    found = Try(hosts, moment)
    hosts.two.host.kill()
    found.go_on()
    found.end_task()
    _revive(hosts.two)
    return found.judge()


def libvirt_restarted(hosts: Pair, moment: Moment) -> Outcome:
    """Restart libvirtd of one of the hosts; the task may go on and succeed."""
    found = Try(hosts, moment)
    moment.dice.choice([hosts.one, hosts.two]).run("systemctl", "restart", "libvirtd")
    found.go_on()
    found.hurry()
    found.end_task()
    found.hit = found.held != ""
    return found.judge()


def task_killed(hosts: Pair, moment: Moment) -> Outcome:
    """Kill the module: the process that holds the VM's lock. libvirt goes on by itself."""
    found = Try(hosts, moment)
    hosts.one.run("python3", PROGRAM, "kill", LOCK)
    found.end_task()
    found.hurry()
    return found.judge()


def cut_off(hosts: Pair, moment: Moment) -> Outcome:
    """Cut the cable between the two, for longer than libvirt waits."""
    found = Try(hosts, moment)
    hosts.one.host.cut(hosts.two.host)
    found.go_on()
    found.end_task()
    hosts.one.host.mend(hosts.two.host)
    return found.judge()


def disk_full(hosts: Pair, moment: Moment) -> Outcome:
    """Let the destination's file system run full after the checks, which found room enough."""
    two = hosts.two
    two.run("mount", "-t", "tmpfs", "-o", "size=160M", "tmpfs", VMS)
    try:
        found = Try(hosts, moment)
        two.run("sh", "-c", f"head -c 200M /dev/zero > {VMS}/filler; true")
        found.go_on()
        found.end_task()
        two.run("rm", "-f", f"{VMS}/filler")
        two.run("mount", "-o", "remount,size=400M", VMS)
        outcome = found.judge()
    finally:
        _away(hosts)
        two.run("umount", "-l", VMS)
    return outcome


@contextlib.contextmanager
def _half_there(hosts: Pair) -> Iterator[Try]:
    """Have a guest that runs on the destination by half: the cable is cut at the event of its post-copy, and mended at the end."""
    one, two = hosts.one, hosts.two
    _mend(two)
    for host in (one, two):
        host.run("sh", "-c", USERFAULTFD)
    try:
        found = Try(hosts, post_copy=True, bandwidth="2MiB")
        two.run("systemd-run", "--quiet", "--collect", "sh", "-c", CUT_AT_POST_COPY.format(name=NAME, peer=one.host.address))
        found.until(
            lambda: found.task.poll() is not None or "table inet cut" in two.run("nft", "list", "tables"), "post-copy", LONGEST
        )
        found.end_task()
        found.hit = found.task.returncode != 0 and "post-copy" in _reason(one)
        yield found
    finally:
        for host in (one, two):
            host.run("sh", "-c", "rm -f /dev/userfaultfd; nft delete table inet cut; true", ok=False)


def _mend(host: StreamHost) -> None:
    host.run("nft", "delete", "table", "inet", "cut", ok=False)


def _reason(host: StreamHost) -> str:
    return host.run("virsh", "domstate", "--reason", NAME, ok=False)


def cut_off_in_post_copy(hosts: Pair, _moment: Moment) -> Outcome:
    """Cut the cable while the memory of a guest is on both hosts; the run after it is mended resumes, with the same memory."""
    with _half_there(hosts) as found:
        starts = hosts.two.console(NAME).count("STREAM-FROM")
        _mend(hosts.two)
        outcome = found.judge(timeout=600)
        if outcome == (False, False) and hosts.two.console(NAME).count("STREAM-FROM") != starts:
            print("harm: the guest has started again", file=sys.stderr)
            return True, False
        return outcome


def destination_unplugged_in_post_copy(hosts: Pair, _moment: Moment) -> Outcome:
    """Pull the destination's plug while a guest runs there by half; by a word, it starts there from its disks, the newest."""
    with _half_there(hosts) as found:
        hosts.two.host.kill()
        _revive(hosts.two)
        return _judge_lost(hosts, found)


def source_unplugged_in_post_copy(hosts: Pair, _moment: Moment) -> Outcome:
    """Pull the source's plug while it has half of the memory of a guest that runs on the destination."""
    with _half_there(hosts) as found:
        hosts.one.host.kill()
        _mend(hosts.two)
        _revive(hosts.one)
        return _judge_lost(hosts, found)


def _judge_lost(hosts: Pair, found: Try) -> Outcome:
    """Judge a guest whose memory is lost: nothing is given up without a word."""
    if not found.hit:
        return MISSED
    found.look()
    refused = hosts.module_or_failure(hosts.one, name=NAME, destination=hosts.two.host.name)
    if refused.get("error", {}).get("option") != "allow_restart":
        print(f"harm: memory was given up without a word, or not at all: {refused.get('msg')}", file=sys.stderr)
        return True, found.doubled
    return found.judge(allow_restart=True)


Fault = Callable[[Pair, Moment], Outcome]
FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "migration: source unplugged": (source_unplugged, STATES),
    "migration: destination unplugged": (destination_unplugged, STATES),
    "migration: libvirtd restarted": (libvirt_restarted, STATES),
    "migration: task killed": (task_killed, STATES),
    "migration: hosts cut off": (cut_off, STATES),
    "migration: destination's disk full": (disk_full, ("disks",) * TRIES),
    "migration: hosts cut off in post-copy": (cut_off_in_post_copy, ("post-copy",) * TRIES),
    "migration: destination unplugged in post-copy": (destination_unplugged_in_post_copy, ("post-copy",) * TRIES),
    "migration: source unplugged in post-copy": (source_unplugged_in_post_copy, ("post-copy",) * TRIES),
}


def cases(stage: Stage) -> Iterator[Case]:
    """Yield the cases; the two hosts of a release are made when the first of them runs."""

    @cache
    def hosts(release: str) -> Pair:
        names = [f"flt-{release[:4]}-{number}" for number in (1, 2)]
        stage.fresh(*names)
        folder = stage.folder / f"migration-{release}"
        folder.mkdir(exist_ok=True)  # the row before may have broken off while it made them
        made = make_pair(stage.lab, names, release, folder)
        made.one.host.put(Path(__file__).with_name("migration_moment.py"), PROGRAM)
        return made

    def tries(release: str, fault: Fault, states: tuple[str, ...]) -> Iterator[Outcome]:
        for state in states:
            yield first_hit(partial(fault, hosts(release), Moment(stage.dice, LATEST, state)))

    for release in stage.releases:
        for name, (fault, states) in FAULTS.items():
            if "post-copy" in name and release == "bookworm":  # its QEMU does not know /dev/userfaultfd
                continue
            yield Case(f"{release}: {name}", partial(tries, release, fault, states))
