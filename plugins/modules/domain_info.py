#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_info
short_description: Read the VMs of a hypervisor
version_added: 0.1.0
description:
  - Returns the domains of a hypervisor, with addresses, disks, pending changes and statistics, and changes nothing.
  - Domains that M(edge.cloud.domain) did not make are returned too, with RV(domains[].managed=false).
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.attributes.info_module
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the only domain to read. All domains are read without it. The list is empty if no domain has this name.
    type: str
seealso:
  - module: edge.cloud.domain
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Read all VMs of a hypervisor
  edge.cloud.domain_info:
  register: found

- name: Show where they are reached
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.address }}"
  loop: "{{ found.domains }}"
"""

RETURN = r"""
moved:
  description:
    - The VMs that M(edge.cloud.domain_migration) took away from this host and that did not come back, each with C(name), C(uuid),
      C(destination) and C(when) (UTC). M(edge.cloud.domain) does not make them here again without C(allow_recreate).
  returned: success
  type: list
  elements: dict
  sample:
    - name: db
      uuid: 6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f
      destination: host2
      when: "2026-03-01T09:30:00+00:00"
domains:
  description: The domains, by name, each as M(edge.cloud.domain) returns it and with its statistics.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      returned: always
      type: str
      sample: web
    state:
      description: One of V(running), V(stopped) and V(paused).
      returned: always
      type: str
      sample: running
    arrival:
      description: The C(source) host and the time (C(when), UTC) of a VM that came to this host by migration; null for others.
      returned: always
      type: dict
      sample: {"source": "host1", "when": "2026-03-01T09:30:00+00:00"}
    managed:
      description: Whether M(edge.cloud.domain) made it or took it over.
      returned: always
      type: bool
      sample: true
    address:
      description:
        - The first of RV(domains[].addresses) that is not link-local, IPv4 before IPv6; null where none is known. That of a stopped
          domain is what it has a lease of.
      returned: always
      type: str
      sample: 192.0.2.17
    addresses:
      description:
        - All known addresses, each with nic, mac, address, prefix, family, source, and whether the interface has a lease of
          it (C(leased)). In the order of the interfaces, IPv4 before IPv6, leased ones first.
        - The C(source) is C(agent) (the guest agent), C(lease) (the DHCP server of a libvirt network) or C(arp), of a running
          guest. Of leases that none of them has seen it is C(record) (O(edge.cloud.domain#module:nics[].addresses)) or C(dhcp)
          (a service of M(edge.cloud.virtual_network_dhcp) on this host would give it).
      returned: always
      type: list
      elements: dict
      sample: [{"nic": "nic0", "address": "192.0.2.17", "prefix": 24, "family": "ipv4", "source": "lease", "leased": false}]
    pending_restart:
      description: What the next start will change.
      returned: always
      type: list
      elements: str
      sample: []
    recovery:
      description: What it asks of recovery points, with interval, keep, quiesce, replicas, budget in bytes and sign; null for none.
      returned: always
      type: dict
      sample: {"interval": 900, "keep": 2, "quiesce": "try", "replicas": 1, "budget": null, "sign": null}
    disks:
      description: The disks, with name, path, format, target, bus, size in bytes, backing file and the digest of the image.
      returned: always
      type: list
      elements: dict
      sample: [{"name": "root", "path": "/var/lib/edge/vms/web/root.qcow2", "target": "vda", "size": 21474836480}]
      contains:
        chain:
          description:
            - The files that the disk is made of, the top first, each with path, format, size as the guest sees it and bytes
              allocated. Sizes are null where a file cannot be read; such a file ends the chain. Empty for the cloud-init seed.
          returned: always
          type: list
          elements: dict
          sample: [{"path": "/var/lib/edge/vms/web/root.qcow2", "format": "qcow2", "size": 21474836480, "allocated": 1048576}]
    statistics:
      description: Processor time, memory and traffic since the start; null where libvirt has none.
      returned: always
      type: dict
      contains:
        cpu_time:
          description: The processor time used, in nanoseconds; null of a stopped domain.
          returned: always
          type: int
          sample: 4120000000
        memory:
          description: The memory that the guest has now, in bytes.
          returned: always
          type: int
          sample: 2147483648
        resident_memory:
          description: The memory of the host that the guest occupies, in bytes.
          returned: always
          type: int
          sample: 734003200
        disks:
          description: Reads and writes by device name, in requests and bytes, and the bytes allocated.
          returned: always
          type: dict
          sample: {"vda": {"reads": 812, "read_bytes": 20971520, "writes": 11, "written_bytes": 65536, "allocation": 1048576}}
        interfaces:
          description: Traffic by the name of the host's side of each interface, in bytes and packets.
          returned: always
          type: dict
          sample: {"vnet0": {"received_bytes": 4096, "received_packets": 17, "sent_bytes": 2048, "sent_packets": 12}}
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.moved import read_moved
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.info import describe_all
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.reader import DiskReader
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._nics.dhcp import HostDhcp
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner

FOLDERS = Folders()


def run(module: AnsibleModule) -> dict[str, Any]:
    tool = DiskReader(SubprocessRunner(), FOLDERS)
    with connection(module.params["uri"]) as opened:
        name = module.params["name"]
        shown = describe_all(opened, tool, FOLDERS, name, HostDhcp())
    here = {one["uuid"] for one in shown}
    moved = [asdict(one) for one in read_moved(FOLDERS.vms) if name in (None, one.name) and one.uuid not in here]
    return {"changed": False, "domains": shown, "moved": moved}


def main() -> None:
    run_module(run, argument_spec={"name": {"type": "str"}, "uri": {"type": "str", "default": "qemu:///system"}})


if __name__ == "__main__":
    main()
