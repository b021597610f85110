# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files come out of a recovery point on a lab host by the real libguestfs, by the verbs and by the playbook."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_lab.api import Lab, LabHost, unusable
from support.images import MIB
from support.playbook import TREE, play, run_book
from support.recovery import CLUSTER, Machine, Replica, qemu_io

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]  # the packages are large, and its small VM has no KVM
NAME, SIZE, START = "sf-1", 32 * MIB, MIB
PLACE = "/mnt/of web"
PROGRAM = """#!/usr/bin/python3
import sys
sys.path.insert(0, "/usr/local/lib/edge/current")
from edge_cloud._host.cli import main
sys.exit(main())
"""


def with_files(folder: Path) -> Replica:
    """Return a replica with a point of a VM whose first partition has files, and links out of it."""
    machine = Machine(folder / "machine", SIZE)
    tree, raw = folder / "tree", folder / "raw"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/motd").write_text("of the guest\n")
    (tree / "etc/release").symlink_to("/etc/motd")
    (tree / "etc/secret").symlink_to("/root/secret")
    with raw.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["/usr/sbin/sfdisk", "-q", raw], input="label: gpt\nsize=20MiB\n", text=True, check=True)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-E", f"offset={START}", "-d", tree, raw, "20M"], check=True)
    qemu_io(machine.live, f"write -s {raw} 0 {SIZE}")
    machine.dirty |= set(range(SIZE // CLUSTER))
    replica = Replica(machine, folder / "recovery")
    replica.intake.take(machine.point())
    return replica


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    if reason := unusable():
        pytest.skip(reason)
    folder, lab = tmp_path_factory.mktemp("sf"), Lab()
    replica = with_files(folder)
    lab.down(NAME)
    try:
        (made,) = lab.up(names=[NAME], release="trixie", variant="full")
        made.run(["mkdir", "-p", "/var/lib/edge/recovery", "/etc/edge"])
        made.put(replica.depot.root, "/var/lib/edge/recovery/points")
        made.put(replica.machine.images.root, "/var/lib/edge/images")
        (folder / "cluster.json").write_text(json.dumps({"name": "site", "host": NAME}))
        made.put(folder / "cluster.json", "/etc/edge/cluster.json")
        (folder / "edge-host").write_text(PROGRAM)
        made.put(folder / "edge-host", "/usr/sbin/edge-host")
        made.run(["chmod", "755", "/usr/sbin/edge-host"])
        made.run(["sh", "-c", "chown -R root: /var/lib/edge && echo of the host > /root/secret"])
        play([{"edge.cloud.host_library": {"path": "/usr/local/lib/edge"}}], inventory=str(lab.inventory), hosts=NAME)
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends linux-image-amd64 libguestfs-tools"
        made.run(["sh", "-c", f"apt-get update -qq && {install}"], timeout=1800)
        yield made
    finally:
        lab.down(NAME)


def edge_host(host: LabHost, *words: str, ok: bool = True) -> dict[str, Any]:
    done = host.run(["edge-host", "point", *words], check=False, timeout=1800)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def left(host: LabHost) -> str:
    """Return what programs and mounts there are of it."""
    mounts, programs = "grep ' - fuse ' /proc/self/mountinfo", "pgrep -a 'qemu|guestmount'"
    folders = f"ls -d '{PLACE}' /var/lib/edge/fetch_files/*"
    return host.run(["sh", "-c", f"{mounts}; {programs}; {folders}"], check=False).stdout


def test_files_by_the_verbs(host: LabHost) -> None:
    shown = edge_host(host, "mount", "--vm", "web", "--path", PLACE)
    (part,) = shown["disks"][0]["partitions"]
    assert part == {"partition": "vda1", "start": START, "size": 20 * MIB, "content": "ext"}
    shown = edge_host(host, "mount", "--vm", "web", "--path", PLACE, "--partition", "vda1")
    assert shown["changed"] and shown["files"] == f"{PLACE}/files"
    assert not edge_host(host, "mount", "--vm", "web", "--path", PLACE, "--partition", "vda1")["changed"]
    options = host.run(["findmnt", "-n", "-o", "OPTIONS", f"{PLACE}/files"]).stdout
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options.strip().split(","))
    assert host.run(["runuser", "-u", "nobody", "--", "ls", f"{PLACE}/files"], check=False).returncode != 0
    edge_host(host, "copy", "--path", PLACE, "--file", "/etc/release", "--to", "/root/copy")
    assert host.run(["cat", "/root/copy"]).stdout == "of the guest\n"
    refused = edge_host(host, "copy", "--path", PLACE, "--file", "/etc/secret", "--to", "/root/stolen", ok=False)
    assert refused["msg"].startswith("file: ")
    assert host.run(["test", "-e", "/root/stolen"], check=False).returncode != 0
    assert edge_host(host, "umount", "--path", PLACE)["changed"]
    assert left(host) == ""


def test_what_a_kill_leaves_is_ended(host: LabHost) -> None:
    edge_host(host, "mount", "--vm", "web", "--path", PLACE, "--partition", "vda1")
    host.run(["pkill", "-KILL", "guestmount"])
    found = host.run(["edge-host", "point", "umount", "--path", PLACE], check=False)
    while '"busy"' in found.stdout:  # until the small VM has noticed it
        found = host.run(["edge-host", "point", "umount", "--path", PLACE], check=False)
    assert found.returncode == 0, found.stdout
    assert left(host) == ""


def test_files_by_the_playbook(host: LabHost, tmp_path: Path) -> None:
    asked = {
        "fetch_files_host": NAME,
        "fetch_files_vm": "web",
        "fetch_files_partition": "vda1",
        "fetch_files_names": ["/etc/motd", "/etc/release"],
        "fetch_files_into": str(tmp_path),
    }
    run_book(TREE / "playbooks/fetch_files.yml", Lab().inventory, words=("-e", json.dumps(asked)))
    for name in asked["fetch_files_names"]:
        assert (tmp_path / str(name).lstrip("/")).read_text() == "of the guest\n"
    assert left(host) == ""
