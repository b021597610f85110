# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes over real guests that the option ``recovery`` was given: points from the first start on, made, held, removed and late."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt_qemu
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.reconcile import Reconciler
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import DomainOptions, read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import point
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import progress as notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import Points
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.rounds import Report, Rounds
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, Generation, Point, parse, point_of
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from support.own_libvirt import RELEASES, OwnLibvirt, own_libvirt

pytestmark = [pytest.mark.slow, pytest.mark.integration]
INTERVAL = 60


@pytest.fixture(scope="module", params=RELEASES)
def libvirtd(request: pytest.FixtureRequest) -> Iterator[OwnLibvirt]:
    with own_libvirt(request.param) as found:
        yield found


@dataclass
class Host:
    """A hypervisor with folders of its own, replicas that take points by ``take``, and a clock that only ``ahead`` moves."""

    libvirtd: OwnLibvirt
    home: Path
    names: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    ahead: float = 0.0
    lines: list[str] = field(default_factory=list)

    @property
    def folders(self) -> Folders:
        return Folders(*(str(self.home / part) for part in ("vms", "images", "locks", "recovery")))

    @property
    def points(self) -> Points:
        tool, nowhere = DiskFiles(SubprocessRunner(), self.folders), self.home / "none"
        return Points(self.libvirtd.connection, tool, self.folders, Path(self.folders.recovery), nowhere, nowhere, self.instant)

    def now(self) -> float:
        return 1_767_225_600.0 + self.ahead

    def instant(self) -> str:
        return str(notes.text_of(self.now()))

    def domain(self, name: str) -> Any:
        return self.libvirtd.connection.lookupByName(name)

    def ask(self, name: str, **options: Any) -> Reconciler:
        """Bring a VM to what the options of the module say."""
        self.names.append(name)
        asked = {"name": name, "memory": "64MiB", "virt_type": "qemu", "disks": [{"name": "root", "size": "32MiB"}], **options}
        wanted: DomainOptions = read_options({"recovery": {"interval": INTERVAL, "quiesce": "never"}, "rng": False, **asked})
        tool = DiskFiles(SubprocessRunner(), self.folders)
        found = Reconciler(self.libvirtd.connection, tool, SubprocessRunner(), self.folders, wanted)
        found.run(check_mode=False)
        return found

    def write(self, name: str, command: str) -> None:
        """Write to the VM's disk as its system would."""
        alias = self.domain(name).XMLDesc().split("<disk ")[1].split("alias name='")[1].split("'")[0]
        for one in (command, "flush"):
            place = f"/machine/peripheral/{alias}/virtio-backend"
            said = libvirt_qemu.qemuMonitorCommand(self.domain(name), f'qemu-io -d {place} "{one}"', 1)
            assert "rror" not in said, said

    def run(self, members: tuple[str, ...] = ("r1", "r2")) -> Report:
        return Rounds(self.points, members, self, self.lines.append, self.now).run()

    def outgoing(self, name: str) -> list[str]:
        home = self.points.home(self.domain(name).UUIDString())
        return sorted((path.name for path in home.glob("[0-9]*")), key=point_of)

    def depot(self, member: str) -> Depot:
        return Depot(self.home / member)

    def take(self, member: str, name: str) -> None:
        """Let a replica take all that is there of a VM."""
        uuid = self.domain(name).UUIDString()
        for one in self.outgoing(name):
            Intake(self.depot(member), QemuImg(SubprocessRunner())).take(self.points.home(uuid) / one, uuid)

    def holds(self, member: str, generation: Generation) -> bool:
        if member in self.down:
            raise Unreachable("it does not answer.")
        with suppress(EdgeError):
            return self.depot(member).find(generation.vm.uuid, generation.name).content == generation.content
        return False

    def newest(self, member: str, vm: str) -> Point | None:
        if member in self.down:
            raise Unreachable("it does not answer.")
        return max((one.point for one in self.depot(member).listed(vm).generations), default=None)


@pytest.fixture
def host(libvirtd: OwnLibvirt) -> Iterator[Host]:
    home = libvirtd.folder / uuid.uuid4().hex[:8]
    found = Host(libvirtd, home)
    for path in (found.folders.vms, found.folders.images):
        Path(path).mkdir(parents=True)
    yield found
    for name in set(found.names):
        with suppress(libvirt.libvirtError):
            domain = found.domain(name)
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    shutil.rmtree(home)


def test_the_first_point_of_a_vm_has_what_was_written_since_its_first_start(host: Host) -> None:
    assert host.ask("web").warnings == []
    host.write("web", "write -P 2 1M 64k")
    report = host.run()
    assert report.made == {"web": {"generation": "0.1", "whole": "", "quiesced": False}}, (report, host.lines)
    assert report.failed == report.busy == {}
    host.ask("web", state="stopped", force_stop=True, timeout=1)
    assert host.ask("web").warnings == []
    host.write("web", "write -P 3 2M 64k")
    host.ahead += INTERVAL
    assert host.run().made["web"] == {"generation": "0.2", "whole": "", "quiesced": False}


def test_a_vm_whose_birth_fails_starts_with_a_warning_and_its_first_point_is_whole(host: Host) -> None:
    host.ask("web", state="stopped")
    with vm_lock(host.folders.point("web"), "web", 0):
        (warning,) = host.ask("web").warnings
    assert warning.startswith("recovery: the first recovery point of web will have all that is above its images")
    assert host.domain("web").isActive()
    host.write("web", "write -P 2 1M 64k")
    assert host.run().made["web"]["whole"].startswith("there is no point or checkpoint before it")


def test_points_are_made_when_they_are_due_and_go_once_enough_other_hosts_hold_them(host: Host) -> None:
    policy = {"interval": INTERVAL, "quiesce": "never", "replicas": 2}
    host.ask("web", recovery=policy)
    assert host.run().made["web"]["generation"] == "0.1"
    assert host.run().made == {}, "not due"
    host.take("r1", "web")
    assert host.run().removed == [] and host.outgoing("web") == ["0.1"], "one of two"
    host.take("r2", "web")
    host.down = {"r2"}
    report = host.run()
    assert (report.removed, report.silent) == ([], {"r2": "it does not answer."})
    host.down = set()
    uuid = host.domain("web").UUIDString()
    assert host.run().removed == [f"{uuid}/0.1"]
    assert host.outgoing("web") == []

    host.write("web", "write -P 2 1M 64k")
    host.ahead += INTERVAL
    second = host.run()
    assert second.made["web"] == {"generation": "0.2", "whole": "", "quiesced": False}, "what is gone from here is not needed"
    for member in ("r1", "r2"):
        host.take(member, "web")
    assert host.run().removed == [f"{uuid}/0.2"]
    (noted,) = notes.all_in(host.points.root / "status")
    assert (noted.made, [name for name, _when in noted.held], noted.is_breach(host.now())) == ("0.2", ["0.1", "0.2"], False)


def test_another_content_under_the_same_name_holds_nothing(host: Host) -> None:
    host.ask("web")
    host.run()
    host.take("r1", "web")
    uuid = host.domain("web").UUIDString()
    document = next(host.depot("r1").root.glob(f"{uuid}/0.1.json"))
    document.write_bytes(document.read_bytes().replace(b'"quiesced":false', b'"quiesced":true'))
    assert host.run().removed == [] and host.outgoing("web") == ["0.1"]


def test_a_vm_that_fails_or_is_busy_holds_up_no_other_and_is_tried_again(host: Host) -> None:
    for name in ("a", "b", "c"):
        host.ask(name)
    broken = host.points.home(host.domain("b").UUIDString()) / "journal.json"
    broken.write_text("{")
    with vm_lock(host.folders.lock("c"), "c", 0):
        report = host.run()
    assert set(report.made) == {"a"} and set(report.failed) == {"b"} and set(report.busy) == {"c"}
    assert any(line.startswith("warning: no recovery point of b was made: ") for line in host.lines)
    broken.unlink()
    report = host.run()
    assert set(report.made) == {"c"} and set(report.failed) == {"b"}, "what failed is not tried at once"
    host.ahead += INTERVAL - 1
    report = host.run()
    assert set(report.made) == {"b"} and report.failed == report.busy == {}


def test_points_that_no_host_takes_are_late_and_a_stopped_vm_that_is_held_is_not(host: Host) -> None:
    host.ask("web")
    host.ask("still")
    host.run()
    for name in ("web", "still"):
        host.take("r1", name)
    host.ask("still", state="stopped", force_stop=True, timeout=1)
    for _turn in range(2):
        host.ahead += INTERVAL
        host.write("web", "write -P 2 1M 64k")
        assert host.run().breaches == []
        host.take("r1", "still")
    host.ahead += INTERVAL
    report = host.run()
    assert report.breaches == ["web"] and "still" in report.unchanged
    (line,) = [line for line in host.lines if "no recovery point of web of the last 120 s" in line]
    assert line.startswith("warning: ") and "the newest one is 0.1" in line
    host.take("r1", "web")
    assert host.run().breaches == []
    assert host.outgoing("web") == []


def test_points_of_a_vm_that_is_gone_leave_this_host_too(host: Host) -> None:
    host.ask("web")
    host.run()
    home = host.points.home(host.domain("web").UUIDString())
    host.take("r1", "web")
    host.ask("web", state="absent", force_stop=True, timeout=1, delete_disks=True)
    assert (home / "0.1").is_dir()
    assert host.run().removed == [f"{home.name}/0.1"]
    host.run()
    assert notes.all_in(host.points.root / "status") == []


def test_a_lost_journal_is_followed_by_a_whole_point_with_the_next_number(host: Host) -> None:
    host.ask("web")
    host.run()
    host.take("r1", "web")
    assert host.run().removed
    host.points.home(host.domain("web").UUIDString()).joinpath("journal.json").unlink()
    host.ask("web", state="stopped", force_stop=True, timeout=1)
    host.ahead += INTERVAL
    made = host.run().made["web"]
    assert made["generation"] == "0.2" and made["whole"]


def test_a_chain_of_deltas_ends_and_the_point_after_it_says_why_it_is_whole(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point, "LONGEST", 2)
    host.ask("web")
    chains = []
    for turn in range(4):
        host.write("web", f"write -P {turn + 2} {turn}M 64k")
        made = host.run().made["web"]
        home = host.points.home(host.domain("web").UUIDString())
        document = parse((home / made["generation"] / DOCUMENT).read_bytes(), "it")
        chains.append((len(document.disks[0].chain), made["whole"][:14]))
        host.take("r1", "web")
        host.ahead += INTERVAL
    assert chains == [(1, ""), (2, ""), (1, "2 deltas stand"), (2, "")]
