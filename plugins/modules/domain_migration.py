#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain_migration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_migration
short_description: Move a VM with its local disks to another hypervisor
version_added: 0.1.0
description:
  - Moves a libvirt domain from the hypervisor that the task runs on to O(destination), while it runs or stopped, with the files of
    its disks, its cloud-init seed and its snapshots, over TLS with the certificates of the cloud's CA.
  - The image below a disk is not sent. It must be in the host cache of the destination, where
    M(edge.cloud.replica_image) brings it. Of a running VM's disk only what it has beyond its image moves.
  - Everything that the VM needs on the destination is checked before anything is changed.
  - The VM is removed from this host, and its files deleted, only after it is verified on the destination. Until then a journal in
    the VM's folder records what was done, so that after a crash of a host, of libvirt or of this task a second run finishes the
    migration or starts it again, with the VM running once. Until then M(edge.cloud.domain) does not start the VM here as well.
  - A VM that is on the destination already is left as it is.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the domain, one that M(edge.cloud.domain) made or took over.
    type: str
    required: true
  destination:
    description:
      - The name or address of the other hypervisor, as this host reaches it and as its certificate has it.
        Both hosts had the role P(edge.cloud.hypervisor#role) with C(hypervisor_migration).
    type: str
    required: true
  bandwidth:
    description:
      - The bytes a second that memory, and each disk, may take, with a unit, such as V(100MiB). At least 1 MiB.
      - Without it, the rate is not limited.
    type: str
  auto_converge:
    description:
      - Whether the guest is slowed down, more and more, where it writes its memory faster than it can be sent.
    type: bool
    default: false
  post_copy:
    description:
      - Whether the guest goes on at the destination after the first pass over its memory and fetches the rest when it needs it.
      - It ends every migration. A network that fails after the switch halts the guest until this task runs again, which resumes the
        migration. A host that fails then takes the VM's memory with it; see O(allow_restart).
      - The destination needs C(vm.unprivileged_userfaultfd=1).
    type: bool
    default: false
  compressed:
    description:
      - Whether pages that are sent again are sent as differences (XBZRLE). It costs CPU time and helps on slow networks.
    type: bool
    default: false
  keep_source:
    description:
      - Whether the files of the disks stay here. The domain is undefined in any case, since it must never run twice.
    type: bool
    default: false
  allow_restart:
    description:
      - Whether a VM that lost its memory because a host failed in the middle of a post-copy migration is started again from its
        disks on O(destination). What the guest wrote to its disks is there; what was in memory only is lost, as after a power cut.
      - Without it, such a VM is left as it is, and the task fails.
    type: bool
    default: false
  timeout:
    description:
      - How long the migration of a running VM may take, in seconds. When the time is up it is aborted and the VM runs on here.
    type: int
    default: 3600
  progress_file:
    description:
      - A file on the host that one line about the progress is written to, at most once a second.
    type: path
seealso:
  - module: edge.cloud.domain
  - module: edge.cloud.replica_image
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: The image of the VM in the host cache of the destination
  edge.cloud.replica_image:
    digest: sha256:0f4a3c5d9b1e7f6a8c2d4e6f80a1b3c5d7e9f00112233445566778899aabbccd
    sources: ["https://frontend.example:8443/"]
    ca_file: /etc/edge/pki/ca.crt
    cert_file: /etc/edge/pki/host.crt
    key_file: /etc/edge/pki/host.key
  delegate_to: host2.example

- name: Move a VM while it runs
  edge.cloud.domain_migration:
    name: web
    destination: host2.example

- name: Move a busy one over a slow network
  edge.cloud.domain_migration:
    name: database
    destination: host2.example
    bandwidth: 50MiB
    auto_converge: true
    compressed: true
    timeout: 7200
    progress_file: /run/edge-migration.progress
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Migrate domain web with vda to host2.example while it runs", "Undefine domain web on host1, and note there where it is"]
domain:
  description: The VM after the run, as read back; in check mode as predicted.
  returned: success
  type: dict
  contains:
    name:
      description: The name.
      returned: always
      type: str
      sample: web
    state:
      description: One of V(running), V(stopped), V(paused) and V(absent).
      returned: always
      type: str
      sample: running
    host:
      description: The host that it is on.
      returned: always
      type: str
      sample: host2.example
    uuid:
      description: The UUID.
      returned: when the domain exists
      type: str
      sample: 6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f
    autostart:
      description: Whether its host starts it when it boots.
      returned: when the domain exists
      type: bool
      sample: false
migration:
  description: What moved. Empty in check mode, and if there was nothing to do. A failure has it in RV(ignore:error.migration).
  returned: success
  type: dict
  contains:
    seconds:
      description: The time of the whole task on the host.
      returned: when the VM was moved
      type: float
      sample: 4.7
    copied_bytes:
      description: The bytes of files that were copied and compared, such as the seed and all disks of a stopped VM.
      returned: when the VM was moved
      type: int
      sample: 378880
    disk_bytes:
      description: The bytes that QEMU mirrored of the disks of a running VM.
      returned: when the VM was moved while it ran
      type: int
      sample: 104857600
    memory_bytes:
      description: The bytes of memory that were sent.
      returned: when the VM was moved while it ran
      type: int
      sample: 94596787
    downtime:
      description: The time in seconds that the guest stood still, null where libvirt does not report it.
      returned: when the VM was moved while it ran
      type: float
      sample: 0.234
    iterations:
      description: The number of passes over the memory.
      returned: when the VM was moved while it ran
      type: int
      sample: 3
    post_copy:
      description: Whether the guest went on at the destination before all of its memory was there, as O(post_copy) allows.
      returned: when the VM was moved while it ran
      type: bool
      sample: false
    warnings:
      description: What did not go along, such as checkpoints without their bitmaps.
      returned: when the VM was moved
      type: list
      elements: str
      sample: []
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.destination import check_destination
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.job import MigrationOptions
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.model import view
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.reconcile import Migrator
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.values import check_name
from ansible_collections.edge.cloud.plugins.module_utils._disks.writer import DiskWriter
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._nics.networks import HostNetworks
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._sizes import parse_size
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.progress import ProgressFile

FOLDERS = Folders()


def progress(options: dict[str, Any]) -> Callable[[int, int], None]:
    """Return what reports done and total bytes."""
    if not options["progress_file"]:
        return lambda _done, _total: None
    path = absolute_path(options["progress_file"], "The progress file")
    return ProgressFile(path, f"domain {options['name']} to {options['destination']}", time.monotonic)


def run(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    migration_options = MigrationOptions(
        timeout=options["timeout"],
        bandwidth=parse_size(options["bandwidth"], "bandwidth") if options["bandwidth"] else None,
        auto_converge=options["auto_converge"],
        post_copy=options["post_copy"],
        compressed=options["compressed"],
    )
    name, address = check_name(options["name"]), check_destination(options["destination"])
    with EventLoop(), connection(options["uri"]) as here:
        runner = ModuleRunner(module)
        tool = DiskWriter(runner, FOLDERS)
        migrator = Migrator(
            here,
            tool,
            FOLDERS,
            name,
            address,
            migration_options,
            options["keep_source"],
            options["allow_restart"],
            progress(options),
            HostNetworks(runner),
        )
        plan, domain, moved = migrator.run(module.check_mode)
    for warning in moved.get("warnings", ()):
        module.warn(warning)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "domain": domain, "migration": moved}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "uri": {"type": "str", "default": "qemu:///system"},
            "name": {"type": "str", "required": True},
            "destination": {"type": "str", "required": True},
            "bandwidth": {"type": "str"},
            "auto_converge": {"type": "bool", "default": False},
            "post_copy": {"type": "bool", "default": False},
            "compressed": {"type": "bool", "default": False},
            "keep_source": {"type": "bool", "default": False},
            "allow_restart": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 3600},
            "progress_file": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
