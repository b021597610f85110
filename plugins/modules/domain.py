#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domain."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domain
short_description: Create, change, run, stop and remove a VM of a hypervisor
version_added: 0.1.0
description:
  - Brings one libvirt domain to what the options describe, with the files of its disks and its cloud-init seed.
  - An option that is left out keeps its value in a domain that exists, and has its default in a new one.
  - A running guest takes at once what it can, such as more vCPUs and other memory up to their ceilings, disks and network
    interfaces, their limits, a link, another network, what is in a CD drive, a larger disk, pinning. The rest is written to the
    persistent configuration and reported in RV(domain.pending_restart); with O(allow_restart) the domain is restarted for it.
  - A change that only a new domain can have (architecture, machine family, firmware, UUID, another image of a disk) is refused.
  - Before a domain is made, marks of VMs that moved away and the other hypervisors of the cluster (C(/etc/edge/cluster.json)) are
    asked for its name and UUID, so that no VM runs twice. A hypervisor that does not answer within seconds is a warning.
  - UUID and MAC addresses are derived from names, so that they are the same on every host and after a rebuild.
  - XML that others added to the domain stays; of a device only what differs is written.
  - A domain that this module did not make is never touched without O(adopt).
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.domain
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the domain. Letters, digits, dots, dashes and underscores, at most 63.
    type: str
    required: true
  state:
    description:
      - V(running) creates the domain and starts it. V(stopped) creates it and shuts it down.
      - V(paused) halts a running guest where it is, in memory. V(saved) writes its memory to disk and stops it; the next start
        goes on from there. Both are refused for a domain that does not run.
      - V(restarted) shuts a domain down and starts it again, whatever changed; one that is stopped is started. V(reset) presses the
        reset button of a running guest, which boots again without shutting down; what it has not written is lost, and what waits
        for the next start still waits. Both do so in each run.
      - V(absent) shuts it down and undefines it; the files of its disks stay unless O(delete_disks). The memory of a
        saved domain would be lost, which needs O(force_stop) or O(delete_disks).
    type: str
    choices: [running, stopped, paused, saved, restarted, reset, absent]
    default: running
  allow_restart:
    description:
      - Whether a running domain may be shut down and started again for a change that it cannot take while it runs.
      - If it is set and a change needs a restart, all changes are made by that restart and none in the running guest.
    type: bool
    default: false
  allow_recreate:
    description:
      - Whether a VM that a migration took away from this host is made here again, from its images. Only set it after the VM was
        removed where it went.
      - Without it the task fails and names the host that has the VM. A UUID that another hypervisor of the cluster has is refused
        in any case.
      - Files of the VM that are still here (C(keep_source) of M(edge.cloud.domain_migration)) are stale. The task fails and names
        them; delete them, or move them away, first.
    type: bool
    default: false
  force_stop:
    description:
      - Whether a domain that did not shut down within O(timeout) is powered off.
      - Also whether O(state=absent) gives up the memory of a saved one.
    type: bool
    default: false
  delete_disks:
    description:
      - Whether O(state=absent) deletes the disks that were made for the domain, its seed, its console log, and what its firmware
        and TPM keep.
      - Files of O(disks[].path) always stay, and so do those of disks that others attached.
    type: bool
    default: false
  adopt:
    description:
      - Whether a domain of this name that this module did not make is taken over. That alone changes nothing in it but adds the
        mark of this module; defaults are for new domains only.
      - A device that others made stays as it is until an option names it, and then changes only in what the option says. A disk is
        meant by its file (O(disks[].path)) or by its device name (O(disks[].name), such as V(vda)), an interface by its MAC address
        or by its place (O(nics[].name), such as V(nic0)), a folder by its tag, a PCI device by its address.
      - A guest that runs meanwhile takes at once only what the task changes.
    type: bool
    default: false
  wait_for_address:
    description:
      - Whether to wait until a running domain has an address, at most O(timeout).
    type: bool
    default: false
  timeout:
    description:
      - How long each wait may take, in seconds; for the guest, and for another task that works on the same domain.
    type: int
    default: 120
  progress_file:
    description:
      - A file on the host for one line about the progress of a pull of an image, written at most once a second.
    type: path
seealso:
  - module: edge.cloud.domains
  - module: edge.cloud.domain_info
  - module: edge.cloud.replica_image
  - module: edge.cloud.nat_network
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Run a VM from an image, which is brought to the host where it is not there
  edge.cloud.domain:
    name: web
    memory: 2GiB
    vcpus: 2
    disks:
      - name: root
        image: debian:13.1
        size: 20GiB
    nics:
      - network: edge
    cloud_init:
      ssh_authorized_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample admin@frontend.example
      user_data:
        packages: [nginx]
    wait_for_address: true
    timeout: 300

- name: Give it more memory, and restart it for that
  edge.cloud.domain:
    name: web
    memory: 4GiB
    allow_restart: true

- name: Run a VM that can grow, then let it grow while it runs
  edge.cloud.domain:
    name: db
    memory: "{{ item.memory }}"
    max_memory: 8GiB
    vcpus: "{{ item.vcpus }}"
    max_vcpus: 8
    disks:
      - name: root
        size: 20GiB
      - name: data
        size: "{{ item.data }}"
        limits:
          total_iops: 2000
    nics:
      - network: edge
        inbound: 50MiB
        outbound: 50MiB
  loop:
    - { memory: 2GiB, vcpus: 2, data: 50GiB }
    - { memory: 6GiB, vcpus: 4, data: 80GiB }

- name: Restart a VM, powering it off if it has not shut down after two minutes
  edge.cloud.domain:
    name: db
    state: restarted
    force_stop: true

- name: Keep a VM on disk over a reboot of its host
  edge.cloud.domain:
    name: db
    state: saved

- name: Run a VM with UEFI, secure boot and a TPM, installed from a CD
  edge.cloud.domain:
    name: desk
    memory: 4GiB
    firmware: uefi
    secure_boot: true
    tpm: true
    vnc: true
    disks:
      - name: root
        size: 40GiB
      - name: cd
        device: cdrom
        path: /srv/iso/installer.iso
    boot_order: [root, cd]

- name: Run an appliance of a marketplace with the memory, vCPUs and context that it wants, and answer what it asks
  edge.cloud.domain:
    name: shop
    disks:
      - name: root
        image: wordpress:7.4
    nics:
      - network: edge
    from_image_defaults: true
    user_inputs:
      ONEAPP_SITE_GENERAL_TITLE: Shop
      ONEAPP_SITE_GENERAL_PASSWORD: "{{ vault_shop_password }}"

- name: Have a recovery point of a VM every five minutes, which two other hosts keep
  edge.cloud.domain:
    name: db
    recovery:
      interval: 300
      replicas: 2
      budget: 20GiB

- name: Make no more of them
  edge.cloud.domain:
    name: db
    recovery:
      state: absent

- name: Remove it with its disks
  edge.cloud.domain:
    name: web
    state: absent
    delete_disks: true
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, one sentence a step.
  returned: success
  type: list
  elements: str
  sample: ["Define domain web", "Start domain web"]
domain:
  description: The domain after the run, as read back; in check mode as predicted. An absent one has only its name and state.
  returned: success
  type: dict
  contains:
    name:
      description: The name.
      returned: always
      type: str
      sample: web
    state:
      description: One of V(running), V(stopped), V(paused), V(saved) and V(absent).
      returned: always
      type: str
      sample: running
    uuid:
      description: The UUID.
      returned: when the domain exists
      type: str
      sample: 6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f
    memory:
      description: The memory in bytes.
      returned: when the domain exists
      type: int
      sample: 2147483648
    max_memory:
      description: What O(memory) can become while the guest runs, in bytes.
      returned: when the domain exists
      type: int
      sample: 8589934592
    vcpus:
      description: The number of virtual CPUs.
      returned: when the domain exists
      type: int
      sample: 2
    max_vcpus:
      description: What O(vcpus) can become while the guest runs.
      returned: when the domain exists
      type: int
      sample: 8
    address:
      description: The address to reach the guest by, the first that is not link-local, IPv4 before IPv6; null where none is known.
      returned: always
      type: str
      sample: 192.0.2.17
    addresses:
      description:
        - All known addresses. Of a domain that does not run they are those that its interfaces have leases of.
        - They are in the order of the interfaces, IPv4 before IPv6, leased ones first.
      returned: always
      type: list
      elements: dict
      contains:
        nic:
          description: The name of the interface.
          returned: always
          type: str
          sample: nic0
        mac:
          description: The MAC address of the interface.
          returned: always
          type: str
          sample: "52:54:3a:91:07:c4"
        address:
          description: The address.
          returned: always
          type: str
          sample: 192.0.2.17
        prefix:
          description: The length of its prefix in bits, null where it is not known.
          returned: always
          type: int
          sample: 24
        family:
          description: V(ipv4) or V(ipv6).
          returned: always
          type: str
          sample: ipv4
        source:
          description:
            - The source of the address, V(agent), V(lease) or V(arp); V(record) (O(nics[].addresses)) or V(dhcp)
              (M(edge.cloud.virtual_network_dhcp) on this host) where only a lease of it is known.
          returned: always
          type: str
          sample: lease
    nics:
      description:
        - The network interfaces, with name, mac, network or bridge, model and mtu.
        - One of others has its MAC address as C(foreign), and where it is that is neither as C(other).
      returned: when the domain exists
      type: list
      elements: dict
      sample: [{"name": "nic0", "mac": "52:54:3a:91:07:c4", "network": "edge", "bridge": null, "model": "virtio", "mtu": null}]
    disks:
      description: The disks, with name, path, format, target, bus, size in bytes, backing file and the digest of the image.
      returned: when the domain exists
      type: list
      elements: dict
      sample: [{"name": "root", "path": "/var/lib/edge/vms/web/root.qcow2", "target": "vda", "size": 21474836480}]
    vnc_listen:
      description:
        - Where the VNC display listens. Of a display of others it can also be V(host), which is what C(qemu.conf) of the host
          says, V(socket), V(none) or V(network NAME).
      returned: when the domain exists
      type: str
      sample: 127.0.0.1
    vnc_password:
      description: Whether the VNC display has a password of its own; the password is never returned.
      returned: when the domain exists
      type: bool
      sample: true
    autostart:
      description: Whether the host starts it when it boots.
      returned: when the domain exists
      type: bool
      sample: false
    pending_restart:
      description: What the next start will change, empty where the guest runs as configured; of a saved guest too.
      returned: when the domain exists
      type: list
      elements: str
      sample: ["memory"]
    arrival:
      description: The C(source) host and the time (C(when), UTC) of a VM that came to this host by migration; null for others.
      returned: when the domain exists
      type: dict
      sample: {"source": "host1", "when": "2026-03-01T09:30:00+00:00"}
    managed:
      description: Whether this module made it or took it over.
      returned: when the domain exists
      type: bool
      sample: true
    cloud_init:
      description: The digest of the content of the cloud-init seed, null without one.
      returned: when the domain exists
      type: str
      sample: sha256:4be1d2c36f7a8b9c0d1e2f30415263748596a7b8c9dadbecfd0e1f2031425364
    context:
      description: The digest of the content of OpenNebula's context disk, null without one.
      returned: when the domain exists
      type: str
      sample: sha256:9c0d1e2f30415263748596a7b8c9dadbecfd0e1f20314253644be1d2c36f7a8b
    recovery:
      description: What it asks of recovery points, with interval, keep, quiesce, replicas, budget in bytes and sign; null for none.
      returned: when the domain exists
      type: dict
      sample: {"interval": 900, "keep": 2, "quiesce": "try", "replicas": 1, "budget": null, "sign": null}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.reconcile import Reconciler
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import peers_of_cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.override_text import secrets_in
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import view
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.argument_spec import CONTROL, DOMAIN
from ansible_collections.edge.cloud.plugins.module_utils._disks.points import PointDisks
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._nics.addresses import HostAddresses
from ansible_collections.edge.cloud.plugins.module_utils._nics.networks import HostNetworks
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._secrets import spellings
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import optional_path

FOLDERS = Folders()


def run(module: AnsibleModule) -> dict[str, Any]:
    module.no_log_values |= spellings(*secrets_in(module.params["xml_override"] or ""), module.params["vnc_password"])
    runner = ModuleRunner(module)
    with EventLoop(), connection(module.params["uri"]) as opened:
        peers = peers_of_cluster()
        tool = PointDisks(runner, FOLDERS, optional_path(module.params["progress_file"], "progress_file"))
        nets = HostNetworks(runner), HostAddresses(runner)
        reconciler = Reconciler(opened, tool, runner, FOLDERS, read_options(module.params), peers, *nets)
        plan, domain = reconciler.run(module.check_mode)
    for warning in (*reconciler.warnings, *peers.warnings()):
        module.warn(warning)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "domain": domain}


def main() -> None:
    run_module(
        run,
        argument_spec={
            **DOMAIN,
            **CONTROL,
            "uri": {"type": "str", "default": "qemu:///system"},
            "progress_file": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
