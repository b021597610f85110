# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills by real libvirt and QEMU: a guest that boots from the restored disk gives its sign, and nothing of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill import notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill.drill import Drill, Drilled, DrillRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.drill.isolated import drill_home, drill_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Disk, DomainSpec, Record, Volume
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointOrder, Points
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, to_text
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput, Refused, TimedOut
from ansible_collections.edge.cloud.plugins.module_utils._host.point_drill import Drills, Subject
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._points import DepotPoint, point_in_depot
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import uses
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import cached
from support.own_libvirt import RELEASES, OwnLibvirt, own_libvirt
from support.recovery import qemu_io
from support.waiting import until

pytestmark = [pytest.mark.integration]
MIB = 2**20
SIZE = 8 * MIB
RUNNER = SubprocessRunner()
SAYS = "the restored disk is up"
# cli; cld; xor ax, ax; mov ds, ax; mov si, 0x7c17; mov dx, 0x3f8 (the serial port); a byte after another; hlt
BOOT = bytes.fromhex("fafc31c08ed8be177cbaf803ac84c07403eeebf8f4ebfd") + f"{SAYS}\r\n\0".encode()
OFF = bytes.fromhex("b80153 31db cd15 b80e53 31db b90201 cd15 b80753 bb0100 b90300 cd15 f4")  # by APM

# cld; xor ax, ax; mov ds, ax; mov si, 0x7c15; then again and again: write 32 KiB of the BIOS by int 0x13, to where its packet says,
# and let that say the next 64 sectors
FILLS = bytes.fromhex("fc31c08ed8be157c b80043cd13 6683061d7c40 ebf3 10004000000000f04000000000000000")


def sector(code: bytes) -> bytes:
    return code.ljust(510, b"\0") + b"\x55\xaa"


@pytest.fixture(scope="module", params=RELEASES)
def host(request: pytest.FixtureRequest) -> Iterator[OwnLibvirt]:
    with own_libvirt(request.param) as found:
        yield found


@dataclass
class Site:
    """A hypervisor that is a replica too, with points of a VM that does not run."""

    host: OwnLibvirt
    home: Path
    folders: Folders
    points: Points
    spec: DomainSpec

    @property
    def disk(self) -> Path:
        return Path(self.spec.disks[0].path)

    def boots(self, code: bytes) -> str:
        """Have a point whose disk begins with this code; return its name."""
        file = self.home / "sector"
        file.write_bytes(sector(code))
        qemu_io(self.disk, f"write -s {file} 0 512")
        made = self.points.make(self.spec.name, PointOrder())
        assert made.folder
        Intake(Depot(self.home / "points"), QemuImg(RUNNER), Store(Path(self.folders.images))).take(made.folder, self.spec.uuid)
        return made.generation.name

    def point(self, generation: str | None = None) -> DepotPoint:
        return point_in_depot(self.home / "points", self.spec.uuid, generation, Path(self.folders.images), RUNNER)

    def drill(self, connection: Any = None) -> Drill:
        return Drill(connection or self.host.connection, DiskFiles(RUNNER, self.folders), self.folders, self.home / "tpms")

    def run(self, text: str | None = SAYS, seconds: float = 600, **changes: Any) -> Drilled:
        point = self.point()
        return self.drill().run(replace(point, **changes) if changes else point, DrillRequest(text, seconds))

    def there(self) -> Any:
        """Return the VM of a drill while it runs, else None."""
        with suppress(libvirt.libvirtError):
            return self.host.connection.lookupByUUIDString(drill_uuid(self.spec.uuid))
        return None

    def require_nothing_left(self) -> None:
        assert self.there() is None
        assert sorted(path.name for path in Path(self.folders.vms).iterdir()) == [self.spec.name]
        assert list((self.home / "tpms").iterdir()) == []
        image = next(Path(self.folders.images).glob("*.qcow2"))
        users = {str(one) for one in uses.look([Path(self.folders.vms)]).users_of(image)}
        assert users == {str(self.disk)}


@pytest.fixture
def site(host: OwnLibvirt) -> Iterator[Site]:
    name = f"web{uuid.uuid4().hex[:8]}"
    home = host.folder / name
    folders = Folders(*(str(home / part) for part in ("vms", "images", "locks", "recovery")))
    for path in (folders.vm(name), folders.images, folders.locks, str(home / "tpms")):
        Path(path).mkdir(parents=True)
    tool = DiskFiles(RUNNER, folders)
    digest, root = cached(Path(folders.images), b"image" * 1000), Path(folders.vm(name), "root.qcow2")
    tool.create_overlay(str(root), digest, SIZE)
    disks = (Disk("root", str(root), "qcow2", "vda", "virtio"),)
    machine = {"virt_type": "qemu", "arch": "x86_64", "machine": "pc-q35-7.2", "memory": 32 * MIB, "vcpus": 1}
    spec = DomainSpec(name, str(uuid.uuid4()), disks=disks, cpu=Cpu("custom", "qemu64"), agent=False, rng=False, **machine)  # type: ignore[arg-type]
    policy = RecoveryPolicy(quiesce="never", sign=SAYS)
    record = Record(spec, (Volume("root", str(root), SIZE, digest, folders.image(digest)),), recovery=policy)
    host.connection.defineXML(to_text(emit(spec, record)))
    try:
        yield Site(host, home, folders, Points(host.connection, tool, folders, home / "recovery"), spec)
    finally:
        found = host.connection.lookupByName(name)
        if found.isActive():
            found.destroy()
        found.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
        shutil.rmtree(home)


def test_a_guest_that_boots_gives_its_sign_while_the_vm_itself_runs_on(site: Site) -> None:
    name = site.boots(BOOT)
    own = site.host.connection.lookupByName(site.spec.name)
    own.create()
    found = site.run(None)
    assert (found.generation, found.sign, found.left_out) == (name, f"the text {SAYS!r} on its console", ())
    assert own.isActive()
    site.require_nothing_left()
    own.destroy()
    assert site.run().generation == name


def test_a_guest_that_does_not_come_up_or_stops(site: Site) -> None:
    site.boots(BOOT)
    with pytest.raises(TimedOut, match=f"did not give the text 'login:' .* It printed last: {SAYS}"):
        drilled_until_it_said(site)
    site.require_nothing_left()
    site.boots(OFF)
    with pytest.raises(EdgeError, match="The guest stopped before the text"):
        site.run()
    site.require_nothing_left()


def drilled_until_it_said(site: Site) -> None:
    """Drill with a limit that is over only once the guest has printed its text."""
    point, seconds = site.point(), 1.0
    while True:
        try:
            site.drill().run(point, DrillRequest("login:", seconds))
        except TimedOut as error:
            if SAYS in error.message:
                raise
            seconds *= 2


def test_a_guest_that_writes_without_end_fills_no_disk_of_the_host(site: Site) -> None:
    site.boots(FILLS)
    with pytest.raises(Refused, match=r"wrote more than 2MiB before the text .* on its console"):
        site.drill().run(site.point(), DrillRequest(SAYS, room=2 * MIB))
    site.require_nothing_left()


class Killed(BaseException):
    """A kill of the drill's program."""


def test_a_kill_while_a_drill_is_removed_leaves_no_secrets_of_its_tpm(site: Site) -> None:
    class Tool(DiskFiles):
        def removed(self, paths: Sequence[str]) -> None:
            raise Killed

    site.boots(BOOT)
    home, secret = Path(drill_home(site.folders, site.spec.uuid)), site.home / "tpms" / drill_uuid(site.spec.uuid)
    for folder in (home, secret):
        folder.mkdir()
    (home / "root.qcow2").touch()
    with pytest.raises(Killed):
        Drill(site.host.connection, Tool(RUNNER, site.folders), site.folders, site.home / "tpms").clean()
    site.drill().clean()
    site.require_nothing_left()


def test_a_damaged_point_is_not_started(site: Site) -> None:
    site.boots(BOOT)
    generation = site.point().generation
    path = Depot(site.home / "points").path_of(site.spec.uuid, generation.disks[0].chain[-1].digest)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(EdgeError, match="damaged"):
        site.run()
    site.require_nothing_left()


def test_what_cannot_be_is_refused_before_a_byte_is_written(site: Site) -> None:
    site.boots(BOOT)
    generation = site.point().generation
    spec = {**generation.spec["spec"], "memory": 2**50}
    with pytest.raises(Refused, match=r"^memory: a drill with .* this host has"):
        point = replace(site.point(), generation=replace(generation, spec={**generation.spec, "spec": spec}))
        site.drill().run(point, DrillRequest(SAYS, memory=2**50))
    forged = {**generation.spec["spec"], "kernel": "/etc/shadow"}
    with pytest.raises(Refused, match=r"says that its kernel is the file /etc/shadow of this host, which not every user"):
        site.run(generation=replace(generation, spec={**generation.spec, "spec": forged}))
    without = {key: value for key, value in generation.spec.items() if key != "recovery"}
    with pytest.raises(InvalidInput, match=r"^recovery\.sign: "):
        site.run(None, generation=replace(generation, spec=without))
    site.require_nothing_left()


def drilling(site: Site) -> int:
    """Start a drill that waits for ever in another process; return its number once the guest runs."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            site.drill(libvirt.open(site.host.uri)).run(site.point(), DrillRequest("never"))
        os._exit(1)
    console = Path(drill_home(site.folders, site.spec.uuid), "console.log")
    until(lambda: console.exists() and SAYS in console.read_text(errors="replace"), "the guest of the drill")
    return child


def test_libvirt_ends_the_vm_of_a_drill_that_was_killed_and_the_next_one_removes_its_files(site: Site) -> None:
    site.boots(BOOT)
    child = drilling(site)
    xml = site.there().XMLDesc()
    assert "<interface" not in xml and site.spec.uuid not in xml.replace(drill_home(site.folders, site.spec.uuid), "").replace(
        f"edge-drill-{site.spec.uuid}", ""
    )
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until(lambda: site.there() is None, "the end of the VM")
    assert Path(drill_home(site.folders, site.spec.uuid)).exists()
    assert site.drill().clean() == [site.spec.uuid]
    site.require_nothing_left()
    assert site.drill().clean() == []


def test_the_next_drill_ends_what_a_killed_libvirtd_and_a_killed_drill_left(site: Site) -> None:
    site.boots(BOOT)
    child = drilling(site)
    os.kill(child, signal.SIGSTOP)
    site.host.kill_libvirtd()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert site.drill().clean() == [site.spec.uuid]
    site.require_nothing_left()
    assert site.run().sign


def test_a_pass_drills_what_is_due_and_one_that_fails_holds_up_no_other(site: Site) -> None:
    site.boots(BOOT)
    other, now = str(uuid.uuid4()), [1000.0]

    def found(vm: str, name: str | None) -> DepotPoint:
        if vm == other:
            raise EdgeError("no such point")
        return site.point(name)

    drills = Drills(site.drill(), found, site.home / "drills", DrillRequest(), lambda: now[0])
    subjects = [Subject("lost", other), Subject("web", site.spec.uuid), Subject("new", str(uuid.uuid4()))]
    held = {other: "0.1", site.spec.uuid: "0.1"}
    drills.due(7, subjects, held.get)
    assert (list(drills.drilled), drills.failed) == (["web"], {"lost": "no such point"})
    good = notes.read(site.home / "drills", site.spec.uuid)
    assert good and (good.good, good.good_generation, good.error) == (1000.0, "0.1", "")
    drills.drilled.clear()
    drills.failed.clear()
    now[0] += 60
    drills.due(7, subjects, held.get)
    assert (drills.drilled, drills.failed) == ({}, {"lost": "no such point"}), "it stays a failure until it is tried again"
    site.require_nothing_left()
