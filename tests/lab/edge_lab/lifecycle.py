# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one host: its disk, its boot, its end. The caller holds the host's lock."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from . import inherit, seed, ssh
from .cgroup import Group
from .command import LabError, run
from .hosts import Host, links, mounted, mounts_under

NSPAWN = (
    "systemd-nspawn",
    "--quiet",
    "--boot",
    "--register=no",
    "--keep-unit",
    "--capability=all",
    "--private-users=no",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--console=read-only",
)
DEVICES = ("/dev/net/tun", "/dev/fuse")
NSPAWN_STATE = Path("/run/systemd/nspawn")
REBOOT = 133
"""What systemd-nspawn ends with when the host asked to be booted again."""

KEEPER = f"""
for group in $EDGE_LAB_GROUPS; do echo $$ > "$group/cgroup.procs" || exit 1; done
while :; do
  "$@"
  status=$?
  [ "$status" -eq {REBOOT} ] || exit "$status"
  [ -n "$EDGE_LAB_REPLUG" ] && "{sys.executable}" "$EDGE_LAB_REPLUG" replug "$EDGE_LAB_HOST" &
done
"""
"""Shell that stays with a host: boots it again when it reboots, and then slows its cable again."""


def mount(host: Host) -> None:
    """Mount a host's disk: its own changes over the read-only base."""
    if mounted(host.root):
        return
    base = host.settings.bases / host.spec.base
    if not base.is_dir():
        raise LabError(f"host {host.name}: its base {base} is gone. Take the host down: lab down {host.name}")
    for folder in ("disk", "work", "root"):
        (host.directory / folder).mkdir(exist_ok=True)
    overlays = f"lowerdir={base},upperdir={host.directory / 'disk'},workdir={host.directory / 'work'}"
    run(["mount", "-t", "overlay", "edge-lab", "-o", overlays, str(host.root)])


def prepare(host: Host) -> Host:
    """Mount a host's disk and write its own files once; return the host so far."""
    mount(host)
    if host.spec.seeded:
        return host
    seed.plant(host)
    return host.save(seeded=True)


def boot(host: Host) -> None:
    """Start a host that does not run, on its disk as it is."""
    drop_leftovers(host)
    host.group.create()
    start_in(host.group, _nspawn(host), host, host.console)


def start_in(group: Group, command: list[str], host: Host, log: Path) -> None:
    """Start a command in a control group, apart from us: no terminal, no descriptor, no parent."""
    entry = Path(__file__).resolve().parents[1] / "lab.py"
    settings = host.settings
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "EDGE_LAB": settings.name,
        "EDGE_LAB_DIR": str(settings.directory),
        "EDGE_LAB_SUBNET": str(settings.subnet),
        "EDGE_LAB_GROUPS": " ".join(str(directory) for directory in group.directories),
        "EDGE_LAB_HOST": host.name,
        "EDGE_LAB_REPLUG": str(entry),
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
    }
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", "sh", "-c", KEEPER, "edge-lab", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd="/",
            check=True,
        )
    deadline = time.monotonic() + 5
    while not group.alive() and time.monotonic() < deadline:
        time.sleep(0.01)


def _nspawn(host: Host) -> list[str]:
    devices = [*DEVICES, *(["/dev/kvm"] if host.spec.kvm else [])]
    return [
        *NSPAWN,
        f"--network-bridge={host.settings.bridge}",
        f"--machine={host.machine}",
        f"--hostname={host.name}",
        f"--directory={host.root}",
        *(f"--bind={device}" for device in devices if Path(device).exists()),
        *seed.bind_folders(inherit.pip_folders()),
        *(_bind(text) for text in host.spec.binds),
    ]


def _bind(text: str) -> str:
    """Return systemd-nspawn's option for SRC:DST or SRC:DST:ro."""
    source, target, *rest = text.split(":")
    return f"--bind{'-ro' if rest == ['ro'] else ''}={source}:{target}"


def check_bind(text: str) -> str:
    """Return a bind as it is, or raise LabError if it is not SRC:DST[:ro] with a source that exists."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.startswith("/") for part in parts[:2]) or parts[2:] not in ([], ["ro"]):
        raise LabError(f"bind {text!r}: give SRC:DST or SRC:DST:ro, both absolute paths.")
    if not Path(parts[0]).exists():
        raise LabError(f"bind {text!r}: {parts[0]} does not exist on this machine.")
    return text


def halt(host: Host) -> None:
    """End a host and its relay at one instant, as if the plug was pulled; its disk stays."""
    for group in (host.group, host.relay):
        group.kill()
        group.remove()
    drop_leftovers(host)


def drop_leftovers(host: Host) -> None:
    """Remove what a host that was killed left on the machine: cables, and systemd-nspawn's own notes."""
    mine = {host.link(kind) for kind in ("vb", "vs", "vr", "vm")}
    deadline = time.monotonic() + 10
    while left := mine & links(host.settings):
        for link in sorted(left):
            run(["ip", "link", "delete", link], check=False)
        if time.monotonic() > deadline:
            raise LabError(f"host {host.name}: its interfaces {', '.join(sorted(left))} cannot be removed.")
    if host.root.is_dir():
        stat = host.root.stat()
        (NSPAWN_STATE / f"locks/inode-{stat.st_dev}:{stat.st_ino}").unlink(missing_ok=True)
    for folder in ("propagate", "unix-export"):
        notes = NSPAWN_STATE / folder / host.machine
        for point in mounts_under(notes):
            _unmount(point)
        run(["rm", "-rf", "--one-file-system", "--", str(notes)])


def remove(host: Host) -> None:
    """End a host and remove its disk. What is not finished is finished by the next call."""
    halt(host)
    for point in mounts_under(host.directory):
        _unmount(point)
    # The description goes last: while it is there, the host is known and can be taken down.
    for entry in sorted(host.directory.iterdir(), key=lambda path: path.name == "host.json"):
        run(["rm", "-rf", "--one-file-system", "--", str(entry)])
    host.directory.rmdir()


def _unmount(point: str) -> None:
    deadline = time.monotonic() + 10
    while (done := run(["umount", point], check=False)).returncode != 0:
        if time.monotonic() > deadline:
            raise LabError(f"{point}: cannot be unmounted: {done.stderr.strip()}. Leave that folder and try again.")
        time.sleep(0.1)


def running(host: Host) -> bool:
    """Return whether a host has any process."""
    return host.group.alive()


def answers(host: Host) -> bool:
    """Return whether a host lets us in at this moment."""
    return running(host) and run(ssh.command(host, ["true"]), check=False, timeout=30).returncode == 0


def drop_empty_folders() -> None:
    """Remove systemd-nspawn's own folders on the machine if nothing is in them."""
    for folder in ("locks", "propagate", "unix-export", "."):
        with suppress(OSError):
            (NSPAWN_STATE / folder).resolve().rmdir()
