# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, before anything is changed, what this host cannot give; each error names the option and the value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ...._errors import Conflict, InvalidInput, NotFound, Unsupported, error_about
from ...._shown import few, nearest
from ...._sizes import show_size
from ...model.architecture import architecture
from ...model.host_facts import HostFacts, VolumeFile
from ...model.overlays import active_path, volume_chain
from ...model.remote_image import from_url
from ...model.request import DomainOptions
from ...model.spec import CONTEXT, SEED, Cpu, DomainSpec, Volume
from ...model.state import VmState
from ...options.resolve import ResolvedDomain
from .display import check_vnc


def check_wanted(wanted: ResolvedDomain, state: VmState, host: HostFacts, options: DomainOptions) -> None:
    """Raise where the host lacks what the spec needs."""
    spec = wanted.spec
    _check_identity(spec, state, host)
    _check_machine(spec, state.config, host)
    if options.nics is not None or _will_start(state, options):
        _check_nics(spec, host)
    if _will_start(state, options):
        _check_seeds(spec, state, options)
    for path, option in ((spec.kernel, "kernel"), (spec.initrd, "initrd")):
        if path in host.missing:
            raise NotFound(f"{option}: this host has no file {path}.", option=option, value=path)
    _check_paths(options, host)
    check_vnc(spec, host, options)
    for volume in wanted.volumes:
        _check_volume(volume, options.disk_path(volume.disk), state, host, spec)


def _will_start(state: VmState, options: DomainOptions) -> bool:
    """Return whether the guest may be started, which needs the networks that it has even where they were not asked."""
    return options.may_restart or (options.run in ("running", "paused") and state.run in ("stopped", "saved"))


def _check_identity(spec: DomainSpec, state: VmState, host: HostFacts) -> None:
    for name, uuid in host.domains.items():
        if uuid == spec.uuid and name != spec.name:
            raise Conflict(f"uuid: {spec.uuid} belongs to domain {name}.", option="uuid", value=spec.uuid)
    kept = {nic.mac for nic in state.config.nics} if state.config else set()
    for place, nic in enumerate(spec.nics):
        owner = host.macs.get(nic.mac)
        if owner and owner != spec.name and nic.mac not in kept:
            where = f"nics[{place}].mac"
            raise Conflict(f"{where}: {nic.mac} is used by domain {owner}.", option=where, value=nic.mac)


def _check_machine(spec: DomainSpec, before: DomainSpec | None, host: HostFacts) -> None:
    if host.arches and spec.arch not in host.arches and before is None:
        raise Unsupported(
            f"arch: libvirt on this host finds no emulator of {spec.arch} (there: {', '.join(host.arches)}); install it (Debian: "
            f"{architecture(spec.arch).packages[1]}).",
            option="arch",
            value=spec.arch,
        )
    if host.virt_types and spec.virt_type not in host.virt_types:
        offered = ", ".join(host.virt_types)
        raise Unsupported(
            f"virt_type: libvirt on this host does not offer {spec.virt_type} (offered: {offered}).",
            option="virt_type",
            value=spec.virt_type,
        )
    if spec.memory > host.memory and (before is None or before.memory != spec.memory):
        raise InvalidInput(
            f"memory: {show_size(spec.memory)} is more than this host has ({show_size(host.memory)}).",
            option="memory",
            value=spec.memory,
        )
    known = {*host.machines, *host.machines.values()}
    if known and spec.machine not in known and (before is None or before.machine != spec.machine):
        raise Unsupported(f"machine: QEMU on this host does not have {spec.machine}.", option="machine", value=spec.machine)
    _check_cpu(spec.cpu, host)


def _check_cpu(cpu: Cpu, host: HostFacts) -> None:
    if cpu.model and host.cpu_models and cpu.model not in host.cpu_models:
        raise Unsupported(
            f"cpu.model: this host cannot run {cpu.model} (it can: {', '.join(host.cpu_models)}).",
            option="cpu.model",
            value=cpu.model,
        )


def _check_nics(spec: DomainSpec, host: HostFacts) -> None:
    made = {network.bridge for network in host.virtual_networks.values()}
    for place, nic in enumerate(spec.nics):
        if nic.network and nic.network not in host.networks:
            there = few(nearest(nic.network, host.networks))
            raise NotFound(
                f"nics[{place}].network: libvirt has no network {nic.network} (there: {there}).",
                option=f"nics[{place}].network",
                value=nic.network,
            )
        if nic.network and not host.networks[nic.network]:
            raise InvalidInput(
                f"nics[{place}].network: network {nic.network} is not active; start it first.",
                option=f"nics[{place}].network",
                value=nic.network,
            )
        if nic.bridge in made:
            continue
        if nic.virtual_network and nic.bridge not in host.bridges:
            where = f"nics[{place}].virtual_network"
            raise NotFound(
                f"{where}: this host has no bridge {nic.bridge}, that of the virtual network {nic.virtual_network}; make it with "
                "edge.cloud.virtual_network.",
                option=where,
                value=nic.virtual_network,
            )
        if nic.bridge and nic.bridge not in host.bridges:
            there = few(nearest(nic.bridge, host.bridges))
            raise NotFound(
                f"nics[{place}].bridge: this host has no bridge {nic.bridge} (there: {there}).",
                option=f"nics[{place}].bridge",
                value=nic.bridge,
            )


def _check_seeds(spec: DomainSpec, state: VmState, options: DomainOptions) -> None:
    """Raise where the guest's seed or context disk is gone, which libvirt would not start it without, and is not made again."""
    kinds = ((SEED, options.cloud_init, state.seed, "cloud_init"), (CONTEXT, options.context, state.context, "context"))
    for name, asked, digest, option in kinds:
        path = next((disk.path for disk in spec.disks if disk.name == name), "")
        if path and asked is None and digest is None and path not in state.folder:
            raise NotFound(
                f"{option}: {path}, a disk of domain {spec.name}, is gone, and it cannot start without; give {option} as before, "
                "and it is made again.",
                option=option,
                value=path,
            )


def _check_paths(options: DomainOptions, host: HostFacts) -> None:
    for item in options.disks or ():
        where, path = item.where, item.path
        if not path:
            continue
        if path in host.missing:
            raise NotFound(f"{where}.path: this host has no file {path}.", option=f"{where}.path", value=path)


def _check_volume(volume: Volume, where: str, state: VmState, host: HostFacts, spec: DomainSpec) -> None:
    files = volume_chain(volume, spec, state.volumes)
    if files:
        _check_files(volume, where, state, files, host)
        return
    path = active_path(volume, spec)
    if path != volume.path or _is_known(volume, state):
        raise NotFound(
            f"{where}: {path} was made for this domain and is gone; a disk is never recreated. "
            "Put the file back, or take the disk out of disks.",
            option=where,
            value=path,
        )
    _check_image(volume.image, f"{where}.image", host)
    smallest = host.image_sizes().get(volume.image or "", 0)
    if volume.size is not None and volume.size < smallest:
        raise InvalidInput(
            f"{where}.size: {show_size(volume.size)} is smaller than the image ({show_size(smallest)}).",
            option=f"{where}.size",
            value=volume.size,
        )


def _check_image(image: str | None, where: str, host: HostFacts) -> None:
    """Raise where a disk cannot be laid over its image, with the reason why the image cannot be brought."""
    if image is None or image in {*host.images, *host.remote_images, *host.offers}:
        return
    raise error_about(host.unavailable.get(image) or NotFound(f"image {image} is not in the host cache."), where, image)


def _check_files(volume: Volume, where: str, state: VmState, files: Sequence[VolumeFile], host: HostFacts) -> None:
    """Compare what is asked of a disk that is there: its size with the active file, its image with the bottom of its chain."""
    active, bottom = files[0], files[-1]
    if not _is_known(volume, state) and bottom.path != volume.path and _is_in_folder(bottom.backing, volume):
        raise Conflict(
            f"{where}: {bottom.path} is kept of this disk, and the file below it, {bottom.backing}, is gone, or is not the disk's "
            f"file as asked ({volume.path}). Put it back, give the format that it has, or move the overlays away.",
            option=where,
            value=bottom.path,
        )
    if not volume.image and not _is_known(volume, state) and not _is_own_chain(bottom.backing, volume, host):
        raise Conflict(
            f"{where}: {bottom.path} exists with the backing file {bottom.backing}, which is neither an image of the host cache "
            "nor of this VM. If you know where it comes from, give it with path and format: qcow2; else name another disk.",
            option=where,
            value=bottom.path,
        )
    if volume.image and bottom.backing != volume.backing and not _began_as(volume, state, bottom):
        raise Conflict(
            f"{where}.image: {bottom.path} exists with backing file {bottom.backing or 'none'}, {volume.image} was asked; "
            "a disk is never recreated. Name another disk, or delete this one with the domain.",
            option=f"{where}.image",
            value=volume.image,
        )
    if volume.size is not None and volume.size < active.size:
        raise InvalidInput(
            f"{where}.size: {active.path} has {show_size(active.size)}, {show_size(volume.size)} was asked; a disk never shrinks.",
            option=f"{where}.size",
            value=volume.size,
        )


def _is_known(volume: Volume, state: VmState) -> bool:
    return volume.path in {one.path for one in (state.record.volumes if state.record else ())}


def _is_own_chain(backing: str | None, volume: Volume, host: HostFacts) -> bool:
    """Return whether what a kept disk stands on can be ours: an image, here or remote, or a file of the VM's own folder."""
    if backing is None or from_url(backing) is not None:
        return True
    return _is_in_folder(backing, volume) or str(PurePosixPath(backing).parent) == host.folders.images


def _is_in_folder(path: str | None, volume: Volume) -> bool:
    """Return whether a file is in the folder of the VM."""
    return path is not None and PurePosixPath(path).parent == PurePosixPath(volume.path).parent


def _began_as(volume: Volume, state: VmState, bottom: VolumeFile) -> bool:
    """Return whether the disk began as this image by the record, and its file rightly does not name it.

    It was flattened (no backing file), or its image is still on its way and read from a replica.
    """
    remote = from_url(bottom.backing)
    if remote is not None and remote.digest == volume.image:
        return True
    known = state.record.volumes if state.record else ()
    same = any(one.disk == volume.disk and one.image == volume.image for one in known)
    return same and (bottom.backing is None or not bottom.backing.startswith("/"))
