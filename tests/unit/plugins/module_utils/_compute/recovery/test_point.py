# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points of real guests: they have what the disks had, whatever happens to QEMU, libvirt or the VM between them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import libvirt_qemu
import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _generation
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.backup_job import PushBackup
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.block_job import JobLimits
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.point_job import has_point_job
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Disk, DomainSpec, Record
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.checkpoints import Checkpoints
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointMade, PointOrder, Points
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.plan import SnapshotRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.reconcile import Snapshots
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, to_text
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, EdgeError, NoSpace, Refused
from ansible_collections.edge.cloud.plugins.module_utils._files import RESERVE, free_bytes
from ansible_collections.edge.cloud.plugins.module_utils._generation import Generation
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from support.own_libvirt import RELEASES, OwnLibvirt, own_libvirt, qemu_of
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.integration]
MIB, CLUSTER = 2**20, 65536
SIZE = 32 * MIB
TARGETS = ("vda", "vdb")


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


@pytest.fixture(scope="module", params=RELEASES)
def host(request: pytest.FixtureRequest) -> Iterator[OwnLibvirt]:
    with own_libvirt(request.param) as found:
        yield found


@dataclass(frozen=True)
class SlowDisks(DiskFiles):
    """The tools, of which the one that reads a running guest's disk does not begin while ``waits()``."""

    waits: Callable[[], bool] = bool

    def compare_disk(self, path: str, size: int, source: Mapping[str, Any] | str, image: str | None) -> None:
        until(lambda: not self.waits(), "the end of libvirt's job")
        super().compare_disk(path, size, source, image)


@dataclass
class Guest:
    """A VM with an overlay on an image and a disk of its own; ``write`` is what its system would write."""

    host: OwnLibvirt
    name: str
    points: Points
    spec: DomainSpec
    image: Path

    @property
    def domain(self) -> Any:
        return self.host.connection.lookupByName(self.name)

    def start(self) -> None:
        self.domain.create()

    def starts(self) -> bool:
        with suppress(libvirt.libvirtError):
            self.start()
        return bool(self.domain.isActive())

    def stop(self) -> None:
        self.domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)

    def kill(self) -> None:
        os.kill(qemu_of(self.name), signal.SIGKILL)
        until(lambda: not self.domain.isActive(), "the end of the guest")

    def write(self, command: str, target: str = "vda") -> None:
        """Write as the guest would; what failed is told by QEMU's own output alone, so that data is read again."""
        place = f"/machine/peripheral/{self.part(target, 'alias name')}/virtio-backend"
        for one in (command, "flush"):
            said = libvirt_qemu.qemuMonitorCommand(self.domain, f'qemu-io -d {place} "{one}"', 1)
            assert "rror" not in said, said
        if command.startswith("write -P "):
            run("qemu-io", "-r", "-U", "-f", "qcow2", "-c", command.replace("write", "read"), str(self.active(target)))

    def make(self, **options: Any) -> PointMade:
        made = self.points.make(self.name, PointOrder(**options))
        if made.folder:
            assert _generation.parse((made.folder / _generation.DOCUMENT).read_bytes(), "it") == made.generation
            assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}
            self.check(made.generation)
            self.replicate()
        return made

    def replicate(self) -> None:
        """Let a replica take all points that it does not have, in their order."""
        home = self.points.home(self.spec.uuid)
        intake = Intake(Depot(self.host.folder / "depot"), QemuImg(SubprocessRunner()))
        for name in sorted((path.name for path in home.glob("[0-9]*")), key=_generation.point_of):
            assert intake.take(home / name, self.spec.uuid).generation.name == name

    def begun(self) -> tuple[threading.Thread, list[Any]]:
        """Make a point in a thread, and return while it is made: it is not read on until libvirt's job has ended."""
        outcome: list[Any] = []
        tool = SlowDisks(SubprocessRunner(), self.points.folders, waits=lambda: has_point_job(self.domain))
        points = replace(self.points, tool=tool)

        def work() -> None:
            try:
                outcome.append(points.make(self.name, PointOrder()))
            except EdgeError as error:
                outcome.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        until(lambda: outcome or has_point_job(self.domain), "the copy")
        assert not outcome, outcome
        return thread, outcome

    def check(self, generation: Generation) -> None:
        """Compare each disk as the point has it with what the guest reads now."""
        for disk in generation.disks:
            both = [f"json:{json.dumps(one)}" for one in (self.stack(disk), _node(self.active(disk.target)))]
            assert "identical" in run("qemu-img", "compare", "-U", *both)

    def stack(self, disk: _generation.Disk) -> dict[str, Any] | None:
        below: dict[str, Any] | None = _node(self.image) if disk.image else None
        for delta in disk.chain:
            below = {**_node(self.file(delta.digest)), "backing": below}
        return below

    def file(self, digest: str) -> Path:
        return next(self.points.home(self.spec.uuid).glob(f"*/{_generation.file_name(digest)}"))

    def active(self, target: str) -> Path:
        return Path(self.part(target, "source file"))

    def part(self, target: str, what: str) -> str:
        part = next(one for one in self.domain.XMLDesc().split("<disk ")[1:] if f"<target dev='{target}'" in one)
        return part.split(f"<{what}='")[1].split("'")[0]

    def data(self, made: PointMade, target: str = "vda") -> int:
        """Return how many bytes of a disk the newest delta of a point says anything about."""
        disk = made.generation.disk(target)
        assert disk
        rows = json.loads(run("qemu-img", "map", "--output=json", "-f", "qcow2", str(self.file(disk.chain[-1].digest))))
        return sum(row["length"] for row in rows if row.get("present", True))

    @property
    def checkpoints(self) -> tuple[str, ...]:
        return Checkpoints(self.domain).names()

    def snapshot(self, state: str) -> None:
        request = SnapshotRequest("before", state, now="2026-01-01T00:00:00Z", allow_restart=True)
        Snapshots(self.host.connection, self.points.tool, self.points.folders, self.name).run(request, check_mode=False)


def _node(path: Path) -> dict[str, Any]:
    return {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}}


@pytest.fixture
def guest(host: OwnLibvirt) -> Iterator[Guest]:
    """A VM that was never started."""
    name = f"web{uuid.uuid4().hex[:8]}"
    home = host.folder / name
    folders = Folders(*(str(home / part) for part in ("vms", "images", "locks")))
    for path in (folders.vm(name), folders.images, folders.locks):
        Path(path).mkdir(parents=True)
    image = Path(folders.images, f"{'ab' * 32}.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", str(image), "16M")
    run("qemu-io", "-c", "write -P 1 0 4M", str(image))
    root, data = (Path(folders.vm(name), f"{disk}.qcow2") for disk in ("root", "data"))
    how = ("-o", "extended_l2=on,cluster_size=128k")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", *how, str(root), str(SIZE))
    run("qemu-img", "create", "-q", "-f", "qcow2", str(data), str(SIZE))
    pairs = zip((root, data), TARGETS, strict=True)
    disks = [Disk(path.stem, str(path), "qcow2", target, "virtio", discard="unmap") for path, target in pairs]
    machine = {"virt_type": "qemu", "arch": "x86_64", "machine": "q35", "memory": 32 * MIB, "vcpus": 1, "cpu": Cpu("none")}
    spec = DomainSpec(name, str(uuid.uuid4()), disks=tuple(disks), agent=False, rng=False, **machine)  # type: ignore[arg-type]
    record = Record(spec, recovery=RecoveryPolicy(quiesce="never"))
    host.connection.defineXML(to_text(emit(spec, record)))
    tool = DiskFiles(SubprocessRunner(), folders)
    points = Points(host.connection, tool, folders, home / "r", host.folder / "none", host.folder / "none")
    found = Guest(host, name, points, spec, image)
    try:
        yield found
    finally:
        if found.domain.isActive():
            found.domain.destroy()
        found.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)


def test_each_point_has_what_changed_since_the_one_before_whether_the_vm_runs_or_not(guest: Guest) -> None:
    with vm_lock(guest.points.folders.lock(guest.name), guest.name, 0):
        guest.points.born(guest.name)
    guest.start()
    for command in ("write -P 2 64k 64k", "write -z 1M 64k", "discard 2M 128k", "write -P 3 20M 4k", "write -z -u 3M 64k"):
        guest.write(command)
    guest.write("write -P 4 5M 64k", "vdb")
    first = guest.make()
    assert (first.whole, first.generation.name, first.generation.previous) == ("", "0.1", None)
    assert guest.data(first) == 6 * CLUSTER
    assert guest.data(first, "vdb") == CLUSTER
    guest.write("write -P 5 64k 4k")
    guest.write("discard 5M 64k", "vdb")
    second = guest.make()
    assert (second.whole, second.generation.name, second.generation.previous) == ("", "0.2", 1)
    assert (guest.data(second), guest.data(second, "vdb")) == (CLUSTER, CLUSTER)
    assert len(guest.checkpoints) == 1
    guest.write("write -P 6 7M 64k")
    guest.stop()
    final = guest.make(final=True)
    assert (final.whole, final.generation.name, final.generation.final) == ("", "0.3", True)
    assert guest.data(final) == CLUSTER
    assert [len(disk.chain) for disk in final.generation.disks] == [3, 3]
    again = guest.make(final=True)
    assert (again.generation, again.folder) == (final.generation, None)
    guest.start()
    guest.write("write -P 7 8M 64k")
    fourth = guest.make()
    assert (fourth.whole, guest.data(fourth)) == ("", CLUSTER)


@pytest.mark.parametrize("running", [True, False])
def test_a_killed_qemu_loses_its_bitmaps_and_the_next_point_has_all_above_the_images(guest: Guest, running: bool) -> None:
    with vm_lock(guest.points.folders.lock(guest.name), guest.name, 0):
        guest.points.born(guest.name)
    guest.start()
    guest.write("write -P 2 64k 64k")
    guest.make()
    guest.write("write -P 3 1M 64k")
    guest.write("write -P 4 9M 64k", "vdb")
    guest.kill()
    if running:
        guest.start()
        guest.write("discard 0 128k")
    made = guest.make()
    assert "bitmap" in made.whole
    assert guest.data(made) == (3 if running else 2) * CLUSTER
    assert [len(disk.chain) for disk in made.generation.disks] == [1, 1]
    assert (made.generation.name, made.generation.previous) == ("0.2", 1)
    if not running:
        guest.start()
    guest.domain.blockResize("vda", SIZE + MIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    guest.write(f"write -P 5 {SIZE} 64k")
    after = guest.make()
    assert (after.whole, guest.data(after), guest.data(after, "vdb")) == ("", CLUSTER, 0)
    assert len(guest.checkpoints) == 1


def test_a_qemu_killed_during_a_point_leaves_the_points_before(guest: Guest) -> None:
    guest.start()
    first = guest.make()
    assert "no point" in first.whole
    guest.write("write -P 2 0 4M")
    guest.kill()
    guest.start()
    thread, outcome = guest.begun()
    guest.kill()
    thread.join()
    assert isinstance(outcome[0], EdgeError), outcome
    home = guest.points.home(guest.spec.uuid)
    assert {path.name for path in home.iterdir()} == {"0.1", "journal.json"}
    guest.start()
    made = guest.make()
    assert (bool(made.whole), made.generation.name) == (True, "0.2")


def test_a_point_gives_way_to_a_snapshot_and_points_follow_the_disk_through_it(guest: Guest) -> None:
    guest.start()
    guest.write("write -P 2 0 4M")
    thread, outcome = guest.begun()
    guest.snapshot("present")
    thread.join()
    assert isinstance(outcome[0], Busy), outcome
    first = guest.make()
    assert "no point" in first.whole
    guest.write("write -P 3 5M 64k")
    guest.snapshot("absent")
    second = guest.make()
    assert (second.whole, guest.data(second)) == ("", CLUSTER)
    guest.write("write -P 4 6M 64k")
    guest.snapshot("present")
    guest.write("write -P 5 7M 64k")
    third = guest.make()
    assert (third.whole, guest.data(third)) == ("", 2 * CLUSTER)
    guest.snapshot("reverted")
    fourth = guest.make()
    assert "bitmap" in fourth.whole
    assert guest.checkpoints == guest.checkpoints[:1]


def test_a_stopped_vm_that_changed_but_for_its_blocks_has_another_point(guest: Guest) -> None:
    first = guest.make(final=True)
    assert guest.make(final=True).folder is None
    record = Record(replace(guest.spec, memory=48 * MIB), recovery=RecoveryPolicy(quiesce="never"))
    guest.host.connection.defineXML(to_text(emit(record.spec, record)))
    second = guest.make(final=True)
    assert (second.whole, second.generation.spec) == ("", json.loads(record.to_json()))
    assert first.generation.spec != second.generation.spec
    assert guest.data(second) == 0
    run("qemu-img", "resize", "-q", "-f", "qcow2", str(guest.active("vdb")), str(2 * SIZE))
    longer = guest.make(final=True)
    assert [disk.virtual_size for disk in longer.generation.disks] == [SIZE, 2 * SIZE]
    assert guest.make(final=True).folder is None


def test_a_redefined_domain_goes_on_with_its_bitmaps(guest: Guest) -> None:
    guest.start()
    guest.make()
    guest.write("write -P 2 64k 64k")
    guest.stop()
    text = guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    guest.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    guest.host.connection.defineXML(text)
    guest.start()
    guest.write("write -P 3 1M 64k")
    made = guest.make()
    assert (made.whole, guest.data(made)) == ("", 2 * CLUSTER)


def test_what_libvirt_and_qemu_have_of_unknown_points_is_removed(guest: Guest) -> None:
    for disk in guest.spec.disks:
        guest.points.tool.add_bitmap(disk.path, "edge-point-lost")  # type: ignore[attr-defined]
        guest.points.tool.add_bitmap(disk.path, "others")  # type: ignore[attr-defined]
    Checkpoints(guest.domain).define("edge-point-alone", TARGETS)
    guest.start()
    guest.make()
    guest.stop()
    made = guest.checkpoints
    assert len(made) == 1
    assert set(guest.points.tool.bitmaps(guest.spec.disks[0].path)) == {made[0], "others"}


def test_an_older_epoch_is_refused_and_a_newer_one_goes_on_with_the_chain(guest: Guest) -> None:
    guest.start()
    guest.make(epoch=3)
    guest.write("write -P 2 1M 64k")
    with pytest.raises(Refused, match=r"^epoch: .* has a point of epoch 3"):
        guest.make(epoch=2)
    made = guest.make(epoch=4)
    assert (made.whole, made.generation.name, made.generation.previous, guest.data(made)) == ("", "4.2", 1, CLUSTER)
    later = guest.make(epoch=4, after=9)
    assert (later.generation.name, later.generation.previous) == ("4.10", 2)
    assert "replicas have a newer point" in later.whole


def test_a_policy_without_room_for_the_next_point_names_its_budget(guest: Guest) -> None:
    guest.start()
    guest.make()
    guest.write("write -P 2 0 4M")
    with pytest.raises(NoSpace, match=r"^recovery\.budget: "):
        guest.make(policy=RecoveryPolicy(quiesce="never", budget=4 * MIB))
    assert guest.make().whole == ""


def test_a_host_disk_that_fills_ends_the_point_and_not_the_guest(guest: Guest) -> None:
    guest.points = replace(guest.points, root=guest.host.small / guest.name)
    guest.start()
    guest.write("write -P 2 0 4M")
    thread, outcome = guest.begun()
    filler = guest.host.small / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(guest.host.small))
    for target in TARGETS:  # all of both disks has to be copied first, with no byte of the host's disk free
        guest.write(f"write -P 3 0 {SIZE}", target)
    thread.join()
    assert isinstance(outcome[0], NoSpace), outcome
    guest.write("write -P 4 8M 64k")
    assert guest.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert not has_point_job(guest.domain)
    with pytest.raises(NoSpace):
        guest.make()
    filler.unlink()
    made = guest.make()
    assert made.generation.name == "0.1"
    guest.write("write -P 5 8M 64k")
    with filler.open("wb") as file:  # less than the next point may need, and more than the reserve
        os.posix_fallocate(file.fileno(), 0, free_bytes(guest.host.small) - RESERVE - MIB)
    with pytest.raises(NoSpace):
        guest.make()
    filler.unlink()
    assert guest.make().whole == ""


def test_a_copy_of_a_disk_can_be_ended_while_its_end_is_waited_for(guest: Guest) -> None:
    guest.start()
    backup = PushBackup(guest.host.connection, guest.domain, guest.host.folder / "frozen", JobLimits(1))
    with backup._events():
        backup._abort()


def test_a_libvirtd_killed_during_a_point_leaves_the_guest_and_the_points_before(guest: Guest) -> None:
    guest.start()
    guest.make()
    guest.write("write -P 2 0 4M")
    guest.kill()
    guest.start()
    thread, outcome = guest.begun()
    guest.host.kill_libvirtd()
    guest.points = replace(guest.points, connection=guest.host.connection)
    assert guest.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    thread.join()
    assert isinstance(outcome[0], EdgeError), outcome
    guest.write("write -P 3 6M 64k")
    assert guest.make().generation.name == "0.2"
    assert len(guest.checkpoints) == 1


ALONE = """
import sys, libvirt
from pathlib import Path
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointOrder, Points
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
uri, name, root, *folders = sys.argv[1:]
with EventLoop():
    tool = DiskFiles(SubprocessRunner(), Folders(*folders))
    Points(libvirt.open(uri), tool, tool.folders, Path(root), Path(root), Path(root)).make(name, PointOrder())
"""


@pytest.mark.parametrize("running", [True, False])
def test_a_point_whose_program_is_killed_anywhere_is_finished_or_undone(guest: Guest, running: bool) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance, folders = random.Random(seed), guest.points.folders
    guest.start()
    guest.make()
    words = [sys.executable, "-c", ALONE, guest.host.uri, guest.name, str(guest.points.root)]
    for number in range(6):
        guest.write(f"write -P {number + 20} {chance.randrange(200)}k 64k", chance.choice(TARGETS))
        if not running:
            guest.stop()
        began = time.monotonic()
        child = subprocess.Popen([*words, folders.vms, folders.images, folders.locks])
        work = guest.points.home(guest.spec.uuid) / "journal.json"
        before = work.stat().st_mtime_ns
        until(lambda: child.poll() is not None or work.stat().st_mtime_ns != before)  # noqa: B023 - it is called in the loop
        time.sleep(chance.random() * (time.monotonic() - began) / 2)
        child.kill()
        child.wait()
        if not running:
            until(guest.starts, "the end of what the killed program had begun")
        guest.write(f"write -P {number + 40} {chance.randrange(200)}k 64k", chance.choice(TARGETS))
        guest.make()
        assert len(guest.checkpoints) == 1
