# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small guest with a writer: proof that an operation on a VM or its disks lost nothing.

With ``edge.stream=vdb`` on its command line the guest writes block 0, 1, 2, … of 4 KiB to that disk, each flushed to the disk
before the next. A block's bytes follow from its number, so that a torn, stale or misplaced one is found. After each flush the
console says ``STREAM N``: from then on block N may not be lost. A guest that boots goes on after the last block that the disk has;
a disk that is not there yet is waited for. On ``edge.agent`` a small guest agent answers, whose freeze stops the writer between
two blocks; ``edge.agent=deaf`` opens the channel and never answers, ``edge.agent=mute`` only says that it is there. With
``edge.sleep`` the guest goes to sleep (ACPI S3) once. With ``edge.talk=ADDRESS`` it keeps its DHCP lease, which it renews each few
seconds (``DHCP renew ADDRESS``), and one TCP connection to port 9000 there, over which it sends 0, 1, 2, … and shows what comes
back (``ECHO N``).
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from support import small_guest as small

READY, BLOCK = small.READY, 4096
STREAM = r"""#!/bin/sh
disk=$1
while [ ! -b "$disk" ]; do sleep 1; done
number() { printf 'EDGE-STREAM %012d' "$1"; }
has() { [ "$(dd if="$disk" bs=4096 skip="$1" count=1 2>/dev/null | head -c 24)" = "$(number "$1")" ]; }
slots=$(( $(cat "/sys/class/block/${disk#/dev/}/size") / 8 ))
low=0
high=$slots
while [ $low -lt $high ]; do
  middle=$(( (low + high) / 2 ))
  if has $middle; then low=$((middle + 1)); else high=$middle; fi
done
n=$low
if [ $n -gt 0 ]; then n=$((n - 1)); fi
echo "STREAM-FROM $n"
while [ $n -lt $slots ]; do
  while [ -e /tmp/frozen ]; do : > /tmp/quiet; sleep 0.1; done
  rm -f /tmp/quiet
  sum=$(echo $n | sha256sum)
  block=$(printf '%s %.38s' "$(number $n)" "$sum")
  for double in 1 2 3 4 5 6; do
    block="$block
$block"
  done
  if echo "$block" | dd of="$disk" bs=4096 seek=$n count=1 iflag=fullblock conv=notrunc,fsync 2>/dev/null; then
    echo "STREAM $n"
    n=$((n + 1))
  else
    echo "STREAM-ERROR $n"
    sleep 1
  fi
done
echo STREAM-END
"""
AGENT = r"""#!/bin/sh
until port=$(grep -lx org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name 2>/dev/null); do sleep 0.2; done
port=/dev/$(basename "$(dirname "$port")")
while [ ! -c "$port" ]; do sleep 0.1; done
exec 3<> "$port"
if [ "$1" = deaf ]; then while :; do sleep 1000; done; fi
while :; do
  read -r line <&3 || { sleep 0.2; continue; }  # nobody at the other end yet
  id=$(echo "$line" | sed -n 's/.*"id": *\([0-9]*\).*/\1/p')
  case "$1 $line" in
    *guest-sync-delimited*) printf '\377{"return": %s}\n' "$id" >&3 ;;
    *guest-sync*) printf '{"return": %s}\n' "$id" >&3 ;;
    mute*) ;;
    *fsfreeze-freeze*)
      : > /tmp/frozen
      while [ ! -e /tmp/quiet ]; do sleep 0.1; done
      echo AGENT-FROZEN
      printf '{"return": 1}\n' >&3 ;;
    *fsfreeze-thaw*)
      rm -f /tmp/frozen
      echo AGENT-THAWED
      printf '{"return": 1}\n' >&3 ;;
    *guest-ping*|*guest-set-time*) printf '{"return": {}}\n' >&3 ;;
    *fsfreeze-status*) if [ -e /tmp/frozen ]; then s=frozen; else s=thawed; fi; printf '{"return": "%s"}\n' $s >&3 ;;
    *guest-get-host-name*) printf '{"return": {"host-name": "small"}}\n' >&3 ;;
    *) printf '{"error": {"class": "CommandNotFound", "desc": "unknown"}}\n' >&3 ;;
  esac
done
"""
TALKER = r"""#!/bin/sh
udhcpc -f -i eth0 -s /etc/renewed -t 5 -A 2 -p /tmp/lease.pid &
until ip address show dev eth0 | grep -q 'inet '; do sleep 1; done
while sleep 3; do kill -USR1 "$(cat /tmp/lease.pid)"; done &
n=0
while :; do
  echo $n
  n=$((n + 1))
  sleep 1
done | nc "$1" 9000 | while read -r line; do echo "ECHO $line"; done
echo TALK-ENDED
"""
RENEWED = r"""#!/bin/sh
case $1 in
  bound) ip address add "$ip/$mask" dev "$interface" 2>/dev/null; echo "DHCP $1 $ip" ;;
  *) echo "DHCP $1 $ip" ;;
esac
exit 0
"""
START = r"""
word() { tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=*//p"; }
if grep -q edge.agent /proc/cmdline; then /etc/agent "$(word edge.agent)" & fi
if grep -q edge.stream= /proc/cmdline; then /etc/stream "/dev/$(word edge.stream)" & fi
if grep -q edge.sleep /proc/cmdline; then /etc/sleeper & fi
if grep -q edge.talk= /proc/cmdline; then /etc/talker "$(word edge.talk)" & fi
"""
SLEEPER = r"""#!/bin/sh
echo deep > /sys/power/mem_sleep
echo GUEST-SLEEPS "$(cat /sys/power/state)" "$(cat /sys/power/mem_sleep)"
sleep 1
echo mem > /sys/power/state && echo GUEST-WOKE
"""
CHECK = r"""
import hashlib, json, os, subprocess, sys, tempfile
path, form = sys.argv[1:]
def block(number):
    line = "EDGE-STREAM %012d %.38s\n" % (number, hashlib.sha256(b"%d\n" % number).hexdigest())
    return line.encode() * 64
with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
    raw = os.path.join(folder, "raw")
    subprocess.run(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, raw], check=True)
    good, last = [], -1
    with open(raw, "rb") as file:
        for number in range(os.path.getsize(raw) // 4096):
            found = file.read(4096)
            good.append(found == block(number))
            last = number if found[:11] == b"EDGE-STREAM" else last
print(json.dumps({"blocks": good.index(False) if False in good else len(good), "last": last}))
"""


def stream_guest(folder: Path) -> tuple[Path, Path]:
    """Return the paths of kernel and initramfs; the latter is made in ``folder``, over the small guest's."""
    kernel, initrd = small.small_guest()
    init = small.INIT.replace("echo GUEST-READY", f"{START}echo GUEST-READY")
    programs = {"stream": STREAM, "agent": AGENT, "sleeper": SLEEPER, "talker": TALKER, "renewed": RENEWED}
    entries = {"init": init.encode(), **{f"etc/{name}": text.encode() for name, text in programs.items()}}
    made = folder / "stream.gz"
    made.write_bytes(initrd.read_bytes() + gzip.compress(small.cpio(entries, ()), 6, mtime=0))
    return kernel, made


def cmdline(disk: str = "vdb", agent: str | None = None) -> str:
    """Return a command line that streams to ``disk``; ``agent`` is ``""`` for one that answers, else ``deaf`` or ``mute``."""
    return f"{small.CMDLINE} edge.stream={disk}" + ("" if agent is None else f" edge.agent={agent}".rstrip("="))


def acked(console: str) -> int:
    """Return the number of the last block that the guest knows to be on its disk, -1 where it has written none."""
    found = re.findall(r"^STREAM (\d+)\r?$", console, re.MULTILINE)
    return int(found[-1]) if found else -1


def written(run: Callable[..., str], path: str, image_format: str = "qcow2") -> int:
    """Return how many blocks a disk has, from 0 without a gap; raise where one of them is damaged or a later one is there.

    ``run`` runs a command on the host and returns its output. The guest must be stopped or paused.
    """
    found = json.loads(run("python3", "-c", CHECK, path, image_format))
    # The last block may be half written by a guest that died; it was not acknowledged.
    assert found["last"] <= found["blocks"], f"{path} is damaged: {found}"
    return int(found["blocks"])


def wait_for(look: Callable[[], str], enough: Callable[[str], bool], what: str, seconds: float = 600) -> str:
    """Return what ``look`` gives once it is ``enough``; raise after minutes."""
    deadline = time.monotonic() + seconds
    while not enough(answer := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} was not seen in {seconds:g} s:\n{answer[-2000:]}")
        time.sleep(0.5)  # between looks at a file of another host
    return answer
