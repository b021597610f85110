# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who computes the checksums within a VXLAN, read from the packets that leave a host, which is a name space of the real kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.link.offload import FAMILY
from support.netspace import SPACE

# Runs as the host: a request by line of its standard input, and for each an answer: what was done, and what left the host.
HOST = r"""
import json, socket, struct, subprocess, sys
from pathlib import Path
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._network.link import offload
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.definition import Wanted
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import reconcile
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner

def ip(words):
    subprocess.run(["ip", *words.split()], check=True)

for words in ("link add eth0 type veth peer name far0", "addr add 192.0.2.11/24 dev eth0", "link set eth0 up", "link set far0 up",
              "neigh add 192.0.2.12 lladdr 02:00:00:00:00:12 dev eth0"):
    ip(words)
folder = Path(sys.argv[1])
(folder / "machine-id").write_text("0123456789abcdef0123456789abcdef")
net = Networking(SubprocessRunner(), Places(folder / "networks.json", folder / "lock", folder / "machine-id"))

def total(data):
    found = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while found >> 16:
        found = (found & 0xffff) + (found >> 16)
    return found

def right():
    "Return whether the checksum of a datagram, which leaves in a VXLAN, is right."
    ip("addr replace 198.51.100.1/24 dev evb-a")
    ip("neigh replace 198.51.100.2 lladdr 02:00:00:00:00:02 dev evb-a")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as seen, socket.socket(type=socket.SOCK_DGRAM) as sender:
        seen.bind(("far0", 0))
        seen.settimeout(60)
        sender.sendto(b"payload!", ("198.51.100.2", 7000))
        while True:
            inner = seen.recv(2048)[14 + 20 + 8 + 8 + 14:]
            if inner.endswith(b"payload!"):
                break
    ip("addr flush dev evb-a")
    return total(inner[12:20] + bytes((0, inner[9])) + struct.pack("!H", len(inner) - 20) + inner[20:]) == 0xffff

for line in sys.stdin:
    options, by_hand = json.loads(line)
    if by_hand is not None:
        offload.set_checksums_in_software("evx-a", by_hand)
    asked = [Wanted.checked(options)]
    predicted = reconcile(net, asked, check=True)[0]
    made, after = reconcile(net, asked, check=False)
    assert after == predicted.after, (after, predicted.after)
    link = after["a"].view()["links"][1]
    print(json.dumps([made.actions, link["software_checksums"], right()]), flush=True)
"""
VXLAN = {"name": "a", "type": "vxlan", "vni": 5, "underlay": "eth0", "members": ["192.0.2.11", "192.0.2.12"]}
ON = {**VXLAN, "software_checksums": True}


def answers(folder: Path, requests: Iterable[tuple[dict[str, Any], bool | None]]) -> list[Any]:
    if subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets no user make a network name space")
    lines = "".join(json.dumps(one) + "\n" for one in requests)
    done = subprocess.run(
        [*SPACE, sys.executable, "-c", HOST, str(folder)],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_checksums_are_computed_by_whom_was_asked(tmp_path: Path) -> None:
    first, on, again, lost, anew, off, still = answers(
        tmp_path,
        [(VXLAN, None), (ON, None), (ON, None), (ON, False), ({**ON, "vni": 6}, None), ({**VXLAN, "vni": 6}, None), (VXLAN, None)],
    )
    assert first[1:] == [False, False]
    assert on == [["Compute the checksums of evx-a in software", "Make the network a at boot"], True, True]
    assert again == [[], True, True]
    assert lost == [["Compute the checksums of evx-a in software"], True, True]
    assert anew[1:] == [True, True]
    assert off == [["Leave the checksums of evx-a to the card", "Make the network a at boot"], False, False]
    assert still[1:] == [False, False]


def test_what_another_program_set_is_left_alone(tmp_path: Path) -> None:
    _first, by_hand, again = answers(tmp_path, [(VXLAN, None), (VXLAN, True), (VXLAN, None)])
    assert by_hand == [[], True, True]
    assert again == [[], True, True]


def test_the_service_of_networks_may_ask() -> None:
    unit = (Path(__file__).parents[6] / "roles/hypervisor/files/edge-networks.service").read_text()
    families = re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE)
    assert families
    assert FAMILY.name in families[1].split()
