# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches a running guest's disk to the other file of its block job, so that no kill and no power cut loses a write.

The guest is paused for some milliseconds, so that it writes nothing between QEMU's switch and libvirt's saved definition: whichever
file the definition names after a power cut has all that the guest wrote. A note in the VM's folder lets the next run resume it, and
``edge-arrive`` of the host, which is called for it.

A libvirtd that is killed in between forgets the job and goes on naming the old file, to which nothing is written any more; it
refuses every other job of the disk, and the next start would take that file. QEMU itself is asked then, and the definition mended.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..._errors import Conflict, EdgeError, NotFound
from ..._files import fsync, write_atomically
from ..._libvirt import intent, libvirt, lookup
from ..host.calls import SWITCHING, call, forget
from ..xml.disk import read_file, replace_file
from ..xml.domain import parse_xml, to_text
from ..xml.properties import read_path
from .block_job import job_of, live_disk

DEFINITIONS = Path("/etc/libvirt/qemu")
LONGEST = 30.0  # seconds that libvirt has for a switch which it goes on with after it was killed
LOOK_AGAIN = 0.1


def switch(connection: Any, domain: Any, target: str, path: str, note: Path) -> None:
    """Let a running guest write to ``path``, the other file of the ready block job of the disk; durable when this returns.

    Raises EdgeError where libvirt refuses, with the guest on its old file, and Conflict as ``settle`` does.
    """
    with intent(f"read the state of domain {domain.name()}"):
        ours = domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    write_atomically(note, _text(target, resume=ours), note.with_name(f".{note.name}.new"), 0o600)
    call(note.parent)
    try:
        if ours:
            with intent(f"pause domain {domain.name()} for the switch"):
                domain.suspend()
        with intent(f"let domain {domain.name()} write to {path}"):
            domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        _sync_definition(domain.name())
    finally:
        if _settle(connection, domain, note):
            raise forgotten(domain.name(), target)


def settle(connection: Any, name: str, folder: str) -> str | None:
    """End a switch that was interrupted: resume the guest, and let its definition name the file that QEMU writes.

    Returns the disk's target where libvirt has forgotten the switch, so that the guest has to be restarted before the next job.
    The caller holds the lock of the VM.
    """
    note = Path(folder, SWITCHING)
    if not note.exists():
        return None
    with intent(f"look up domain {name}"):
        domain = lookup(connection.lookupByName, name)
    if domain is None:
        _end(note)
        return None
    return _settle(connection, domain, note)


def require_settled(connection: Any, name: str, folder: str) -> None:
    """End a switch that was interrupted; raise Conflict where libvirt has forgotten it."""
    if target := settle(connection, name, folder):
        raise forgotten(name, target)


def _settle(connection: Any, domain: Any, note: Path) -> str | None:
    found = _read(note)
    target, lost = found.get("target"), None
    with intent(f"read the state of domain {domain.name()}"):
        active = domain.isActive()
    if active and target:
        with contextlib.suppress(NotFound):  # the disk was taken out since
            lost = target if mend_forgotten(connection, domain, target) else None
    if active and found.get("resume"):
        with intent(f"resume domain {domain.name()} after the switch"):
            if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()
    _end(note)
    return lost


def _end(note: Path) -> None:
    note.unlink(missing_ok=True)
    fsync(note.parent)
    forget(note.parent)


def require_remembered(connection: Any, domain: Any, target: str) -> None:
    """Raise Conflict where libvirt has forgotten a switch of the disk; the definition then names the file that QEMU writes."""
    if mend_forgotten(connection, domain, target):
        raise forgotten(domain.name(), target)


def mend_forgotten(connection: Any, domain: Any, target: str) -> bool:
    """Return whether libvirt has forgotten a switch of the disk; the definition then names the file that QEMU writes, durably."""
    deadline = time.monotonic() + LONGEST
    while read_path(live_disk(domain, target), "mirror@ready") == "pivot" and job_of(domain, target):
        if time.monotonic() > deadline:
            raise Conflict(
                f"libvirt does not end the switch of disk {target} of domain {domain.name()}; restart the VM.", disk=target
            )
        time.sleep(LOOK_AGAIN)
    disk = live_disk(domain, target)
    mirror = disk.find("mirror")
    if mirror is None or job_of(domain, target):
        return False
    old, new = read_file(disk), read_file(mirror)
    now = _written(domain, read_path(disk, "alias@name") or "")
    if now not in (old, new):
        raise Conflict(
            f"QEMU writes disk {target} of domain {domain.name()} to {now}, and libvirt names {old} and {new}.", disk=target
        )
    if now == new and now:
        block = mirror.find("source[@dev]") is not None
        _redefine(connection, domain, target, (now, block, _format(disk, mirror, now)))
    return True


def _format(disk: Element, mirror: Element, path: str) -> str:
    """Return the format of the file that is written now, as libvirt has it; a guess would let a guest say what it is."""
    for element in (mirror, *disk.iter("backingStore")):
        found = read_path(element, "format@type") or element.get("format")
        if found and read_file(element) == path:
            return found
    raise Conflict(f"libvirt does not say the format of {path}, which QEMU writes; let the definition name it, and restart the VM.")


def forgotten(name: str, target: str) -> Conflict:
    """Return the error for a disk whose switch libvirt has forgotten."""
    return Conflict(
        f"disk: libvirtd was killed while disk {target} of domain {name} was switched to another file, and has forgotten it. "
        "Nothing is lost: the definition names the file that the guest writes. libvirt does nothing more with the disk until the "
        "VM is restarted: restart it first (edge.cloud.domain with state restarted), then run again.",
        option="disk",
        disk=target,
    )


def _written(domain: Any, alias: str) -> str | None:
    """Return the file that QEMU itself says the guest writes; libvirt marks the domain as tainted for the question."""
    import libvirt_qemu  # noqa: PLC0415 - only here

    with intent(f"ask the QEMU of domain {domain.name()} for its files"):
        answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, '{"execute": "query-block"}', 0))
    for one in answer.get("return", ()):
        if alias and alias in str(one.get("qdev", "")).split("/"):
            inserted = one.get("inserted") or {}
            return str(inserted["file"]) if "file" in inserted else None
    return None


def _redefine(connection: Any, domain: Any, target: str, now: tuple[str, bool, str]) -> None:
    path, block, image_format = now
    with intent(f"redefine domain {domain.name()}"):
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        root = parse_xml(domain.XMLDesc(flags))
        for disk in root.iterfind("devices/disk"):
            if read_path(disk, "target@dev") == target:
                replace_file(disk, path, block, image_format)
        connection.defineXML(to_text(root))
    _sync_definition(domain.name())


def _sync_definition(name: str) -> None:
    """Make libvirt's saved definition durable, while the guest is still paused."""
    with contextlib.suppress(FileNotFoundError):
        fsync(DEFINITIONS / f"{name}.xml")
        fsync(DEFINITIONS)


def _text(target: str, *, resume: bool) -> bytes:
    return json.dumps({"target": target, "resume": resume}).encode() + b"\n"


def _read(note: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise EdgeError(
            f"{note} cannot be read ({error}); resume the guest if it is paused, and delete the file.", path=str(note)
        ) from None
