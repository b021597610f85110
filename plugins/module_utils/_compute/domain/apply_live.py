# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies the steps that a running guest takes at once, each to the running domain only: the configuration is written already.

A device gets the place (PCI address) that the configuration gives it, where it is free, so that a restart moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from ..._errors import EdgeError, TimedOut
from ..._libvirt import intent, libvirt
from ..._sizes import KIB, MIB
from ..host.events import Waiter, hearing, lifecycle
from ..job.point_job import end_point
from ..model.spec import Disk, DiskLimits, Nic
from ..options.values import cpu_numbers
from ..xml.device import ALIAS, DISKS, NICS, Group, alias_of, key_of, pci_addresses, read_pci, root_ports
from ..xml.disk import emit_disk
from ..xml.display import VNC, write_vnc_password
from ..xml.domain import MARK, NAMESPACE, mark_element, mark_of, parse_xml
from ..xml.interface import emit_nic
from . import hotplug as steps

LOOK_AGAIN = 1.0
SLACK = MIB


@dataclass(frozen=True)
class LiveGuest:
    """A running domain; ``timeout`` is how long each wait for the guest may take, in seconds."""

    connection: Any
    name: str
    timeout: float

    def actions(self) -> dict[type[Any], Callable[[Any], None]]:
        """Return what applies which step."""
        return {
            steps.SetVcpus: self._set_vcpus,
            steps.SetMemory: self._set_memory,
            steps.PinCpus: self._pin_cpus,
            steps.SetText: self._set_text,
            steps.SetVncPassword: self._set_vnc_password,
            steps.AttachDisk: lambda step: self._attach(DISKS, step.disk),
            steps.AttachNic: lambda step: self._attach(NICS, step.nic),
            steps.DetachDisk: lambda step: self._detach(DISKS, step.disk),
            steps.DetachNic: lambda step: self._detach(NICS, step.nic),
            steps.ChangeDisk: self._change_disk,
            steps.ChangeNic: self._change_nic,
        }

    def _domain(self) -> Any:
        with intent(f"look up domain {self.name}"):
            return self.connection.lookupByName(self.name)

    def _tree(self, domain: Any, inactive: bool = False) -> Element:
        flags = libvirt.VIR_DOMAIN_XML_SECURE | (libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0)
        with intent(f"read domain {self.name}"):
            return parse_xml(domain.XMLDesc(flags))

    def _set_vcpus(self, step: steps.SetVcpus) -> None:
        with intent(f"give running domain {self.name} {step.count} vCPUs"):
            self._domain().setVcpusFlags(step.count, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def _set_text(self, step: steps.SetText) -> None:
        kinds = {"title": libvirt.VIR_DOMAIN_METADATA_TITLE, "description": libvirt.VIR_DOMAIN_METADATA_DESCRIPTION}
        with intent(f"set the {step.field} of running domain {self.name}"):
            self._domain().setMetadata(kinds[step.field], step.text, None, None, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def _set_vnc_password(self, step: steps.SetVncPassword) -> None:
        domain = self._domain()
        vnc = self._tree(domain).find(VNC)
        if vnc is None:
            raise EdgeError(f"Domain {self.name} has no VNC display any more.", domain={"name": self.name})
        hide = (vnc.get("passwd"), step.password)
        write_vnc_password(vnc, step.password)
        with intent(f"change the VNC password of running domain {self.name}", hide):
            domain.updateDeviceFlags(ET.tostring(vnc, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def _set_memory(self, step: steps.SetMemory) -> None:
        """Ask the balloon and wait until the guest followed; only then the running domain's mark has the new size."""
        domain = self._domain()

        def followed() -> bool:
            with intent(f"read the memory of domain {self.name}"):
                return abs(domain.memoryStats().get("actual", 0) * KIB - step.size) < SLACK

        with self._listening(domain, libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE) as waiter:
            with intent(f"set the memory of running domain {self.name}"):
                domain.setMemoryFlags(step.size // KIB, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            if not waiter.until(followed, self.timeout, LOOK_AGAIN):
                raise TimedOut(
                    f"memory: the guest of domain {self.name} did not follow its balloon within {self.timeout:g} s (it needs the "
                    "driver virtio_balloon); set max_memory to the same size and restart it with allow_restart.",
                    option="memory", domain={"name": self.name, "state": "running"}, seconds=self.timeout,
                )  # fmt: skip
        mark = mark_of(self._tree(domain))
        if mark is not None:
            element = mark_element(replace(mark, spec=replace(mark.spec, memory=step.size)))
            self._write_mark(domain, element)

    def _write_mark(self, domain: Any, element: Element) -> None:
        element.tag = MARK.rpartition("}")[2]
        with intent(f"note the memory of running domain {self.name}"):
            domain.setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT, ET.tostring(element, encoding="unicode"), "edge", NAMESPACE,
                libvirt.VIR_DOMAIN_AFFECT_LIVE,
            )  # fmt: skip

    def _pin_cpus(self, step: steps.PinCpus) -> None:
        domain = self._domain()
        with intent(f"pin the CPUs of running domain {self.name}"):
            count = self.connection.getCPUMap()[0]
            for vcpu, cpus in enumerate(step.vcpus):
                if cpus:
                    domain.pinVcpuFlags(vcpu, _map(cpus, count), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            if step.emulator:
                domain.pinEmulator(_map(step.emulator, count), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def _attach(self, group: Group, device: Disk | Nic) -> None:
        domain, kind, name = self._domain(), group.alias, device.name
        element = _find(self._tree(domain, inactive=True), group, device)
        running = self._tree(domain)
        if element is None:
            raise EdgeError(
                f"Device {name} of domain {self.name} is not in its configuration any more.", domain={"name": self.name}
            )
        for boot in element.findall("boot"):
            element.remove(boot)
        address = element.find("address")
        if address is not None and not _is_free(read_pci(address), running):
            element.remove(address)
        with intent(f"attach {kind} {name} to running domain {self.name}"):
            domain.attachDeviceFlags(ET.tostring(element, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def _detach(self, group: Group, device: Disk | Nic) -> None:
        """Ask the guest to let go of a device and wait until it did."""
        domain, kind, name = self._domain(), group.alias, device.name
        element = _find(self._tree(domain), group, device)
        if element is None:
            return
        if group is DISKS:  # QEMU lets none go that it copies
            end_point(self.connection, self.name)
        with self._listening(domain, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED) as waiter:
            with intent(f"detach {kind} {name} from running domain {self.name}"):
                domain.detachDeviceFlags(ET.tostring(element, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            if not waiter.until(lambda: _find(self._tree(domain), group, device) is None, self.timeout, LOOK_AGAIN):
                raise TimedOut(
                    f"timeout: the guest of domain {self.name} did not release {kind} {name} within {self.timeout:g} s; it may "
                    "be in use, or the guest still boots. Try again, or restart it with allow_restart.",
                    option="timeout", domain={"name": self.name, "state": "running"}, seconds=self.timeout,
                )  # fmt: skip

    def _change_disk(self, step: steps.ChangeDisk) -> None:
        domain = self._domain()
        if not step.medium:
            with intent(f"set the limits of disk {step.disk.name} of running domain {self.name}"):
                now = domain.blockIoTune(step.disk.target, libvirt.VIR_DOMAIN_AFFECT_LIVE)
                limits = io_tune(step.disk.limits, now)
                domain.setBlockIoTune(step.disk.target, limits, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            return
        tree = self._tree(domain)
        element = _find(tree, DISKS, step.disk)
        emit_disk(_devices(tree), step.disk, element)
        self._update(domain, element, step.disk.name)

    def _change_nic(self, step: steps.ChangeNic) -> None:
        domain = self._domain()
        tree = self._tree(domain)
        element = _find(tree, NICS, step.nic)
        emit_nic(_devices(tree), step.nic, {} if element is None else {step.nic.name: element})
        self._update(domain, element, step.nic.name)

    def _update(self, domain: Any, element: Element | None, name: str) -> None:
        text = ET.tostring(element, encoding="unicode") if element is not None else ""
        with intent(f"change device {name} of running domain {self.name}"):
            domain.updateDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    @contextmanager
    def _listening(self, domain: Any, event: int) -> Iterator[Waiter]:
        """Give a Waiter that wakes on one kind of event of the domain, and when it stops."""
        with lifecycle(self.connection, domain) as waiter, hearing(self.connection, domain, event, waiter.wake):
            yield waiter


def io_tune(limits: DiskLimits, now: Mapping[str, Any]) -> dict[str, int]:
    """Return libvirt's parameters for limits; a burst of ``now`` whose limit goes, or is higher, ends as in the definition."""
    found = {f"{key}_sec": value for key, value in asdict(limits).items()}
    for key, value in list(found.items()):
        burst = now.get(f"{key}_max") or 0
        if burst and not 0 < value <= burst:
            found |= {f"{key}_max": 0, f"{key}_max_length": 0}
    return found


def _devices(tree: Element) -> Element:
    found = tree.find("devices")
    return tree if found is None else found


def _find(tree: Element, group: Group, device: Disk | Nic) -> Element | None:
    """Return a device that we made by its alias, one that was taken over by what names it in the XML."""
    elements = tree.findall(f"devices/{group.tag}")
    ours = next((one for one in elements if alias_of(one) == f"{ALIAS}{group.alias}-{device.name}"), None)
    keys = ((device.target if isinstance(device, Disk) else device.mac), device.foreign) if device.foreign else ()
    return ours if ours is not None else next((one for key in keys for one in elements if key_of(one, group) == key), None)


def _is_free(address: str | None, running: Element) -> bool:
    """Return whether a device can be plugged in there; other kinds of address are left to libvirt."""
    if address is None:
        return False
    return address not in pci_addresses(running) and int(address.split(":")[1], 16) in root_ports(running)


def _map(cpus: str, count: int) -> tuple[bool, ...]:
    wanted = cpu_numbers(cpus, "vcpu_pinning")
    return tuple(number in wanted for number in range(count))
