# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies the steps of a plan to one domain, through libvirt and the tool for its disk files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._errors import Corrupt, EdgeError, InvalidInput, TimedOut
from ..._image_lock import remove_images
from ..._libvirt import intent, libvirt, lookup
from ..._runner import Runner
from ..elsewhere.moved import forget_moved
from ..host.addresses import main_address, read_addresses
from ..host.agent import limited_agent
from ..host.at_rest import at_rest
from ..host.console import console_end, qemu_log_end
from ..host.events import lifecycle
from ..job.point_job import end_point
from ..lazy.apply import ArrivalMover, call_for_image, remove_arrived
from ..lazy.plan import CreateRemoteVolume, MoveDisk, RemoveArrived
from ..model.image_tools import ImageTool
from ..model.overlays import made_format
from ..model.remote_image import from_url
from ..model.spec import Nic
from ..seed.file import Seeds, build_seed
from ..xml.display import passwords_in
from ..xml.domain import emit, parse_xml, to_text
from . import plan as steps
from . import power
from .apply_live import LiveGuest

ASK_AGAIN = 10.0
LOOK_AGAIN = 1.0


@dataclass(frozen=True)
class Guest:
    """One domain on one connection. ``timeout`` is in seconds; ``seeds`` are what BuildSeed steps write."""

    connection: Any
    name: str
    tool: ImageTool
    runner: Runner
    folder: str
    timeout: float
    seeds: Seeds = field(default_factory=Seeds)
    delete_tpm: bool = False

    def apply(self, step: Any) -> None:
        """Do one step."""
        actions: dict[type[Any], Callable[[Any], None]] = {
            steps.PullImage: self._pull_image,
            steps.CreateVolume: self._create_volume,
            steps.GrowVolume: self._grow_volume,
            CreateRemoteVolume: self._create_remote_volume,
            MoveDisk: self._move_disk,
            RemoveArrived: lambda step: remove_arrived(step.paths),
            steps.BuildSeed: self._build_seed,
            steps.Define: self._define,
            steps.SetAutostart: self._set_autostart,
            steps.Start: self._start,
            power.Resume: self._resume,
            power.Wake: self._wake,
            steps.Stop: self._stop,
            steps.Undefine: self._undefine,
            steps.DeleteFiles: self._delete_files,
            power.Restore: self._restore,
            power.Pause: self._pause,
            power.Save: self._save,
            power.Reset: self._reset,
            **LiveGuest(self.connection, self.name, self.timeout).actions(),
        }
        actions[type(step)](step)

    def _domain(self) -> Any:
        with intent(f"look up domain {self.name}"):
            return self.connection.lookupByName(self.name)

    def _make_folder(self) -> None:
        """Make the VM's folder; QEMU's user passes through it and lists nothing."""
        Path(self.folder).mkdir(mode=0o711, parents=True, exist_ok=True)

    def _create_volume(self, step: steps.CreateVolume) -> None:
        self._make_folder()
        if step.volume.image:
            self.tool.create_overlay(step.volume.path, step.volume.image, step.size)
        else:
            self.tool.create_empty(step.volume.path, step.size, step.preallocation, made_format(step.volume.path))

    def _pull_image(self, step: steps.PullImage) -> None:
        self.tool.pull(step.image)
        found = self.tool.image_size(step.image)
        if found != step.virtual_size:
            raise Corrupt(
                f"The disk in the image {step.image} has {found} bytes, not {step.virtual_size} as the catalogue that offered it "
                "says; the image is here now, run again.",
                digest=step.image,
            )

    def _create_remote_volume(self, step: CreateRemoteVolume) -> None:
        image = from_url(step.url)
        if image is None:
            raise InvalidInput(f"{step.url} is not the URL of a remote image.", url=step.url)
        self._make_folder()
        self.tool.create_remote_overlay(step.path, image, step.size)

    def _move_disk(self, step: MoveDisk) -> None:
        size = self.tool.info(step.source, "qcow2").size
        ArrivalMover(self.connection, self._domain(), self.tool, self.timeout).move(step, size)

    def _grow_volume(self, step: steps.GrowVolume) -> None:
        if step.live is None:
            self.tool.grow(step.path, step.size, step.format)
            return
        end_point(self.connection, self.name)
        with intent(f"grow disk {step.live} of domain {self.name} to {step.size} bytes"):
            self._domain().blockResize(step.live, step.size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    def _build_seed(self, step: steps.BuildSeed) -> None:
        seed = self.seeds.of(step.path, step.digest, context=step.context)
        self._make_folder()
        build_seed(seed, step.path, self.runner)

    def _define(self, step: steps.Define) -> None:
        self._make_folder()
        if any(disk.remote for disk in step.spec.disks):
            call_for_image(self.folder)
        with intent(f"define domain {self.name}"):
            found = lookup(self.connection.lookupByName, self.name)
            flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
            base = parse_xml(found.XMLDesc(flags)) if found is not None else None
        wanted = emit(step.spec, step.record, base)
        with intent(f"define domain {self.name}", passwords_in(wanted)):
            self.connection.defineXML(to_text(wanted))

    def _set_autostart(self, step: steps.SetAutostart) -> None:
        with intent(f"set autostart of domain {self.name}"):
            self._domain().setAutostart(int(step.on))

    def _start(self, _step: steps.Start) -> None:
        with intent(f"start domain {self.name}"):
            self._domain().create()

    def _restore(self, step: power.Restore) -> None:
        with intent(f"restore domain {self.name}"):
            self._domain().createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if step.paused else 0)

    def _pause(self, _step: power.Pause) -> None:
        with intent(f"pause domain {self.name}"):
            self._domain().suspend()

    def _save(self, _step: power.Save) -> None:
        end_point(self.connection, self.name)
        with intent(f"save domain {self.name}"):
            self._domain().managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)

    def _reset(self, _step: power.Reset) -> None:
        with intent(f"reset domain {self.name}"):
            self._domain().reset()

    def _resume(self, _step: power.Resume) -> None:
        with intent(f"resume domain {self.name}"):
            self._domain().resume()

    def _wake(self, _step: power.Wake) -> None:
        domain = self._domain()

        def awake() -> bool:
            with intent(f"read the state of domain {self.name}"):
                return bool(domain.state()[0] != libvirt.VIR_DOMAIN_PMSUSPENDED)

        with lifecycle(self.connection, domain) as waiter:
            with intent(f"wake domain {self.name}"):
                if not awake():
                    domain.pMWakeup(0)
            if not waiter.until(awake, self.timeout, LOOK_AGAIN):
                raise TimedOut(
                    f"timeout: the guest of domain {self.name} sleeps and did not wake within {self.timeout:g} s; give it more "
                    "time, or power it off with state stopped and force_stop.",
                    option="timeout", domain={"name": self.name, "state": "paused"}, seconds=self.timeout,
                )  # fmt: skip

    def _stop(self, step: steps.Stop) -> None:
        """Shut down within the time limit; a guest that does not listen yet (it boots) is asked again.

        With ``force`` one that cannot even be asked is powered off too, and one that has crashed at once.
        """
        domain = self._domain()

        def stopped() -> bool:
            with intent(f"read the state of domain {self.name}"):
                return not domain.isActive()

        def ask() -> None:
            try:
                self._ask_to_stop(domain)
            except EdgeError:
                if not step.force:
                    raise

        with lifecycle(self.connection, domain) as waiter:
            ask()
            if waiter.until(stopped, 0 if self._has_crashed(domain) else self.timeout, ASK_AGAIN, ask):
                return
            if not step.force:
                raise TimedOut(
                    f"timeout: domain {self.name} did not shut down within {self.timeout:g} s; give it more time, or power it "
                    "off with force_stop.",
                    option="timeout",
                    domain={"name": self.name, "state": "running"},
                    seconds=self.timeout,
                )
            with intent(f"power off domain {self.name}"):
                _unless_stopped(domain, lambda: domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL))

    def _ask_to_stop(self, domain: Any) -> None:
        with intent(f"shut down domain {self.name}"):
            state = domain.state()[0]
            if state == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()  # a paused guest does not react
            elif state == libvirt.VIR_DOMAIN_PMSUSPENDED:
                domain.pMWakeup(0)  # nor does one that sleeps
            if state not in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTDOWN, libvirt.VIR_DOMAIN_CRASHED):
                with limited_agent(domain):  # libvirt asks it first, then by ACPI
                    _unless_stopped(domain, domain.shutdown)

    def _has_crashed(self, domain: Any) -> bool:
        with intent(f"read the state of domain {self.name}"):
            return bool(domain.state()[0] == libvirt.VIR_DOMAIN_CRASHED)

    def _undefine(self, step: steps.Undefine) -> None:
        flags = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE if step.memory else 0
        domain = self._domain()
        with at_rest(domain, step.files, saved=step.memory), intent(f"undefine domain {self.name}"):
            if self.connection.getType() == "QEMU":  # the only driver with checkpoints
                flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            tree = parse_xml(domain.XMLDesc())
            if tree.find("os/nvram") is not None:
                flags |= libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
            if tree.find("devices/tpm") is not None and not self.delete_tpm:
                flags |= libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM
            uuid = domain.UUIDString()
            domain.undefineFlags(flags)
        forget_moved(str(Path(self.folder).parent), uuid)  # of a move before the last one, which brought it back

    def _delete_files(self, step: steps.DeleteFiles) -> None:
        remove_images(step.paths)
        self.tool.removed(step.paths)
        folder = Path(self.folder)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def wait_for_address(self, nics: Sequence[Nic]) -> None:
        """Return once the guest has an address that is not link-local. A lease causes no event: sources are asked each second."""
        domain = self._domain()
        found: list[dict[str, Any]] = []

        def over() -> bool:
            found[:] = read_addresses(domain, nics)
            return main_address(found) is not None or self._has_ended(domain)

        with lifecycle(self.connection, domain) as waiter:
            in_time = waiter.until(over, self.timeout, LOOK_AGAIN)
        ended = self._has_ended(domain)  # the network knows the lease of one that has
        if in_time and not ended:
            return
        log = f"{self.folder}/console.log"
        end = console_end(log)
        console = f"its console log is {log}" + (f", which ends with:\n{end}" if end else ".")
        if ended:
            raise EdgeError(
                f"wait_for_address: domain {self.name} {self._end(domain)} before it had an address; {console}",
                option="wait_for_address",
                domain={"name": self.name, "state": "stopped", "addresses": found},
            )
        raise TimedOut(
            f"wait_for_address: domain {self.name} runs, but no address of it was found within {self.timeout:g} s "
            f"(asked: guest agent, DHCP leases, ARP); {console}",
            option="wait_for_address",
            domain={"name": self.name, "state": "running", "addresses": found}, seconds=self.timeout,
        )  # fmt: skip

    def _has_ended(self, domain: Any) -> bool:
        with intent(f"read the state of domain {self.name}"):
            return not domain.isActive()

    def _end(self, domain: Any) -> str:
        """Return how the domain ended: QEMU's own last words where QEMU died."""
        with intent(f"read the state of domain {self.name}"):
            state, reason = domain.state()
        if (state, reason) != (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED):
            return "stopped"
        words = qemu_log_end(self.name)
        return "ended, as its QEMU died" + (f" (the log of QEMU ends with:\n{words}\n)" if words else "")


def _unless_stopped(domain: Any, action: Callable[[], Any]) -> None:
    """Do ``action``; a guest that has just stopped is not an error."""
    try:
        action()
    except libvirt.libvirtError:
        if domain.isActive():
            raise
