# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""(b) Many VXLAN networks with many members, against the same commands one process at a time, and as Ansible tasks."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.iproute import Networking, Places
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.plan import plan
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.reconcile import checked
from report import NO_GOAL, Goal, Row, row, seconds
from support.netspace import Space, spaces
from support.processes import LIBRARY, TREE

NETWORKS, MEMBERS, RUNS = 200, 32, 3
TASKS = 20  # commands that are run as Ansible tasks; the others cost the same
OURS = """
import json, sys, time
from pathlib import Path
from LIBRARY._network.virtual.iproute import Networking, Places
from LIBRARY._network.virtual.reconcile import checked, reconcile
from LIBRARY._runner import SubprocessRunner
folder = Path(sys.argv[1])
net = Networking(SubprocessRunner(), Places(folder / "networks.json", folder / "lock", folder / "machine-id"))
begun = time.perf_counter()
asked = checked(json.loads((folder / "asked.json").read_text()), "networks")
plan, _after = reconcile(net, asked, check=False)
print(len(plan.steps), time.perf_counter() - begun)
"""


def asked(number: int) -> list[dict[str, Any]]:
    members = [f"192.0.2.{host}" for host in range(1, MEMBERS + 1)]
    return [
        {"name": f"tenant{place}", "type": "vxlan", "vni": place + 1, "underlay": "eth0", "members": members}
        for place in range(number)
    ]


@contextmanager
def host() -> Iterator[Space]:
    """Give a host with an underlay."""
    with spaces(1) as (found,):
        found.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
        found.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        found.ip("link", "set", "eth0", "up")
        found.ip("link", "set", "far0", "up")
        yield found


def commands(folder: Path, space: Space, number: int) -> list[list[str]]:
    """Return the commands of our own plan, as somebody would run them one at a time."""
    net = Networking(space, Places(folder / "none.json", folder / "lock", folder / "machine-id"))
    steps = plan(net.facts({}), checked(asked(number), "networks")).require().steps
    found = [["ip", *words] for step in steps for words in step.ip]  # type: ignore[attr-defined]
    return found + [["bridge", *words] for step in steps for words in step.fdb]  # type: ignore[attr-defined]


def playbook(folder: Path, space: Space, tasks: list[dict[str, Any]]) -> float:
    """Return the seconds that a playbook with these tasks takes; what it writes into /etc and /run goes away with it."""
    file = folder / "play.yml"
    file.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    (folder / "tmp").mkdir(exist_ok=True)
    own = "mount -t tmpfs own {0} && mkdir {0}/upper {0}/work && mount -t tmpfs run /run"
    layered = "mount -t overlay -o lowerdir=/etc,upperdir={0}/upper,workdir={0}/work etc /etc"
    script = f'{own} && {layered} && exec "$@"'.format(shlex.quote(str(folder / "tmp")))
    play = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(file)]
    argv = space.argv("unshare", "--mount", "sh", "-c", script, "sh", *play)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    return seconds(lambda: subprocess.run(argv, check=True, capture_output=True, env=environment))


def run(argv: list[str], *, changed: bool) -> float:
    """Make the networks and return the seconds that it took, without the start of Python."""
    environment = {**os.environ, "PYTHONPATH": str(TREE / "collections")}
    steps, took = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout.split()
    assert bool(int(steps)) == changed, steps
    return float(took)


def once(folder: Path, number: int) -> tuple[float, ...]:
    """Return the seconds to make the networks, to do so again, of the loop, and of a list of all links."""
    with host() as space:
        (folder / "networks.json").unlink(missing_ok=True)
        ours = space.argv(sys.executable, "-c", OURS.replace("LIBRARY", LIBRARY), str(folder))
        made = seconds(lambda: run(ours, changed=True))
        again = run(ours, changed=False)
    with host() as space:
        script = folder / "loop.sh"
        script.write_text("set -e\n" + "".join(shlex.join(words) + "\n" for words in commands(folder, space, number)))
        loop = seconds(lambda: subprocess.run(space.argv("sh", str(script)), check=True))
        links = space.argv("ip", "-j", "-d", "addr", "show")
        listed = seconds(lambda: subprocess.run(links, check=True, capture_output=True))
    return made, again, loop, listed


def virtual_networks(folder: Path, share: int) -> Iterator[Row]:
    number = max(1, NETWORKS * share // 100)
    (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (folder / "asked.json").write_text(json.dumps(asked(number)))
    case = f"(b) {number} VXLAN networks of {MEMBERS} members"
    times = zip(*(once(folder, number) for _run in range(RUNS)), strict=True)
    made, again, loop, listed = (statistics.median(found) for found in times)
    nothing, each = "again, once Python runs", "a process for each command"
    yield row(case, "make", "s", made, loop, other_name=each, goal=Goal(bound=1 / 20), runs=RUNS)
    yield row(case, nothing, "s", again, loop, other_name=each, goal=Goal("ours", 0.3, "s"), runs=RUNS)
    yield row(case, nothing, "s", again, listed, other_name="ip lists all links", goal=NO_GOAL, runs=RUNS)
    yield tasks(folder, number, case)


def tasks(folder: Path, number: int, case: str) -> Row:
    """Return the row of one Ansible task against a task for each command."""
    with host() as space:
        every = commands(folder, space, number)
        ours = playbook(folder, space, [{"edge.cloud.virtual_networks": {"networks": asked(number)}}])
    with host() as space:
        nothing = playbook(folder, space, [{"ansible.builtin.meta": "noop"}])
        some = playbook(folder, space, [{"ansible.builtin.command": {"argv": words}} for words in every[:TASKS]])
    other = f"a task for each of {len(every)} commands, from {TASKS} of them"
    whole = nothing + (some - nothing) / TASKS * len(every)
    return row(case, "playbook", "s", ours, whole, other_name=other, goal=Goal(bound=1 / 20), runs=1)
