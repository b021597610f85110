# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of generations that this host exports by NBD, read-only, so that QEMU elsewhere reads them where they are.

The server is qemu-storage-daemon. It stacks the deltas over the image, so that an export is the content of a disk; its clients see
no file. What is exported stays in the depot as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._errors import EdgeError, NotFound, message_of
from ..._generation import Generation, export_name
from ..format.qemu_img import QemuImg
from ..store.store import Store
from .depot import Depot
from .holding import missing_images
from .layers import Layers, Node
from .restore import Restore

PROGRAM = "qemu-storage-daemon"


@dataclass(frozen=True)
class Listening:
    """Where the server listens (an empty address is all of the host), and to whom.

    ``certificates`` is a folder with what QEMU looks for in such a one, ``readers`` are common names, which are whole subjects.
    """

    address: str
    port: int
    certificates: Path
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Exports:
    """The exports of a depot, whose disks stand on images of an image store."""

    depot: Depot
    qemu: QemuImg
    images: Store

    def begin(self, uuid: str, name: str) -> bool:
        """Have the disks of a generation exported from the next start of the server on; return whether they were not.

        Raises NotFound where a generation or an image that it stands on is not here.
        """
        self._require_images(self.depot.find(uuid, name))
        return self.depot.export(uuid, name, True)

    def end(self, uuid: str, name: str) -> bool:
        """Export a generation no longer, from the next start of the server on; return whether it was exported.

        One that a host has asked for stays exported until that needs it no more.
        """
        return self.depot.export(uuid, name, False)

    def lend(self, uuid: str, name: str, wait: float) -> Generation:
        """Do as ``begin`` for a host that asks for it, and return the generation, whose disks can all be opened.

        Raises Busy where the VM's generations are being changed for longer than ``wait`` seconds.
        """
        found = self.depot.find(uuid, name)
        self._require_images(found)
        for disk in found.disks:
            self._node(found, disk.target)
        self.depot.lease(uuid, name, True, wait)
        return self.depot.find(uuid, name)

    def _require_images(self, generation: Generation) -> None:
        if lost := missing_images(self.images, generation):
            raise NotFound(
                f"generation: {generation.name} stands on images that are not in {self.images.root}: {', '.join(lost)}; pull them "
                "first.",
                option="generation",
                missing_images=list(lost),
            )

    def generations(self) -> Iterator[Generation]:
        """Yield the generations that are exported."""
        for uuid in self.depot.vms():
            yield from self._of(uuid)

    def _of(self, uuid: str) -> list[Generation]:
        listed = self.depot.listed(uuid)
        return [one for one in listed.whole if one.name in listed.exported]

    def nodes(self) -> tuple[dict[str, Node], dict[str, str]]:
        """Return the block options of each disk by the name of its export, and why others cannot be opened.

        Whatever is wrong with one VM or disk costs only its own exports: guests run on the others.
        """
        nodes: dict[str, Node] = {}
        failed: dict[str, str] = {}
        for uuid in self.depot.vms():
            try:
                found = self._of(uuid)
            except (EdgeError, OSError) as error:
                failed[f"the VM {uuid}"] = message_of(error)
                continue
            for generation, disk in ((one, disk) for one in found for disk in one.disks):
                try:
                    nodes[export_name(uuid, generation.name, disk.target)] = self._node(generation, disk.target)
                except (EdgeError, OSError) as error:
                    failed[f"{generation.vm.name} {generation.name} {disk.target}"] = message_of(error)
        return nodes, failed

    def _node(self, generation: Generation, target: str) -> Node:
        """Return the block options of a disk that can be opened: one that cannot would keep the server from starting."""
        with Restore(self.depot, self.qemu, self.images).opened(generation, target) as node:
            Layers(self.qemu).own(node, 0, 1)
            return _read_only(node)


def _read_only(node: Node) -> Node:
    below = {key: _read_only(value) for key, value in node.items() if isinstance(value, dict)}
    return {**node, **below, "read-only": True}


def server(nodes: dict[str, Node], listening: Listening) -> list[str]:
    """Return the command of the server."""
    argv = [PROGRAM]
    argv += _given("--object", {"qom-type": "tls-creds-x509", "id": "tls", "endpoint": "server", "verify-peer": True,
                                "dir": str(listening.certificates)})  # fmt: skip
    rules = [{"match": f"CN={name}", "policy": "allow", "format": "exact"} for name in listening.readers]
    argv += _given("--object", {"qom-type": "authz-list", "id": "readers", "policy": "deny", "rules": rules})
    address = {"type": "inet", "host": listening.address, "port": str(listening.port)}
    argv += _given("--nbd-server", {"addr": address, "tls-creds": "tls", "tls-authz": "readers", "max-connections": 0})
    for number, (name, node) in enumerate(nodes.items()):
        argv += _given("--blockdev", {**node, "node-name": f"disk{number}"})
        export = {"type": "nbd", "id": f"export{number}", "node-name": f"disk{number}", "name": name, "writable": False}
        argv += _given("--export", export)
    return argv


def _given(option: str, values: dict[str, Any]) -> list[str]:
    return [option, json.dumps(values)]
