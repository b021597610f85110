# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lab hosts that the role ``cluster`` makes a cluster: plays, cut ones too, and what Corosync, Pacemaker and the files say."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from edge_lab.api import Lab, LabHost
from support.playbook import PLAYBOOK, changed_in, environment, play, run_book

ROLE = "edge.cloud.cluster"
FILES = "cat /etc/corosync/corosync.conf; sha256sum /etc/corosync/authkey | cut -c1-64; stat -c '%a %U %G' /etc/corosync/authkey"


@dataclass
class ClusterLab:
    """The hosts by their names, and the one group of the inventory."""

    lab: Lab
    folder: Path
    hosts: dict[str, LabHost]
    group: str = "cluster_site1"

    def _written(
        self, names: Sequence[str], by_host: dict[str, dict[str, Any]], options: dict[str, Any], strategy: str = "linear"
    ) -> tuple[Path, Path]:
        """Write playbook and inventory, and return where they are."""
        inventory, book = self.folder / "groups.yml", self.folder / "book.yml"
        members = {name: by_host.get(name, {}) for name in names}
        given = {"cluster_allow_unfenced": True, **options}
        inventory.write_text(yaml.safe_dump({"all": {"children": {self.group: {"hosts": members, "vars": given}}}}))
        one = {"hosts": self.group, "gather_facts": False, "strategy": strategy, "roles": [{"role": ROLE}]}
        book.write_text(yaml.safe_dump([one]))
        return book, inventory

    def play(
        self,
        names: Sequence[str],
        *,
        check: bool = False,
        limit: str = "",
        strategy: str = "linear",
        by_host: dict[str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> str:
        """Run the role on hosts, with options of the group and of hosts, and return what was printed."""
        book, inventory = self._written(names, by_host or {}, options, strategy)
        words = ["--diff", *(["--check"] if check else []), *(["--limit", limit] if limit else [])]
        return run_book(book, self.lab.inventory, inventory, words=words)

    def break_off(self, names: Sequence[str], task: str, **options: Any) -> None:
        """Run the role, and kill Ansible as soon as it begins a task."""
        book, inventory = self._written(names, {}, options)
        argv = [str(PLAYBOOK), "-i", str(self.lab.inventory), "-i", str(inventory), str(book)]
        with tempfile.TemporaryDirectory(prefix="edge-play-") as folder:
            settings = {**environment(folder), "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"}
            process = subprocess.Popen(
                argv, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                process_group=0,
            )  # fmt: skip
            assert process.stdout is not None
            try:
                seen = []
                for line in process.stdout:
                    seen.append(line)
                    if line.startswith("TASK [") and f": {task}]" in line:
                        return
                raise AssertionError(f"it never came to {task!r}:\n{''.join(seen)}")
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def changes(self, names: Sequence[str], **given: Any) -> dict[str, int]:
        """Run the role and return how much it changed on each host."""
        return changed_in(self.play(names, **given))

    def sh(self, name: str, script: str) -> str:
        """Run a script on a host and return what it printed."""
        return self.hosts[name].run(["sh", "-ec", script]).stdout

    def state(self, names: Sequence[str]) -> dict[str, str]:
        """Return the files and the units of hosts, to be compared."""
        units = "systemctl is-active corosync pacemaker; systemctl is-enabled corosync pacemaker"
        script = f"({FILES}; {units}; ls /etc/systemd/system /var/lib/corosync) 2>&1 || true"
        return {name: self.sh(name, script) for name in names}

    def whole(self, names: Sequence[str], version: int) -> None:
        """Assert that the hosts are one cluster: the same files, the same membership with quorum, and Pacemaker online on all."""
        assert len({self.sh(name, FILES) for name in names}) == 1
        assert self.sh(names[0], FILES).splitlines()[-1] == "400 root root"
        for name in names:
            found = self.membership(name)
            assert found["running"]["quorate"] and found["running"]["version"] == version
            assert sorted(node["name"] for node in found["running"]["nodes"]) == sorted(names)
            assert found["running"]["joined"] == sorted(node["id"] for node in found["running"]["nodes"])
            assert found["started_key"] == found["key"] != ""
            assert self.sh(name, "systemctl is-enabled corosync pacemaker").split() == ["enabled", "enabled"]
        online = " ".join(sorted(names))
        self.sh(names[0], f"until crm_mon -1 | grep -q 'Online: \\[ {online} \\]'; do sleep 1; done")

    def membership(self, name: str) -> dict[str, Any]:
        """Return what the module says of a host."""
        found = play([{"edge.cloud.cluster_membership_info": {}}], inventory=str(self.lab.inventory), hosts=name)
        seen: dict[str, Any] = found[0]["membership"]
        return seen

    def power_cut(self, *names: str) -> None:
        """Pull the plugs of hosts, all before the first of them boots again."""
        for name in names:
            self.hosts[name].kill()
        for name in names:
            self.hosts[name].start()


@contextmanager
def cluster_lab(prefix: str, release: str, count: int, folder: Path) -> Iterator[ClusterLab]:
    """Have bare hosts PREFIX1 and so on; remove them at the end."""
    lab = Lab()
    names = [f"{prefix}{number}" for number in range(1, count + 1)]
    lab.down(*names)
    try:
        found = lab.up(names=names, variant="minimal", release=release)
        yield ClusterLab(lab, folder, {host.name: host for host in found})
    finally:
        lab.down(*names)
