# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM of a drill, from the record in a recovery point. Pure. It takes over what is named here and nothing else.

So what a later version gives a VM cannot get into a drill unasked. ``require_isolated`` then looks at the XML itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, SubElement

from ..._errors import Refused
from ..._generation import Generation
from ..._sizes import MIB
from ..model.host_facts import Folders
from ..model.spec import CONTEXT, SEED, Disk, DiskLimits, DomainSpec, Record, stable_uuid
from ..restore.record import Target, names_of, restored_record
from ..xml.domain import emit

PREFIX = "edge-drill-"
CONSOLE = "console.log"
LIMITS = DiskLimits(write_bytes=64 * MIB)  # so that the disk takes what others write, and that too much is seen in time
NEVER = (
    "interface", "hostdev", "filesystem", "redirdev", "redirfilter", "shmem", "vsock", "smartcard", "lease", "parallel", "graphics",
    "hub", "crypto",
)  # fmt: skip
HOME_ONLY = ("disk/source", "serial/log", "console/log", "serial/source", "channel/source", "tpm/backend/source", "memory/source")
FILES = ("file", "dev", "dir", "path", "name", "volume", "startupPolicy")


def drill_uuid(uuid: str) -> str:
    """Return the UUID that the drills of a VM have, which no other VM has and another run finds again."""
    return stable_uuid(f"drill {uuid}")


def drill_name(uuid: str) -> str:
    """Return the name that the drills of a VM have."""
    return f"{PREFIX}{uuid}"


def drill_home(folders: Folders, uuid: str) -> str:
    """Return the folder of the files of a drill; no VM can have it."""
    return f"{folders.vms}/.drill-{uuid}"


def drill_spec(record: Record, generation: Generation, folders: Folders, memory: int) -> DomainSpec:
    """Return the VM of a drill, with at most ``memory`` bytes: the disks of the point, and no other tie to anything."""
    home, uuid = drill_home(folders, generation.vm.uuid), drill_uuid(generation.vm.uuid)
    names = names_of(generation, record, folders, Target(drill_name(generation.vm.uuid), uuid, home))
    made = restored_record(record, names, generation, (None, None)).spec
    kept = {disk.target for disk in generation.disks}
    size = min(made.memory, memory)
    return DomainSpec(
        name=made.name,
        uuid=uuid,
        virt_type=made.virt_type,
        arch=made.arch,
        machine=made.machine,
        memory=size,
        max_memory=size,
        vcpus=made.vcpus,
        max_vcpus=made.max_vcpus,
        cpu=made.cpu,
        cpu_features=made.cpu_features,
        kernel=made.kernel,
        initrd=made.initrd,
        cmdline=made.cmdline,
        disks=tuple(_disk(disk) for disk in made.disks if disk.target in kept or _is_seed(disk, generation)),
        console_log=f"{home}/{CONSOLE}",
        agent=made.agent,
        rng=made.rng,
        firmware=made.firmware,
        secure_boot=made.secure_boot,
        nvram=made.nvram,
        tpm=made.tpm and "tpm" in generation.files,
        virtio_console=made.virtio_console,
        os=made.os,
    )


def left_out(record: Record, spec: DomainSpec) -> tuple[str, ...]:
    """Return the disks of the VM that its drill does not have, by their targets."""
    return tuple(sorted({disk.target for disk in record.spec.disks} - {disk.target for disk in spec.disks}))


def _is_seed(disk: Disk, generation: Generation) -> bool:
    return disk.name in (SEED, CONTEXT) and disk.name in generation.files


def _disk(disk: Disk) -> Disk:
    return replace(disk.own, source=None, other=None, foreign=None, iothread=None, queues=None, limits=LIMITS, block=False)


def drill_xml(spec: DomainSpec, folders: Folders, uuid: str) -> Element:
    """Return the XML of a drill; raise Refused where anything in it leads out of the drill."""
    root = emit(spec)
    for event in ("on_reboot", "on_crash"):
        for element in root.findall(event):
            element.text = "destroy" if event == "on_crash" else "restart"
    if root.find("description") is None:
        SubElement(root, "description").text = "A restore drill of edge.cloud; it goes by itself."
    require_isolated(root, drill_home(folders, uuid))
    return root


def require_isolated(root: Element, home: str) -> None:
    """Raise Refused unless a domain has no network and no device of the host, and writes nothing outside of ``home``."""
    if found := sorted(set(_ways_out(root, home))):
        raise Refused(
            f"The VM of a drill would not be isolated: {', '.join(found)}; it was not started. This is a defect: report it."
        )


def _ways_out(root: Element, home: str) -> Iterator[str]:
    for element in root:
        if element.tag.startswith("{") and element.tag.endswith("}commandline"):
            yield "it has arguments for QEMU"
    devices = root.find("devices")
    for element in devices if devices is not None else ():
        if element.tag in NEVER:
            yield f"it has the device {element.tag}"
    for path in HOME_ONLY:
        for element in root.iterfind(f"devices/{path}"):
            yield from (f"{path} names {value}" for value in _named(element) if not value.startswith(f"{home}/") or ".." in value)
    for element in root.iterfind("os/nvram"):
        if not (element.text or "").strip().startswith(f"{home}/"):
            yield f"its nvram is {element.text}"
    yield from (f"it has a disk of type {one.get('type')}" for one in root.iterfind("devices/disk") if one.get("type") != "file")


def _named(element: Element) -> Iterator[str]:
    return (value for key, value in element.attrib.items() if key in FILES and value)
