#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.recovery_point."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_point
short_description: Restore a VM from a recovery point
version_added: 0.1.0
description:
  - Makes the VM O(name) of a recovery point, its generation, on a hypervisor. It is a new VM, or with O(in_place) the VM itself as
    it was then.
  - The point is one that this host keeps as a replica, or is in a folder. Where this host keeps no such point, it is fetched from
    the replicas of the cluster, and checked. While one of them does not answer, O(generation) must be given, since that one may
    have a newer point.
  - All of the point is restored - its disks, the variables of its firmware, the state of its emulated TPM, its cloud-init seed,
    its OpenNebula context disk, and its whole record, such as memory and interfaces. Each disk is read after it was written and
    compared with the point.
  - In place, a VM that is there keeps what it asks of recovery points now (O(edge.cloud.domain#module:recovery)), or that it asks
    nothing. Any other one has that of the point.
  - A new VM has its own UUID, MAC addresses and host name, as those that M(edge.cloud.domain_clone) makes. It has no leases and no
    public addresses of the VM that it is made of.
  - In place, the VM keeps its UUID and addresses. It must be stopped. Its folder as it was is set aside, and never deleted;
    RV(set_aside) says where it is. Where this host has no such VM, and no other hypervisor has it either, it is made here.
  - A kernel or an initrd of the host, at the path that the point says, is taken if the VM has it on this host already, or if every
    user of this host may read it. Otherwise nothing is restored, since the point may come from another host, and its guest could
    read a secret of this one.
  - What else of the host the VM is to reach - shared folders, PCI devices, files outside of its folder, disks on the network, and
    whatever its C(xml_override) names - is likewise taken only if the VM has it on this host already, or with
    O(allow_host_access). Networks are taken as the point has them.
  - The VM is not started; M(edge.cloud.domain) does that. It has no snapshots. Whether the host starts it when it boots is in no
    recovery point. A VM that is there keeps that setting. For any other one it is off until
    O(edge.cloud.domain#module:autostart) turns it on.
  - Other hypervisors of the cluster are asked first. Where one of them has the VM, nothing is restored here. A warning names those
    that do not answer.
  - A run that is interrupted leaves the VM as it was, or the restored one, and the same task finishes it. A VM in place that has a
    TPM cannot start in the instant in which its TPM gets the older state, until that task has run again.
  - Images that the disks stand on and that are not in the host cache are pulled first, by the rule of the cluster.
  - The number of the next recovery point is the one after all that are known on this host, so that none is replaced. That point has
    all in which the disks differ from their images.
  - Passwords of displays are in no recovery point. In place, those of the VM that is there stay. Otherwise a display on the network
    gets a random one, with a warning.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
attributes:
  idempotent:
    support: partial
    description: A second run changes nothing, except with O(again), or in place without O(generation) once there is a newer one.
options:
  name:
    description:
      - The name of the VM to make. With O(in_place) it is that of the VM that the point is of.
    type: str
    required: true
  state:
    description:
      - The VM is there, restored from the point. What it wrote since it was restored stays.
    type: str
    choices: [restored]
    default: restored
  vm:
    description:
      - The VM that the point is of, by its UUID or by the name that it had at its newest point; O(name) by default. With O(folder)
        whatever VM is in there, unless it is given.
      - Replicas are asked by the UUID. For a name that is the one that M(edge.cloud.domain) gives a VM of this name; a VM with
        a UUID of its own is named by that.
    type: str
  generation:
    description:
      - The recovery point as C(EPOCH.NUMBER), as M(edge.cloud.recovery_point_info) shows it. By default the newest one that is
        whole.
    type: str
  in_place:
    description:
      - Restore the VM itself, in place of what it is now. What its disks have now is set aside with them.
    type: bool
    default: false
  again:
    description:
      - Restore in place again what was restored from this generation already.
    type: bool
    default: false
  new_instance_id:
    description:
      - Whether cloud-init takes a new VM for another instance, and runs in it as at a first boot. It applies to new VMs that have a
        seed. Otherwise it runs only what it runs at each boot.
    type: bool
    default: true
  folder:
    description:
      - A folder with a generation and all of its files, instead of the recovery points of this host. It has what
        C(edge-host point take) takes. Nothing in it is changed.
    type: path
  point_servers:
    description:
      - NBD servers of replicas that export the recovery point, such as V(nbds://replica1.example), or shorter. The first that gives
        a disk is read.
      - C(edge-host point lease) on this host has a replica export it for as long as the VM needs it; C(edge-host point export) on a
        replica exports it until that is ended by hand.
      - With it nothing is copied first. The VM can start at once, whatever the size of its disks. They are empty files over the
        disks of the point where those are, until C(edge-arrive.service) has brought them here, while the VM runs or is stopped.
        Until then the VM needs the replica. A guest whose replica does not answer for a minute is paused until it does, or until
        the disk is here. The disk that it then has was compared with the point; what the guest read before is believed.
      - Snapshots, recovery points, migrations and clones of the VM are refused until then.
      - It takes the role P(edge.cloud.hypervisor#role) with C(hypervisor_arrivals).
    type: list
    elements: str
    version_added: 0.1.0
  root:
    description:
      - The folder of the recovery points of this host.
    type: path
    default: /var/lib/edge/recovery/points
  allow_recreate:
    description:
      - The VM moved from this host to another one, and does not exist there any more. Without it, such a VM is not made here.
    type: bool
    default: false
  allow_host_access:
    description:
      - The VM may reach what the point says of this host, though the VM does not have that here yet. Another host of the
        cluster may have forged the point, so look first at what it is. The error without this option lists it.
      - It needs O(generation), so that what is allowed is what was looked at.
    type: bool
    default: false
    version_added: 0.1.0
  timeout:
    description:
      - How long to wait for another task that works on the VM, in seconds.
    type: int
    default: 120
seealso:
  - module: edge.cloud.recovery_point_info
  - module: edge.cloud.domain
  - module: edge.cloud.domain_clone
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Look at a VM as it was this morning, beside the one that runs
  edge.cloud.recovery_point:
    name: web-morning
    vm: web
    generation: "0.41"

- name: Stop a VM
  edge.cloud.domain:
    name: web
    state: stopped

- name: Let it be as it was at a recovery point
  edge.cloud.recovery_point:
    name: web
    generation: "0.41"
    in_place: true
  register: web

- name: Start it
  edge.cloud.domain:
    name: web
    state: running

- name: Have a replica export a recovery point for this VM
  ansible.builtin.command:
    argv: [edge-host, point, lease, --vm, db, --generation, "0.7", --user, db]
  register: exported

- name: Make a large VM of it that can start at once
  edge.cloud.recovery_point:
    name: db
    generation: "0.7"
    in_place: true
    point_servers: ["{{ (exported.stdout | from_json).server }}"]

- name: Make a VM again, whose host is lost, of its newest recovery point
  edge.cloud.recovery_point:
    name: db
    in_place: true
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Define domain web, as the VM 5b0b6d0e-6f1b-5a0e-9a52-3f4d8f6a1c2b was at 0.41"]
domain:
  description: The VM as it is, or in check mode would be, as M(edge.cloud.domain) returns it, but without addresses.
  returned: success
  type: dict
  sample: {"name": "web", "state": "stopped", "uuid": "5b0b6d0e-6f1b-5a0e-9a52-3f4d8f6a1c2b"}
generation:
  description: The recovery point that was chosen.
  returned: success
  type: str
  sample: "0.41"
instant:
  description: When it was made, in UTC.
  returned: success
  type: str
  sample: "2026-01-02T03:04:05.000000Z"
set_aside:
  description:
    - Where the files of the VM as it was are; null where there was none, or nothing was changed. Delete the folder once nothing in
      it is needed. In check mode, where they would be.
  returned: success
  type: str
  sample: /var/lib/edge/vms/.web.before-0.41
tpm_set_aside:
  description: Where the state that its TPM had is, likewise.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import peers_of_cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import view
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.model import RestoreRequest
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.reconcile import Restorer
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.tool import PointSource
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._kept_points import find_point
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._points import point_in_folder
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path

FOLDERS = Folders()
RECOVERY, TPMS = Path("/var/lib/edge/recovery"), Path("/var/lib/libvirt/swtpm")


def point_of(options: dict[str, Any], runner: ModuleRunner) -> PointSource:
    images, generation = Path(FOLDERS.images), options["generation"]
    if options["folder"]:
        folder = absolute_path(options["folder"], "folder")
        return point_in_folder(folder, options["vm"], generation, images, runner)
    root, vm = absolute_path(options["root"], "root"), options["vm"] or options["name"]
    where = (RECOVERY / "fetched", images)
    return find_point(root, vm, generation, cluster=_cluster.load_if_there, folders=where, runner=runner)


def run(module: AnsibleModule) -> dict[str, Any]:
    options, runner = module.params, ModuleRunner(module)
    switches = {key: options[key] for key in ("in_place", "again", "new_instance_id", "allow_recreate", "allow_host_access")}
    servers = tuple(options["point_servers"] or ())
    if servers and options["folder"]:
        raise InvalidInput(
            "point_servers: a generation in a folder is not at a server; leave out one of both.", option="point_servers"
        )
    request = RestoreRequest(options["name"], options["generation"], **switches, servers=servers)
    point, peers = point_of(options, runner), peers_of_cluster()
    with EventLoop(), connection(options["uri"]) as opened:
        parts = (DiskFiles(runner, FOLDERS), runner, FOLDERS, point, request)
        found = Restorer(opened, *parts, options["timeout"], peers, RECOVERY, TPMS).run(module.check_mode)
    for warning in (*found.warnings, *peers.warnings()):
        module.warn(warning)
    return {
        "changed": found.plan.changed,
        "actions": found.plan.actions,
        "diff": found.plan.diff(view),
        "domain": found.domain,
        "generation": point.generation.name,
        "instant": point.generation.instant,
        "set_aside": found.aside,
        "tpm_set_aside": found.tpm_aside,
    }


def main() -> None:
    run_module(
        run,
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["restored"], "default": "restored"},
            "vm": {"type": "str"},
            "generation": {"type": "str"},
            "in_place": {"type": "bool", "default": False},
            "again": {"type": "bool", "default": False},
            "new_instance_id": {"type": "bool", "default": True},
            "folder": {"type": "path"},
            "point_servers": {"type": "list", "elements": "str"},
            "root": {"type": "path", "default": "/var/lib/edge/recovery/points"},
            "allow_recreate": {"type": "bool", "default": False},
            "allow_host_access": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 120},
            "uri": {"type": "str", "default": "qemu:///system"},
        },
    )


if __name__ == "__main__":
    main()
