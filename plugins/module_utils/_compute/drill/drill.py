# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One drill: a recovery point becomes a VM that libvirt forgets, on files of its own, until its sign; then all of it goes.

The VM is transient, and libvirt ends it with our connection. What else a killed run leaves has names that the next run finds:
``edge-drill-UUID``, ``.drill-UUID`` among the folders of VMs, and the state of its TPM.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ... import _files
from ..._errors import Refused
from ..._libvirt import intent, libvirt
from ..._sizes import GIB, MIB, show_size
from ..host.view import free_memory
from ..model.host_facts import Folders
from ..model.spec import CONTEXT, SEED, DomainSpec
from ..restore.check import require_images
from ..restore.host_files import check_boot_files
from ..restore.record import record_of
from ..restore.tool import PointSource, RestoreTool
from ..restore.tpm_state import owner_of_state, put_state
from ..xml.domain import parse_xml, to_text
from .isolated import CONSOLE, PREFIX, drill_home, drill_name, drill_spec, drill_uuid, drill_xml, left_out
from .sign import Sign

MEMORY = 2 * GIB
OVERHEAD, SPARE_MEMORY = 256 * MIB, 512 * MIB  # what QEMU takes beside the guest's memory, and what stays free for others
SPARE = GIB  # bytes of disk for what the guest writes while it boots; it may take more where there is more, half of what is free
SECONDS = 600


@dataclass(frozen=True)
class DrillRequest:
    """``text`` on the console is the sign, with None what the VM's policy says; ``seconds`` for it, at most ``memory`` bytes.

    ``room`` is how many bytes of disk the guest may take meanwhile, with None what ``SPARE`` says.
    """

    text: str | None = None
    seconds: float = SECONDS
    memory: int = MEMORY
    room: int | None = None


@dataclass(frozen=True)
class Drilled:
    """A drill that was well: of which point, by which sign, after how many seconds, and the disks that it did without."""

    generation: str
    sign: str
    seconds: float
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drill:
    """The drills of one connection. The caller holds their lock, so that one runs at a time."""

    connection: Any
    tool: RestoreTool
    folders: Folders
    tpms: Path = Path("/var/lib/libvirt/swtpm")

    def clean(self) -> list[str]:
        """Remove what killed runs left; return the UUIDs of their VMs."""
        folders = (path.name.removeprefix(".drill-").removesuffix(".point") for path in Path(self.folders.vms).glob(".drill-*"))
        found = {*folders, *self._running()}
        for uuid in found:
            self._remove(uuid)
        return sorted(found)

    def run(self, point: PointSource, request: DrillRequest) -> Drilled:
        """Drill a point; raise an error where it cannot be tried, or does not come up. Nothing of it is left."""
        generation = point.generation
        record = record_of(generation)
        text = request.text or (record.recovery.sign if record.recovery else None)
        spec, sign = drill_spec(record, generation, self.folders, request.memory), Sign(text)
        check_boot_files(spec, generation, self._own(generation.vm.uuid))
        root = drill_xml(spec, self.folders, generation.vm.uuid)
        sign.require_possible(spec)
        self._require_memory(spec)
        self._require_room(point)
        if spec.tpm:
            owner_of_state(self.tpms, spec.uuid)
        for digest in self._missing(point):
            self.tool.pull(digest)
        home = Path(drill_home(self.folders, generation.vm.uuid))
        with self._files(point, spec):
            bound = _bound(home, request.room, sign)
            with self._started(root, spec) as domain:
                passed = sign.wait(domain, home / CONSOLE, request.seconds, bound)
        return Drilled(generation.name, str(sign), passed, left_out(record, spec))

    def _own(self, uuid: str) -> Element | None:
        """Return the XML of the VM itself, None where this host does not have it."""
        with suppress(libvirt.libvirtError):
            return parse_xml(self.connection.lookupByUUIDString(uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        return None

    def _missing(self, point: PointSource) -> tuple[str, ...]:
        for error in require_images(point, self.tool).values():
            raise error
        return point.missing_images()

    def _require_memory(self, spec: DomainSpec) -> None:
        free, needed = free_memory(self.connection), spec.memory + OVERHEAD + SPARE_MEMORY
        if free is not None and free < needed:
            raise Refused(
                f"memory: a drill with {show_size(spec.memory)} needs {show_size(needed)} free, so that others keep theirs, and "
                f"this host has {show_size(free)}; give it less by --memory, or run it where there is more.",
                option="memory",
                value=spec.memory,
                found=free,
            )

    def _require_room(self, point: PointSource) -> None:
        generation = point.generation
        deltas = sum(delta.size for disk in generation.disks for delta in disk.chain) * point.room_factor()
        there = _files.nearest_folder(Path(self.folders.vms))
        self.tool.require_room(str(there), deltas + SPARE, f"A drill of {generation.vm.name} from {generation.name}")

    @contextmanager
    def _files(self, point: PointSource, spec: DomainSpec) -> Iterator[None]:
        """Have the files of the point below the folder of the drill, compared with the point; they go at the end."""
        generation = point.generation
        uuid = generation.vm.uuid
        home = Path(drill_home(self.folders, uuid))
        paths = {one.target: one.path for one in spec.disks}
        self._remove(uuid)
        Path(self.folders.vms).mkdir(mode=0o711, parents=True, exist_ok=True)
        try:
            home.mkdir(mode=0o711)
            with point.opened(home.with_name(f"{home.name}.point")) as content:
                for disk in generation.disks:
                    content.write_disk(disk.target, Path(paths[disk.target]))
            for one in spec.disks:
                if one.name in (SEED, CONTEXT):
                    _write(Path(one.path), point.content(one.name))
            if spec.nvram and "nvram" in generation.files:
                _write(Path(spec.nvram), point.content("nvram"))
            if spec.tpm:
                _write(home / "tpm.state", point.content("tpm"))
                put_state(self.tpms, spec.uuid, home / "tpm.state", None)
            yield
        finally:
            self._remove(uuid)

    @contextmanager
    def _started(self, root: Element, spec: DomainSpec) -> Iterator[Any]:
        with intent(f"start the drill {spec.name}"):
            domain = self.connection.createXML(to_text(root), libvirt.VIR_DOMAIN_START_AUTODESTROY)
        try:
            yield domain
        finally:
            _destroy(domain)

    def _running(self) -> Iterator[str]:
        """Yield the UUIDs of the VMs whose drills run; a VM of others that only has such a name is none."""
        with intent("list the domains"):
            domains = self.connection.listAllDomains()
        for domain in domains:
            with suppress(libvirt.libvirtError):
                uuid = domain.name().removeprefix(PREFIX)
                if domain.name() == drill_name(uuid) and domain.UUIDString() == drill_uuid(uuid):
                    yield uuid

    def _remove(self, uuid: str) -> None:
        """Remove all of the drill of a VM: its domain first, then its files, and the use of images by them.

        The folder by whose name another run finds what a killed one left goes last.
        """
        with suppress(libvirt.libvirtError):
            _destroy(self.connection.lookupByUUIDString(drill_uuid(uuid)))
        home = Path(drill_home(self.folders, uuid))
        for folder in (self.tpms / drill_uuid(uuid), self.tpms / f".{drill_uuid(uuid)}.new", home.with_name(f"{home.name}.point")):
            shutil.rmtree(folder, ignore_errors=True)
        if home.is_dir():
            paths = [str(path) for path in home.iterdir()]
            shutil.rmtree(home)
            _files.fsync(home.parent)
            self.tool.removed(paths)


def _bound(home: Path, room: int | None, sign: Sign) -> Callable[[], None]:
    """Return what raises Refused once the files of a drill have taken too much since now: the guest may write without end."""
    begun = _allocated(home)
    most = max(SPARE, _files.free_bytes(home) // 2 // MIB * MIB) if room is None else room

    def require() -> None:
        if _allocated(home) - begun > most:
            raise Refused(
                f"The guest wrote more than {show_size(most)} before {sign}; the drill was ended, so that it fills no disk that "
                "others need. Run it where more is free, or see what the guest does when it starts.",
                most=most,
            )

    return require


def _allocated(home: Path) -> int:
    """Return the bytes that the files of a folder take."""
    total = 0
    for path in home.iterdir():
        with suppress(FileNotFoundError):  # a log that was begun again
            total += path.lstat().st_blocks * 512
    return total


def _destroy(domain: Any) -> None:
    with suppress(libvirt.libvirtError):  # it has stopped, and so is gone
        domain.destroy()


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(data)
