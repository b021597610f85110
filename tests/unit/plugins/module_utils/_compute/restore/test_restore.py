# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs restored by real libvirt and QEMU: the disks of the point, one VM or the other after a kill, and right points afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import libvirt_qemu
import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _generation
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import RecoveryPolicy
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    Cpu,
    Disk,
    DomainSpec,
    Record,
    Volume,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.point import PointMade, PointOrder, Points
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.apply import Restoring
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.model import RestoreRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.reconcile import Restored, Restorer
from ansible_collections.edge.cloud.plugins.module_utils._compute.seed.file import Seed, build_seed
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.plan import SnapshotRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.snapshot.reconcile import Snapshots
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, mark_of, parse_xml, to_text
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Conflict, EdgeError, NoSpace, NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt
from ansible_collections.edge.cloud.plugins.module_utils._points import point_in_depot, point_in_folder
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.merge_plan import Limits
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.tidy import Tidying
from ansible_collections.edge.cloud.plugins.module_utils._storage.store import uses
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import cached
from support.own_libvirt import RELEASES, OwnLibvirt, own_libvirt

pytestmark = [pytest.mark.slow, pytest.mark.integration]
MIB = 2**20
SIZE = 32 * MIB
RUNNER = SubprocessRunner()


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


@pytest.fixture(scope="module", params=RELEASES)
def host(request: pytest.FixtureRequest) -> Iterator[OwnLibvirt]:
    with own_libvirt(request.param) as found:
        yield found


class Killed(BaseException):
    """The end of a run that was killed: nothing of ours tidies up after it."""


@dataclass
class Site:
    """A hypervisor that is a replica too, with the VM ``name``."""

    host: OwnLibvirt
    name: str
    folders: Folders
    points: Points
    spec: DomainSpec
    names: list[str] = field(default_factory=list)

    @property
    def depot(self) -> Path:
        return self.points.root / "points"

    @property
    def tpms(self) -> Path:
        return self.points.tpms

    def domain(self, name: str | None = None) -> Any:
        return self.host.connection.lookupByName(name or self.name)

    def xml(self, name: str | None = None) -> Any:
        return parse_xml(self.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))

    def disks(self, name: str | None = None) -> dict[str, Path]:
        rows = self.xml(name).iterfind("devices/disk[@device='disk']")
        return {row.find("target").get("dev"): Path(row.find("source").get("file")) for row in rows}

    def start(self, name: str | None = None) -> None:
        self.domain(name).create()

    def stop(self, name: str | None = None) -> None:
        self.domain(name).destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)

    def write(self, command: str, target: str = "vda", name: str | None = None) -> None:
        """Write as the guest would."""
        place = f"/machine/peripheral/{self.alias(target, name)}/virtio-backend"
        for one in (command, "flush"):
            said = libvirt_qemu.qemuMonitorCommand(self.domain(name), f'qemu-io -d {place} "{one}"', 1)
            assert "rror" not in said, said

    def alias(self, target: str, name: str | None) -> str:
        tree = parse_xml(self.domain(name).XMLDesc())
        part = next(one for one in tree.iterfind("devices/disk") if one.find("target").get("dev") == target)  # type: ignore[union-attr]
        return str(part.find("alias").get("name"))  # type: ignore[union-attr]

    def point(self) -> PointMade:
        """Make a point, let the replica take it, and keep what the guest reads at that instant."""
        made = self.points.make(self.name, PointOrder())
        if made.folder:
            Intake(Depot(self.depot), QemuImg(RUNNER), Store(Path(self.folders.images))).take(made.folder, self.spec.uuid)
            for target, path in self.disks().items():
                run("qemu-img", "convert", "-U", "-O", "qcow2", str(path), str(self.kept(made.generation.name, target)))
        return made

    def kept(self, generation: str, target: str) -> Path:
        return Path(self.host.folder, f"{self.name}-{generation}-{target}.kept")

    def is_as_at(self, generation: str, name: str | None = None) -> bool:
        def same(target: str, path: Path) -> bool:
            argv = ["qemu-img", "compare", "-U", "-q", str(self.kept(generation, target)), str(path)]
            done = subprocess.run(argv, capture_output=True, check=False)
            assert done.returncode < 2, done.stderr
            return done.returncode == 0

        return all(same(target, path) for target, path in self.disks(name).items())

    def restorer(self, name: str | None = None, generation: str | None = None, **options: Any) -> Restorer:
        point = point_in_depot(self.depot, self.spec.uuid, generation, Path(self.folders.images), RUNNER)
        return self.restorer_of(point, name, generation, **options)

    def restorer_of(self, point: Any, name: str | None = None, generation: str | None = None, **options: Any) -> Restorer:
        request = RestoreRequest(name or self.name, generation, **options)
        if request.name not in self.names:
            self.names.append(request.name)
        parts = (self.host.connection, DiskFiles(RUNNER, self.folders), RUNNER, self.folders, point, request)
        return Restorer(*parts, timeout=0, root=self.points.root, tpms=self.tpms)

    def restore(self, *args: Any, **options: Any) -> Restored:
        return self.restorer(*args, **options).run(check_mode=False)

    def snapshot(self) -> None:
        request = SnapshotRequest("before", "present", now="2026-01-01T00:00:00Z")
        Snapshots(self.host.connection, self.points.tool, self.folders, self.name).run(request, check_mode=False)

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in Path(self.folders.vms).iterdir() if path.name not in self.names)


def _define(host: OwnLibvirt, name: str, tool: DiskFiles) -> DomainSpec:
    """Define a VM with an overlay on an image, a disk of its own and a seed."""
    folders = tool.folders
    digest = cached(Path(folders.images), b"image" * MIB)
    root, data = (Path(folders.vm(name), f"{disk}.qcow2") for disk in ("root", "data"))
    tool.create_overlay(str(root), digest, SIZE)
    tool.create_empty(str(data), SIZE)
    seed = Seed((("meta-data", '{"instance-id": "one", "local-hostname": "web"}'), ("user-data", "#cloud-config\n")))
    build_seed(seed, folders.seed(name), RUNNER)
    disks = (
        Disk("root", str(root), "qcow2", "vda", "virtio"),
        Disk("data", str(data), "qcow2", "vdb", "virtio"),
        Disk("seed", folders.seed(name), "raw", "sda", "sata", read_only=True, device="cdrom"),
    )
    machine = {"virt_type": "qemu", "arch": "x86_64", "machine": "pc-q35-7.2", "memory": 32 * MIB, "vcpus": 1}
    spec = DomainSpec(name, str(uuid.uuid4()), disks=disks, cpu=Cpu("custom", "qemu64"), agent=False, rng=False, **machine)  # type: ignore[arg-type]
    volumes = (Volume("root", str(root), SIZE, digest, folders.image(digest)), Volume("data", str(data), SIZE))
    record = Record(spec, volumes, seed.digest, recovery=RecoveryPolicy(quiesce="never"))
    host.connection.defineXML(to_text(emit(spec, record)))
    return spec


@pytest.fixture
def site(host: OwnLibvirt) -> Iterator[Site]:
    """A VM that has the points 0.1 and 0.2, and was written to and stopped since."""
    name = f"web{uuid.uuid4().hex[:8]}"
    home = host.folder / name
    folders = Folders(*(str(home / part) for part in ("vms", "images", "locks")))
    for path in (folders.vm(name), folders.images, folders.locks, str(home / "tpms")):
        Path(path).mkdir(parents=True)
    tool = DiskFiles(RUNNER, folders)
    points = Points(host.connection, tool, folders, home / "recovery", host.folder / "none", home / "tpms")
    found = Site(host, name, folders, points, _define(host, name, tool), [name])
    try:
        found.start()
        found.write("write -P 2 64k 64k")
        found.write("write -P 4 5M 64k", "vdb")
        assert found.point().generation.name == "0.1"
        found.write("write -P 5 1M 64k")
        assert found.point().generation.name == "0.2"
        found.write("write -P 9 0 8M")
        found.write("write -P 9 0 8M", "vdb")
        found.stop()
        yield found
    finally:
        for one in found.names:
            with suppress(libvirt.libvirtError):
                if found.domain(one).isActive():
                    found.domain(one).destroy()
                found.domain(one).undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
        shutil.rmtree(home)


def test_in_place_has_the_disks_of_the_point_and_sets_the_old_ones_aside(site: Site) -> None:
    home = Path(site.folders.vm(site.name))
    old = {path.name: path.stat().st_ino for path in home.iterdir()}
    seed = Path(site.folders.seed(site.name)).read_bytes()
    planned = site.restorer(generation="0.1", in_place=True).run(check_mode=True)
    assert {path.name: path.stat().st_ino for path in home.iterdir()} == old and site.leftovers() == []
    made = site.restore(generation="0.1", in_place=True)
    assert (made.plan.actions, made.aside) == (planned.plan.actions, planned.aside)
    assert made.domain == planned.domain
    assert made.aside == f"{site.folders.vms}/.{site.name}.before-0.1"
    assert {path.name: path.stat().st_ino for path in Path(made.aside).iterdir()} == old
    assert site.is_as_at("0.1") and not site.is_as_at("0.2")
    assert site.disks() == {"vda": home / "root.qcow2", "vdb": home / "data.qcow2"}
    assert {path.name for path in home.iterdir()} == {"root.qcow2", "data.qcow2", "seed.iso"}
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}
    assert (home.stat().st_mode & 0o777, {path.stat().st_nlink for path in home.iterdir()}) == (0o711, {1})
    assert Path(site.folders.seed(site.name)).read_bytes() == seed
    assert site.domain().UUIDString() == site.spec.uuid
    assert site.leftovers() == [Path(made.aside).name]
    image = next(Path(site.folders.images).glob("*.qcow2"))
    assert {str(one) for one in uses.look([Path(site.folders.vms)]).users_of(image)} >= {
        f"{home}/root.qcow2",
        f"{made.aside}/root.qcow2",
    }
    again = site.restore(generation="0.1", in_place=True)
    assert (again.plan.changed, again.domain, again.aside) == (False, made.domain, None)
    site.start()
    assert not site.restore(generation="0.1", in_place=True).plan.changed, "what it wrote since stays"


@pytest.mark.parametrize("policy", [RecoveryPolicy(interval=60, keep=9, sign="login:"), None])
def test_in_place_keeps_what_the_vm_asks_of_points_now(site: Site, policy: RecoveryPolicy | None) -> None:
    record = mark_of(site.xml())
    assert record and record.recovery == RecoveryPolicy(quiesce="never"), "as in its points"
    site.host.connection.defineXML(to_text(emit(record.spec, replace(record, recovery=policy))))
    planned = site.restorer(generation="0.1", in_place=True).run(check_mode=True)
    made = site.restore(generation="0.1", in_place=True)
    assert made.domain == planned.domain and site.is_as_at("0.1")
    found = mark_of(site.xml())
    assert found and (found.recovery, found.restored_from) == (policy, f"{site.spec.uuid} 0.1")
    site.restore(f"{site.name}-new", generation="0.1")
    new = mark_of(site.xml(f"{site.name}-new"))
    assert new and new.recovery == RecoveryPolicy(quiesce="never"), "a new VM has that of the point"


def test_the_point_after_a_restore_has_what_the_guest_reads(site: Site) -> None:
    site.restore(generation="0.1", in_place=True)
    site.start()
    site.write("write -P 7 3M 64k")
    after = site.point()
    assert (after.generation.name, after.generation.previous) == ("0.3", 2)
    assert "no point or checkpoint" in after.whole
    site.write("write -P 8 4M 64k")
    last = site.point()
    assert (last.generation.name, last.whole) == ("0.4", "")
    site.write("write -P 9 6M 64k")
    site.stop()
    assert not site.is_as_at("0.4")
    site.restore(generation="0.4", in_place=True)
    assert site.is_as_at("0.4")
    site.restore(f"{site.name}-b", generation="0.3")
    assert site.is_as_at("0.3", f"{site.name}-b")


def test_a_new_vm_has_names_of_its_own_while_the_other_runs(site: Site) -> None:
    site.start()
    name = f"{site.name}-new"
    planned = site.restorer(name).run(check_mode=True)
    made = site.restore(name)
    assert (made.plan.actions, made.domain, made.aside) == (planned.plan.actions, planned.domain, None)
    assert site.is_as_at("0.2", name)
    assert site.domain(name).UUIDString() != site.spec.uuid
    record = mark_of(site.xml(name))
    assert record and record.restored_from == f"{site.spec.uuid} 0.2" and record.recovery == RecoveryPolicy(quiesce="never")
    assert f"{site.folders.vm(site.name)}/" not in site.domain(name).XMLDesc()
    assert not site.restore(name).plan.changed and not site.restore(name, generation="0.2").plan.changed
    with pytest.raises(Conflict, match=r"was restored from 0\.2 .* Choose another name"):
        site.restore(name, generation="0.1")
    site.start(name)
    site.stop(name)


def test_a_vm_whose_host_is_lost_is_made_again_of_its_point(site: Site) -> None:
    site.domain().undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    shutil.rmtree(site.folders.vm(site.name))
    shutil.rmtree(site.points.root / "outgoing")
    made = site.restore(in_place=True)
    assert made.aside is None and site.is_as_at("0.2")
    assert site.domain().UUIDString() == site.spec.uuid
    site.start()
    assert site.point().generation.name == "0.3"


def test_a_folder_with_all_files_is_enough(site: Site) -> None:
    whole = site.points.home(site.spec.uuid) / "0.1"
    part = site.points.home(site.spec.uuid) / "0.2"
    images = Path(site.folders.images)
    with pytest.raises(NotFound, match=r"folder: .* lacks \d files? of 0\.2"):
        point_in_folder(part, None, None, images, RUNNER)
    point = point_in_folder(whole, site.name, "0.1", images, RUNNER)
    site.restorer_of(point, in_place=True).run(check_mode=False)
    assert site.is_as_at("0.1")
    delta = max(whole.iterdir(), key=lambda path: path.stat().st_size)
    with delta.open("r+b") as file:
        file.seek(70000)
        file.write(b"bad")
    name = f"{site.name}-bad"
    with pytest.raises(EdgeError, match="digest"):
        site.restorer_of(point, name).run(check_mode=False)
    assert not Path(site.folders.vm(name)).exists() and len(site.leftovers()) == 1


def test_what_cannot_be_is_refused_before_anything_changes(site: Site) -> None:
    with pytest.raises(NotFound, match=r"generation 0\.7 .* it has 0\.1, 0\.2"):
        site.restore(generation="0.7", in_place=True)
    with pytest.raises(Conflict, match="Choose another name, or restore the VM itself with in_place"):
        site.restore()
    with pytest.raises(Conflict, match=r"0\.2 is a recovery point of the VM"):
        site.restore("other", in_place=True)
    site.start()
    with pytest.raises(Refused, match=r"in_place: .* is running"):
        site.restore(in_place=True)
    site.stop()
    home = Path(site.folders.vm(site.name))
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in home.iterdir()}
    restorer = site.restorer(in_place=True)
    huge = replace(restorer.point, generation=_huge(restorer.point.generation))  # type: ignore[type-var]
    with pytest.raises(NoSpace):
        replace(restorer, point=huge).run(check_mode=False)
    for request in (restorer, site.restorer(f"{site.name}-new")):
        forged = replace(restorer.point, generation=_with_initrd(restorer.point.generation, "/etc/shadow"))  # type: ignore[type-var]
        with pytest.raises(Refused, match=r"says that its initrd is the file /etc/shadow of this host, which not every user"):
            replace(request, point=forged).run(check_mode=False)
    image = next(Path(site.folders.images).glob("*.json"))
    image.rename(image.with_suffix(".away"))
    with pytest.raises(NotFound, match=r"stands on images that are not in .* Import or pull them first"):
        site.restore(in_place=True)
    image.with_suffix(".away").rename(image)
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in home.iterdir()} == before
    assert site.leftovers() == []


def _huge(generation: _generation.Generation) -> _generation.Generation:
    disk = generation.disks[0]
    delta = replace(disk.chain[-1], size=2**60)
    return replace(generation, disks=(replace(disk, chain=(*disk.chain[:-1], delta)), *generation.disks[1:]))


def _with_initrd(generation: _generation.Generation, path: str) -> _generation.Generation:
    spec = {**generation.spec["spec"], "initrd": path}
    return replace(generation, spec={**generation.spec, "spec": spec})


def test_a_damaged_point_leaves_the_vm_as_it_is(site: Site) -> None:
    home = Path(site.folders.vm(site.name))
    before = {path.name: path.stat().st_ino for path in home.iterdir()}
    depot = Depot(site.depot)
    delta = depot.path_of(site.spec.uuid, depot.find(site.spec.uuid, "0.1").disks[0].chain[0].digest)
    with delta.open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"bad")
    with pytest.raises(EdgeError, match="damaged"):
        site.restore(generation="0.1", in_place=True)
    assert {path.name: path.stat().st_ino for path in home.iterdir()} == before
    assert site.leftovers() == []
    site.start()


def test_snapshots_set_aside_stand_on_their_own_files(site: Site) -> None:
    site.snapshot()
    site.start()
    site.write("write -P 6 9M 64k")
    site.stop()
    (top,) = [path for target, path in site.disks().items() if target == "vda"]
    kept = site.host.folder / f"{site.name}-top"
    run("qemu-img", "convert", "-O", "qcow2", str(top), str(kept))
    made = site.restore(generation="0.2", in_place=True)
    assert site.is_as_at("0.2")
    assert "identical" in run("qemu-img", "compare", str(kept), f"{made.aside}/{top.name}")
    assert (
        json.loads(run("qemu-img", "info", "--output=json", f"{made.aside}/{top.name}"))["backing-filename"]
        == f"{made.aside}/root.qcow2"
    )


STEPS = [
    ("_restore_disk", "after", 1),
    ("_restore_file", "after", 1),
    ("_define_beside", "before", 1),
    ("_give_name", "after", 1),
    ("_define", "after", 1),
    ("_set_aside", "before", 1),
    ("_set_aside", "after", 1),
    ("_settle_leases", "before", 2),
    ("_settle_leases", "after", 2),
    ("_define", "after", 2),
    ("forget", "before", 1),
    ("forget", "after", 1),
]


@pytest.mark.parametrize(("step", "when", "time"), STEPS)
def test_a_kill_leaves_the_one_vm_or_the_other_and_the_next_run_finishes(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str, when: str, time: int
) -> None:
    killed_at(monkeypatch, step, when, time)
    old = {target: path.stat().st_ino for target, path in site.disks().items()}
    with pytest.raises(Killed):
        site.restore(generation="0.1", in_place=True)
    monkeypatch.undo()
    is_old = {target: path.stat().st_ino for target, path in site.disks().items()} == old
    assert is_old != site.is_as_at("0.1"), "the disks are all of the one or all of the other"
    site.start()
    site.stop()
    if _begun(site):
        with pytest.raises(Conflict, match="finish it first"):
            site.restore(generation="0.2", in_place=True)
    site.restore(generation="0.1", in_place=True)
    assert site.is_as_at("0.1")
    home = Path(site.folders.vm(site.name))
    assert site.disks() == {"vda": home / "root.qcow2", "vdb": home / "data.qcow2"}
    assert {path.name for path in home.iterdir()} == {"root.qcow2", "data.qcow2", "seed.iso"}
    asides = [Path(site.folders.vms, one) for one in site.leftovers()]
    assert all(one.name.startswith(f".{site.name}.before-") for one in asides)
    assert any(
        {target: Path(one, f"{disk}.qcow2").stat().st_ino for target, disk in (("vda", "root"), ("vdb", "data"))} == old
        for one in asides
    )
    site.start()


def _begun(site: Site) -> bool:
    return any(path.parent.name.startswith(".restored-") for path in site.disks().values())


def killed_at(monkeypatch: pytest.MonkeyPatch, step: str, when: str = "after", time: int = 1) -> None:
    """End a run at a step, the first or a later time, as a kill would: nothing after it runs, not even what tidies up."""
    real, seen = getattr(Restoring, step), []

    def ends(self: Restoring, *args: Any) -> None:
        seen.append(step)
        if when == "after" or len(seen) < time:
            real(self, *args)
        if len(seen) < time:
            return
        self.committed = True  # so that nothing is removed on the way out, as after a kill
        raise Killed

    monkeypatch.setattr(Restoring, step, ends)


@pytest.mark.parametrize("step", ["_restore_disk", "_give_name", "_put_tpm", "_define", "forget"])
def test_a_kill_of_a_new_vm_leaves_none_or_what_the_next_run_defines(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    name = f"{site.name}-new"
    killed_at(monkeypatch, step)
    with pytest.raises(Killed):
        site.restore(name)
    monkeypatch.undo()
    site.restore(name)
    assert site.is_as_at("0.2", name)
    assert site.leftovers() == []
    assert {path.name for path in Path(site.folders.vm(name)).iterdir()} == {"root.qcow2", "data.qcow2", "seed.iso"}


def test_another_task_waits_for_the_end_of_a_restore(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(monkeypatch, "_set_aside")
    with pytest.raises(Killed):
        site.restore(generation="0.1", in_place=True)
    monkeypatch.undo()
    with pytest.raises(Busy, match=r"run edge\.cloud\.recovery_point again"):
        site.points.make(site.name, PointOrder())
    site.start()
    with pytest.raises(Refused, match="is running"):
        site.restore(generation="0.1", in_place=True)
    site.stop()
    site.restore(generation="0.1", in_place=True)
    assert site.point().folder


def test_a_point_that_was_merged_meanwhile_is_restored(site: Site) -> None:
    restorer = site.restorer(f"{site.name}-new", "0.2")
    Tidying(Depot(site.depot), QemuImg(RUNNER), Limits(keep=2, longest=1), Store(Path(site.folders.images))).run()
    restorer.run(check_mode=False)
    assert site.is_as_at("0.2", f"{site.name}-new")
