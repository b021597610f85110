# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at the machine from outside the lab's own code."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lab.api import LabHost
from edge_lab.hosts import find
from edge_lab.settings import Settings
from support.waiting import until

NAME = "labtest"
PROGRAM = Path(__file__).resolve().parents[2] / "lab" / "lab.py"


@dataclass(frozen=True)
class Traces:
    """All that a lab could leave on the machine."""

    mounts: frozenset[str]
    links: frozenset[str]
    tables: frozenset[str]
    routes: frozenset[str]
    processes: frozenset[str]
    groups: frozenset[str]
    notes: frozenset[str]
    folders: frozenset[str]


def traces(settings: Settings) -> Traces:
    """Return what the machine shows of a lab at this moment."""
    home = str(settings.home)
    links = json.loads(_out("ip", "-json", "link"))
    tables = json.loads(_out("nft", "-json", "list", "tables"))["nftables"] if Path("/usr/sbin/nft").exists() else []
    folders = [settings.home, settings.run]
    return Traces(
        frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if home in line),
        frozenset(link["ifname"] for link in links if NAME in link["ifname"]),
        frozenset(f"{row['table']['family']} {row['table']['name']}" for row in tables if NAME in str(row)),
        frozenset(line for line in _out("ip", "route").splitlines() if NAME in line),
        frozenset(_processes(home)),
        frozenset(str(path) for path in Path("/sys/fs/cgroup").glob(f"**/edge-lab/{NAME}")),
        frozenset(str(path) for path in Path("/run/systemd/nspawn").glob(f"**/*{NAME}*")),
        frozenset(str(path) for path in folders if path.exists()),
    )


def _out(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _processes(mark: str) -> list[str]:
    """Return the command lines of processes (but ours) that name a folder, or whose root is below it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            group = (path / "cgroup").read_text()
            dead = (path / "stat").read_text().rpartition(")")[2].split()[0] == "Z"  # for the machine's first process to reap
        except OSError:
            continue
        if int(path.name) != os.getpid() and not dead and (mark in line or f"/edge-lab/{NAME}/" in group):
            found.append(f"{path.name} {line}")
    return found


def lab_command(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run the lab's command line to its end."""
    return subprocess.run([sys.executable, str(PROGRAM), *argv], capture_output=True, text=True, timeout=600, check=False)


def killed_when(argv: list[str], happened: Callable[[], bool]) -> bool:
    """Run the lab's command line and kill it (SIGKILL) as soon as something has happened; tell whether that hit it."""
    with subprocess.Popen([sys.executable, str(PROGRAM), *argv], stderr=subprocess.PIPE, text=True) as process:
        until(lambda: happened() or process.poll() is not None, every=0.001)
        process.kill()
        ended = process.wait()
        assert ended in (0, -signal.SIGKILL), process.stderr and process.stderr.read()
        return ended != 0


def line(settings: Settings, name: str) -> list[int]:
    """Return the rates in bits a second of the queues at both ends of a host's slow line, as the kernel has them."""
    return [8 * int(queue["options"]["rate"]["rate"] if "netem" in queue["kind"] else queue["options"]["rate"])
            for queue in _queues(settings, name)]  # fmt: skip


def dropped(settings: Settings, name: str) -> int:
    """Return the packets that both queues of a host's slow line dropped so far."""
    return sum(int(queue["drops"]) for queue in _queues(settings, name))


def _queues(settings: Settings, name: str) -> list[dict[str, Any]]:
    links = {find(settings, name).link(kind) for kind in ("vb", "vs")}
    queues = json.loads(_out("tc", "-s", "-json", "qdisc", "show"))
    return [queue for queue in queues if queue.get("dev") in links and queue.get("root") and queue["kind"] in ("tbf", "netem")]


def rtt(source: LabHost, target: LabHost) -> float:
    """Return the shortest round-trip time of some pings from one host to another, in milliseconds."""
    answer = source.run(["ping", "-c9", "-i0.1", "-W60", target.name]).stdout
    return min(float(found) for found in re.findall(r"time=([\d.]+) ms", answer))


def pings(source: LabHost, target: LabHost) -> bool:
    """Return whether a ping from one host to another comes back within a second."""
    return source.run(["ping", "-c1", "-W1", target.name], check=False).returncode == 0


def ssh_open(address: str, timeout: float = 1) -> bool:
    """Return whether a host's ssh port takes a connection from the machine."""
    try:
        with socket.create_connection((address, 22), timeout=timeout):
            return True
    except OSError:
        return False


def boot_id(host: LabHost) -> str:
    """Return what is new with each boot of a host."""
    return host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout


_SINK = """
import socket, sys, time
server = socket.create_server(("0.0.0.0", 5201))
began, count = time.monotonic(), 0  # before the first byte: what waited for a busy machine is not a faster line
print("listening", flush=True)
connection, _any = server.accept()
while data := connection.recv(1 << 20):
    count += len(data)
print(count * 8 / (time.monotonic() - began) / 1e6)
"""

_SOURCE = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 5201))
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    connection.sendall(bytes(16384))
"""


def throughput(source: LabHost, sink: LabHost, seconds: float = 3) -> float:
    """Return what arrives over one TCP connection from one host to another, in Mbit/s, and never more than that."""
    return float(_from_to(source, sink, _SOURCE, _SINK, str(seconds)))


_CATCH = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
server.bind(("0.0.0.0", 5202))
print("listening", flush=True)
count = 0
while True:
    data, sender = server.recvfrom(2048)
    if data == b"end":
        break
    count += 1
print(count, flush=True)
server.sendto(b"end", sender)
"""

_BURST = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect((sys.argv[1], 5202))
for _any in range(int(sys.argv[2])):
    sender.send(bytes(1400))
sender.settimeout(0.5)
while True:  # the queue may drop an end too; one that comes through comes after all the rest
    try:
        sender.send(b"end")
        sender.recv(2048)
        break
    except TimeoutError:
        continue
    except ConnectionRefusedError:  # it heard us, and its answer was lost
        break
"""


def burst(source: LabHost, sink: LabHost, count: int) -> int:
    """Send so many datagrams of 1400 bytes at once, and return how many arrive."""
    return int(_from_to(source, sink, _BURST, _CATCH, str(count)))


def _from_to(source: LabHost, sink: LabHost, sending: str, receiving: str, order: str) -> str:
    """Run a program on one host once another listens on the other; return what the latter says at its end."""
    with subprocess.Popen(
        sink.ssh_command(["timeout", "300", "python3", "-c", receiving]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        source.run(["python3", "-c", sending, sink.name, order], timeout=300)
        return process.stdout.read()
