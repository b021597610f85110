# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemctl(1) does for DHCP services, on a host of fault runs that has no systemd: the commands of the role's unit.

Usage: systemctl VERB [OPTION…] UNIT. Other units are enabled and not active.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "roles/hypervisor/files/edge-dhcp@.service"
PIDS = Path("/run/small-systemd")


def commands(key: str, network: str) -> list[list[str]]:
    """Return the commands of the unit."""
    found = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{key}=")]
    return [shlex.split(line.replace("%i", network)) for line in found]


def main_pid(network: str) -> int:
    """Return the process that runs, 0 for none."""
    try:
        pid = int((PIDS / network).read_text())
        program = Path(f"/proc/{pid}/comm").read_text().strip()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return 0
    return pid if program == "dnsmasq" and state not in "ZX" else 0


def stop(network: str) -> None:
    """Kill the process and wait until it has gone."""
    if pid := main_pid(network):
        os.kill(pid, signal.SIGKILL)
        while main_pid(network):
            time.sleep(0.01)
    (PIDS / network).unlink(missing_ok=True)


def start(network: str) -> int:
    """Start the process in its name space, unless it runs."""
    if main_pid(network):
        return 0
    space = f"/run/netns/edge-dhcp-{network}"
    if not Path(space).exists():
        return 0  # the condition of the unit is not a failure
    Path("/run/edge-dhcp", network).mkdir(parents=True, exist_ok=True)
    for before in commands("ExecStartPre", network):
        if subprocess.run(before, check=False, capture_output=True).returncode:
            return 1
    (argv,) = commands("ExecStart", network)
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        ["nsenter", f"--net={space}", *argv, "--no-daemon"], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    while Path(f"/proc/{process.pid}/comm").read_text().strip() != "dnsmasq":  # nsenter and sh become it
        if process.poll() is not None:
            return 1
        time.sleep(0.005)
    PIDS.mkdir(exist_ok=True)
    (PIDS / network).write_text(str(process.pid))
    return 0


def reload(network: str) -> int:
    """Copy its hosts again and tell it."""
    pid = main_pid(network)
    if not pid:
        return 1
    copy, _kill = commands("ExecReload", network)
    subprocess.run(copy, check=True)
    os.kill(pid, signal.SIGHUP)
    return 0


def main() -> int:
    verb, unit = sys.argv[1], sys.argv[-1]
    if not unit.startswith("edge-dhcp@"):
        print({"is-enabled": "enabled", "is-active": "inactive"}.get(verb, ""))
        return 3 if verb == "is-active" else 0
    network = unit.removeprefix("edge-dhcp@").removesuffix(".service")
    if verb == "show":
        print("active" if main_pid(network) else "inactive")
    if verb in ("stop", "restart"):
        stop(network)
    if verb in ("start", "restart"):
        return start(network)
    return reload(network) if verb == "reload" else 0


if __name__ == "__main__":
    sys.exit(main())
