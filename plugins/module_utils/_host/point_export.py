# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host point export`` and ``serve``: recovery points of this host for QEMU elsewhere, which reads them where they are."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path
from typing import Any

from .._cluster import Cluster
from .._errors import InvalidInput, TimedOut, Unsupported
from .._generation import Generation, export_name, point_of
from .._runner import Runner, SubprocessRunner
from .._storage.format.qemu_img import QemuImg
from .._storage.leasing.records import LeaseFolder
from .._storage.recovery.depot import Depot
from .._storage.recovery.exports import Exports, Listening, server
from .._storage.recovery.listing import vm_of
from .._storage.store.store import Store
from .journal import log
from .point_readers import LEASES, Readers, refuse_while_read
from .points import Options, whole_number

UNIT = "edge-points-nbd.service"
UNITS = Path("/etc/systemd/system")
SECONDS, PAUSE = 300.0, 0.2  # until the server has opened all disks
SERVE = ("listen", "port", "certificates", "readers")


def export(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Export the disks of a generation, by default the newest, or with ``end`` no longer; without ``vm`` show what is exported."""
    return exported(exports_of(cluster), options, SubprocessRunner(), UNITS / UNIT)


def exported(exports: Exports, options: Options, runner: Runner, unit: Path, leases: Path = LEASES) -> dict[str, Any]:
    """Do what ``export`` does; ``unit`` is the file of the server's unit, which is restarted for a change."""
    if not options.get("vm"):
        _refuse_without_vm(options)
        return {"changed": False, "exports": [shown(one) for one in exports.generations()]}
    if not unit.exists():
        raise Unsupported(
            f"vm: {unit.name} is not on this host, so nothing can be exported. Set replica_points_nbd, and run the role replica.",
            option="vm",
        )
    name, uuid = options.get("generation"), vm_of(exports.depot, str(options["vm"]))
    if name:
        point_of(name)
    elif options.get("end"):
        raise InvalidInput("generation: it is missing; name the one that is to be exported no longer.", option="generation")
    if options.get("end"):
        if not options.get("force"):
            _refuse_while_read(
                exports, uuid, str(name), Readers(LeaseFolder(leases), runner, (_listening_at(unit) or ("", None))[1])
            )
        changed, about = exports.end(uuid, str(name)), {"vm": uuid, "generation": name}
    else:
        found = exports.depot.find(uuid, name)
        changed, about = exports.begin(uuid, found.name), shown(found)
    # Also where nothing changed: a run before may have been killed here. Clients connect again by themselves.
    runner.run(["systemctl", "restart", "--", unit.name])
    if any(exports.generations()):
        _await(unit)
    return {"changed": changed, **about}


def _await(unit: Path) -> None:
    """Return once the server listens: then it gives all exports, and the next task may use them. systemctl does not wait for it."""
    found = _listening_at(unit)
    if found is None:
        return
    address, port, until = *found, time.monotonic() + SECONDS
    while not _listens("localhost" if address == "*" else address, port):
        if time.monotonic() >= until:
            raise TimedOut(
                f"{unit.name} was restarted, and does not listen on port {port} after {SECONDS:g} s; what is asked for is noted, "
                f"and exported once it does. See journalctl -u {unit.name}.",
                unit=unit.name,
            )
        time.sleep(PAUSE)


def _refuse_while_read(exports: Exports, uuid: str, name: str, readers: Readers) -> None:
    """Raise Busy where a VM may stand on what is exported by hand; what cannot be read any more is no VM's."""
    if exports.depot.is_exported(uuid, name):
        found = next((one for one in exports.depot.listed(uuid).generations if one.name == name), None)
        if found is not None:
            refuse_while_read(exports, found, readers)


def _listening_at(unit: Path) -> tuple[str, int] | None:
    """Return the address and the port at which the server listens, as its unit says."""
    found = re.search(r"--listen=(\S+) --port=(\d+)", unit.read_text(encoding="utf-8"))
    return (found[1].strip("[]"), int(found[2])) if found else None


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=PAUSE).close()
    except OSError:
        return False
    return True


def _refuse_without_vm(options: Options) -> None:
    for option in ("generation", "end", "force"):
        if options.get(option):
            raise InvalidInput(f"{option}: it needs vm.", option=option)


def shown(found: Generation) -> dict[str, Any]:
    """Return a generation with the names of its exports."""
    uuid = found.vm.uuid
    disks = [
        {"target": disk.target, "name": export_name(uuid, found.name, disk.target), "size": disk.virtual_size}
        for disk in found.disks
    ]
    return {"vm": uuid, "generation": found.name, "instant": found.instant, "disks": disks}


def serve(cluster: Cluster, options: Options) -> dict[str, Any]:
    """Become the NBD server of what is exported; a disk that cannot be opened is left out, and the journal has the reason."""
    listening = _listening(options)
    nodes, failed = exports_of(cluster).nodes()
    for what, why in failed.items():
        log(f"{what} is not exported: {why}")
    argv = server(nodes, listening)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - a list of arguments, without a shell on purpose
    except FileNotFoundError:
        raise Unsupported(f"The program {argv[0]} is not installed on this host; install the package that holds it.") from None


def _listening(options: Options) -> Listening:
    for option in SERVE:
        if options.get(option) is None:
            raise InvalidInput(f"{option}: it is missing.", option=option)
    port = whole_number(options, "port", 1, 65535)
    address = str(options["listen"]).strip("[]")
    readers = tuple(name for name in Path(options["readers"]).read_text(encoding="utf-8").split("\n") if name)
    return Listening("" if address == "*" else address, port, Path(options["certificates"]), readers)


def exports_of(cluster: Cluster) -> Exports:
    """Return the exports of this host."""
    return Exports(Depot(cluster.recovery.root), QemuImg(SubprocessRunner()), Store(cluster.images.root))
