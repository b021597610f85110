# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a live migration: plugs pulled, libvirt restarted, the task killed, the disk full, post-copy broken. The guest streams.

After each fault the same task runs again, once, as docs/migration.md promises. ``lost`` counts tries after which a block that the
guest knew to be on its disk is missing or damaged, or the VM did not run on the destination in the end; ``doubled`` those in which
it ran in two places. A fault hit if the journal was there right before it, and the task did not succeed all the same.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from compute_faults import Case, Stage
from edge_lab.command import LabError
from support import stream_guest
from support.migration_hosts import Pair, make_pair
from support.outcomes import MISSED, Outcome, repeated
from support.playbook import start_play
from support.stream_host import StreamHost
from support.vm_host import VMS

Fault = Callable[[Pair, random.Random], Outcome]
TRIES = 3
NAME = "moving"
SLOW = {"bandwidth": "8MiB", "timeout": 120}
LONGEST = 9.0
KILL_HOLDER = """
import glob, os, signal, sys
for path in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        if os.readlink(path) == sys.argv[1]:
            os.kill(int(path.split("/")[2]), signal.SIGKILL)
            print("killed", path)
    except OSError:
        pass  # the process or the file has gone
"""
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


class Try:
    """One guest on the first host, its migration begun and slow for some seconds, and the last block that its console named."""

    def __init__(self, hosts: Pair, seconds: float = 0.0, **options: Any) -> None:
        self.hosts = hosts
        self.known = -1
        self.doubled = False
        _away(hosts)
        hosts.guest(NAME, autostart=True)
        self.known = hosts.one.wait_more(NAME, 10)
        asked = {"name": NAME, "destination": hosts.two.host.name, **SLOW, **options}
        self.task = start_play([{"edge.cloud.domain_migration": asked}], inventory=hosts.inventory, hosts=hosts.one.host.name)
        self.until(self._journal, "the journal")
        time.sleep(seconds)  # the instant of the fault
        self.hit = self.under_way()

    def _journal(self) -> bool:
        return "migration.json" in self.hosts.one.run("ls", "-A", f"{VMS}/{NAME}", ok=False)

    def under_way(self) -> bool:
        """Return whether the task runs and has its journal on the source."""
        return self.task.poll() is None and self._journal()

    def until(self, seen: Callable[[], bool], what: str, seconds: float = 90) -> None:
        """Wait until ``seen``; raise when the time is up."""
        stream_guest.wait_for(lambda: str(seen()), lambda text: text == "True", what, seconds)

    def look(self) -> None:
        """Note what the guest wrote, by the consoles of both hosts, and whether it runs on both."""
        for host in (self.hosts.one, self.hosts.two):
            self.known = max(self.known, stream_guest.acked(host.console(NAME)))
        states = [self.hosts.domains(host).get(NAME) for host in (self.hosts.one, self.hosts.two)]
        self.doubled |= states == ["running", "running"]

    def end_task(self) -> None:
        """Wait for the task, which may fail or hang at a connection that is gone; one that succeeded was not hit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.task.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.task.pid, signal.SIGKILL)
        self.hit &= self.task.wait() != 0

    def judge(self, **options: Any) -> Outcome:
        """Run the task again, once, and look for harm."""
        if not self.hit:
            return MISSED
        self.look()
        asked = {"name": NAME, "destination": self.hosts.two.host.name, "timeout": 120, **options}
        done = self.hosts.module_or_failure(self.hosts.one, **asked)
        self.look()
        try:
            assert not done.get("failed"), f"the second run failed: {done.get('msg')}"
            self.hosts.only_on(self.hosts.two, NAME)
            self.hosts.two.wait_more(NAME, 2)
            lost = self.hosts.two.written(NAME) <= self.known
        except (AssertionError, LabError) as error:
            print(f"harm: {error}", file=sys.stderr)
            lost = True
        return lost, self.doubled


def _away(hosts: Pair) -> None:
    """Remove the guest of an earlier try from both hosts, in whatever state it is."""
    for host in (hosts.one, hosts.two):
        for verb in ("destroy", "undefine"):
            host.run("virsh", verb, NAME, ok=False)
        host.run("rm", "-rf", f"{VMS}/{NAME}", f"{VMS}/.moved")


def _revive(host: StreamHost) -> None:
    """Boot a host and have what a host in service has."""
    host.host.start()
    host.run("virsh", "net-start", "default", ok=False)


def source_unplugged(hosts: Pair, dice: random.Random) -> Outcome:
    """Pull the source's plug at a random instant."""
    found = Try(hosts, dice.uniform(0, LONGEST))
    hosts.one.host.kill()
    found.end_task()
    _revive(hosts.one)
    return found.judge()


def destination_unplugged(hosts: Pair, dice: random.Random) -> Outcome:
    """Pull the destination's plug at a random instant."""
    found = Try(hosts, dice.uniform(0, LONGEST))
    hosts.two.host.kill()
    found.end_task()
    _revive(hosts.two)
    return found.judge()


def libvirt_restarted(hosts: Pair, dice: random.Random) -> Outcome:
    """Restart libvirtd of one of the hosts at a random instant."""
    found = Try(hosts, dice.uniform(0, LONGEST))
    dice.choice([hosts.one, hosts.two]).run("systemctl", "restart", "libvirtd")
    hit = found.hit and found.task.poll() != 0
    found.end_task()
    found.hit = hit  # the task may go on and succeed
    return found.judge()


def task_killed(hosts: Pair, dice: random.Random) -> Outcome:
    """Kill the module at a random instant: the process that holds the VM's lock. libvirt goes on by itself."""
    found = Try(hosts, dice.uniform(0, LONGEST))
    found.hit &= hosts.one.run("python3", "-c", KILL_HOLDER, Folders().lock(NAME)) != ""
    found.end_task()
    return found.judge()


def cut_off(hosts: Pair, dice: random.Random) -> Outcome:
    """Cut the cable between the two at a random instant, for longer than libvirt waits."""
    found = Try(hosts, dice.uniform(0, LONGEST))
    hosts.one.host.cut(hosts.two.host)
    found.end_task()
    hosts.one.host.mend(hosts.two.host)
    return found.judge()


def disk_full(hosts: Pair, _dice: random.Random) -> Outcome:
    """Let the destination's file system run full after the checks, which found room enough."""
    two = hosts.two
    two.run("mount", "-t", "tmpfs", "-o", "size=80M", "tmpfs", VMS)
    try:
        found = Try(hosts)
        two.run("sh", "-c", f"head -c 200M /dev/zero > {VMS}/filler; true")
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
        found = Try(hosts, post_copy=True, bandwidth="2MiB", timeout=600)
        two.run("systemd-run", "--quiet", "--collect", "sh", "-c", CUT_AT_POST_COPY.format(name=NAME, peer=one.host.address))
        found.until(lambda: found.task.poll() is not None or "table inet cut" in two.run("nft", "list", "tables"), "post-copy", 600)
        found.end_task()
        found.hit &= "post-copy" in _reason(one)
        yield found
    finally:
        for host in (one, two):
            host.run("sh", "-c", "rm -f /dev/userfaultfd; nft delete table inet cut; true", ok=False)


def _mend(host: StreamHost) -> None:
    host.run("nft", "delete", "table", "inet", "cut", ok=False)


def _reason(host: StreamHost) -> str:
    return host.run("virsh", "domstate", "--reason", NAME, ok=False)


def cut_off_in_post_copy(hosts: Pair, _dice: random.Random) -> Outcome:
    """Cut the cable while the memory of a guest is on both hosts; the run after it is mended resumes, with the same memory."""
    with _half_there(hosts) as found:
        starts = hosts.two.console(NAME).count("STREAM-FROM")
        _mend(hosts.two)
        outcome = found.judge(timeout=600)
        if outcome == (False, False) and hosts.two.console(NAME).count("STREAM-FROM") != starts:
            print("harm: the guest has started again", file=sys.stderr)
            return True, False
        return outcome


def destination_unplugged_in_post_copy(hosts: Pair, _dice: random.Random) -> Outcome:
    """Pull the destination's plug while a guest runs there by half; by a word, it starts there from its disks, the newest."""
    with _half_there(hosts) as found:
        hosts.two.host.kill()
        _revive(hosts.two)
        return _judge_lost(hosts, found)


def source_unplugged_in_post_copy(hosts: Pair, _dice: random.Random) -> Outcome:
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


FAULTS: dict[str, Fault] = {
    "migration: source unplugged": source_unplugged,
    "migration: destination unplugged": destination_unplugged,
    "migration: libvirtd restarted": libvirt_restarted,
    "migration: task killed": task_killed,
    "migration: hosts cut off": cut_off,
    "migration: destination's disk full": disk_full,
    "migration: hosts cut off in post-copy": cut_off_in_post_copy,
    "migration: destination unplugged in post-copy": destination_unplugged_in_post_copy,
    "migration: source unplugged in post-copy": source_unplugged_in_post_copy,
}


def cases(stage: Stage) -> Iterator[Case]:
    """Yield the cases; the two hosts of a release are made when the first of them runs."""

    @cache
    def hosts(release: str) -> Pair:
        names = [f"flt-{release[:4]}-{number}" for number in (1, 2)]
        stage.hosts += names
        folder = stage.folder / f"migration-{release}"
        folder.mkdir()
        return make_pair(stage.lab, names, release, folder)

    def tries(release: str, fault: Fault) -> Iterator[Outcome]:
        return repeated(lambda: fault(hosts(release), stage.dice), TRIES)

    for release in stage.releases:
        for name, fault in FAULTS.items():
            if "post-copy" in name and release == "bookworm":  # its QEMU does not know /dev/userfaultfd
                continue
            yield Case(f"{release}: {name}", partial(tries, release, fault))
