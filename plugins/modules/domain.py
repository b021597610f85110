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
  - Makes one libvirt domain what the options say, with the files of its disks and its cloud-init seed, and keeps it so.
  - An option that is left out keeps its value in a domain that exists, and has its default in a new one.
  - What a running guest cannot take at once is written to the persistent configuration and reported in
    RV(domain.pending_restart); with O(allow_restart) the domain is restarted for it.
  - UUID and MAC addresses are derived from names, so that they are the same on every host and after a rebuild.
  - XML that others added to the domain stays. A domain that this module did not make is never touched without O(adopt).
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  name:
    description:
      - The name of the domain. Letters, digits, dots, dashes and underscores, at most 63.
    type: str
    required: true
  state:
    description:
      - V(running) makes the domain and starts it. V(stopped) makes it and shuts it down.
      - V(absent) shuts it down and undefines it; the files of its disks stay unless O(delete_disks).
    type: str
    choices: [running, stopped, absent]
    default: running
  uuid:
    description:
      - The UUID of a new domain. Without it, one is derived from O(name). It never changes.
    type: str
  memory:
    description:
      - The guest's memory, with a unit, such as V(512MiB) or V(4GiB). A number without a unit is bytes. At least 16 MiB.
      - A new domain has 1 GiB without it.
    type: str
  vcpus:
    description:
      - The number of virtual CPUs. A new domain has 1 without it.
    type: int
  cpu:
    description:
      - The CPU that the guest sees. A new domain has mode V(host-model) with KVM and V(maximum) without it.
    type: dict
    suboptions:
      mode:
        description:
          - V(host-model) is close to the host's CPU and can migrate, V(host-passthrough) is the host's CPU, V(maximum) is all
            that the emulator has, V(custom) is the named O(cpu.model).
        type: str
        required: true
        choices: [host-model, host-passthrough, maximum, custom]
      model:
        description:
          - The name of a CPU model of QEMU, for the mode V(custom) only.
        type: str
  virt_type:
    description:
      - V(kvm) runs on the processor, V(qemu) emulates it. A new domain has V(kvm) where libvirt offers it, else V(qemu).
    type: str
    choices: [kvm, qemu]
  arch:
    description:
      - The guest's architecture, such as V(x86_64). A new domain has the host's without it.
    type: str
  machine:
    description:
      - The machine type of QEMU. A new domain of x86_64 has V(q35) without it.
      - An alias such as V(q35) becomes the newest version when the domain is made, and that version stays.
    type: str
  kernel:
    description:
      - The path of a kernel on the host to boot directly, without boot loader. The empty text removes it.
    type: path
  initrd:
    description:
      - The path of an initial RAM file system for O(kernel). The empty text removes it.
    type: path
  cmdline:
    description:
      - The command line of O(kernel). The empty text removes it.
    type: str
  disks:
    description:
      - All disks of the domain, except those that others attached. The first one is booted.
      - A disk that is left out is detached; its file stays. A disk is never made again and never shrinks.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The name of the disk in this domain. Lower-case letters, digits and dashes, at most 20.
        type: str
        required: true
      image:
        description:
          - The digest of the image that the disk begins as, such as C(sha256:...). It must be in the host cache;
            M(edge.cloud.replica_image) brings it there. The disk is an overlay on it and copies nothing.
        type: str
      size:
        description:
          - The size of the disk with a unit, such as V(20GiB). A larger size than the disk has grows it, while it runs too.
          - Without it, a new disk has the size of its O(disks[].image). Without an image, a new disk is empty.
        type: str
      path:
        description:
          - The path of an existing file to use as it is. It takes neither O(disks[].image) nor O(disks[].size).
        type: path
      format:
        description:
          - The format of the file of O(disks[].path). Without it, the file's first bytes tell.
        type: str
        choices: [qcow2, raw]
      target:
        description:
          - The device name that orders the disks, such as V(vda). Without it, the first that is free on its bus.
        type: str
      bus:
        description:
          - The bus of the disk. A new disk has V(virtio) without it.
        type: str
        choices: [virtio, scsi, sata]
      cache:
        description:
          - How the host caches. A new disk has V(none) where the file system takes direct I/O, else V(writeback).
        type: str
        choices: [none, writeback, writethrough, directsync, unsafe]
      io:
        description:
          - How QEMU does I/O. A new disk has V(native) with cache V(none) or V(directsync), else V(threads).
        type: str
        choices: [native, threads, io_uring]
      discard:
        description:
          - Whether blocks that the guest discards are given back to the host. A new disk has V(unmap) without it.
        type: str
        choices: [unmap, ignore]
      serial:
        description:
          - The serial number that the guest finds it by, in C(/dev/disk/by-id). The name of the disk without it.
        type: str
      read_only:
        description:
          - Whether the guest may not write. A new disk has V(false) without it.
        type: bool
  nics:
    description:
      - All network interfaces of the domain, except those that others attached. Each has either a network or a bridge.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The name of the interface in this domain. C(nic) and its place in the list, from 0, without it.
        type: str
      network:
        description:
          - The name of an active libvirt network, such as one of M(edge.cloud.nat_network).
        type: str
      bridge:
        description:
          - The name of a bridge of the host, such as one of M(edge.cloud.bridge).
        type: str
      mac:
        description:
          - The MAC address. Without it, one is derived from the names of the domain and of the interface.
        type: str
      model:
        description:
          - The device that the guest sees. A new interface has V(virtio) without it.
        type: str
        choices: [virtio, e1000e]
      mtu:
        description:
          - The MTU in bytes that the guest is told.
        type: int
  cloud_init:
    description:
      - What cloud-init does in the guest, as a NoCloud seed on a read-only disk labelled C(CIDATA).
      - The instance-id is the domain's UUID, so that a changed seed does not make cloud-init run a second time.
      - Secrets belong in here hashed; the seed is readable by root and the guest only.
    type: dict
    suboptions:
      hostname:
        description:
          - The guest's host name. O(name) without it.
        type: str
      ssh_authorized_keys:
        description:
          - Public SSH keys that may log in as the image's default user.
        type: list
        elements: str
      user_data:
        description:
          - User data, as a dictionary (cloud-config) or as a text that begins with its header, such as C(#cloud-config) or C(#!).
        type: raw
      vendor_data:
        description:
          - Vendor data, in the same forms as O(cloud_init.user_data).
        type: raw
      network_config:
        description:
          - Network configuration version 2 (or 1). Without it, cloud-init asks DHCP on the first interface.
        type: dict
      meta_data:
        description:
          - Further meta data, over our own.
        type: dict
  console_log:
    description:
      - Whether the serial console is written to C(console.log) in the folder of the VM. A new domain has V(true) without it.
    type: bool
  vnc:
    description:
      - Whether there is a display by VNC on the host's loopback address. A new domain has V(false) without it.
    type: bool
  guest_agent:
    description:
      - Whether there is a channel for the QEMU guest agent. A new domain has V(true) without it.
    type: bool
  rng:
    description:
      - Whether the guest has a random number generator fed by the host. A new domain has V(true) without it.
    type: bool
  autostart:
    description:
      - Whether the host starts the domain when it boots. A new domain has V(false) without it.
    type: bool
  allow_restart:
    description:
      - Whether a running domain may be shut down and started again for a change that it cannot take while it runs.
    type: bool
    default: false
  force_stop:
    description:
      - Whether a domain that did not shut down within O(timeout) is powered off.
    type: bool
    default: false
  delete_disks:
    description:
      - Whether O(state=absent) deletes the disks that were made for the domain, its seed and its console log.
      - Files of O(disks[].path) always stay.
    type: bool
    default: false
  adopt:
    description:
      - Whether a domain of this name that this module did not make is taken over.
    type: bool
    default: false
  wait_address:
    description:
      - Whether to wait until a running domain has an address, at most O(timeout).
    type: bool
    default: false
  timeout:
    description:
      - How long each wait may take, in seconds.
    type: int
    default: 120
seealso:
  - module: edge.cloud.domain_info
  - module: edge.cloud.replica_image
  - module: edge.cloud.nat_network
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Run a VM from an image of the host cache
  edge.cloud.domain:
    name: web
    memory: 2GiB
    vcpus: 2
    disks:
      - name: root
        image: sha256:0f4a3c5d9b1e7f6a8c2d4e6f80a1b3c5d7e9f00112233445566778899aabbccd
        size: 20GiB
    nics:
      - network: edge
    cloud_init:
      ssh_authorized_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample admin@frontend.example
      user_data:
        packages: [nginx]
    wait_address: true
    timeout: 300

- name: Give it more memory, and restart it for that
  edge.cloud.domain:
    name: web
    memory: 4GiB
    allow_restart: true

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
  description: The domain after the run, as read back; in check mode as predicted. Without a domain only its name and state.
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
    vcpus:
      description: The number of virtual CPUs.
      returned: when the domain exists
      type: int
      sample: 2
    address:
      description: The address to reach the guest by, the first that is not link-local, IPv4 before IPv6; null where none is known.
      returned: always
      type: str
      sample: 192.0.2.17
    addresses:
      description: All known addresses of a running guest.
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
          description: Who knows it, V(agent), V(lease) or V(arp).
          returned: always
          type: str
          sample: lease
    nics:
      description: The network interfaces, with name, mac, network or bridge, model and mtu.
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
    autostart:
      description: Whether the host starts it when it boots.
      returned: when the domain exists
      type: bool
      sample: false
    pending_restart:
      description: What the next start will change, empty where the guest runs as configured.
      returned: when the domain exists
      type: list
      elements: str
      sample: ["memory"]
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
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge.cloud.plugins.module_utils._compute.arguments import DOMAIN
from ansible_collections.edge.cloud.plugins.module_utils._compute.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.reconcile import Reconciler
from ansible_collections.edge.cloud.plugins.module_utils._compute.state import view
from ansible_collections.edge.cloud.plugins.module_utils._disks import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner

FOLDERS = Folders()


def run(module: AnsibleModule) -> dict[str, Any]:
    runner = ModuleRunner(module)
    with EventLoop(), connection(module.params["uri"]) as opened:
        reconciler = Reconciler(opened, DiskFiles(runner, FOLDERS), runner, FOLDERS, module.params)
        plan, domain = reconciler.run(module.check_mode)
    return {"changed": plan.changed, "actions": plan.actions, "diff": plan.diff(view), "domain": domain}


def main() -> None:
    run_module(
        run,
        argument_spec={
            **DOMAIN,
            "uri": {"type": "str", "default": "qemu:///system"},
            "state": {"type": "str", "choices": ["running", "stopped", "paused", "saved", "absent"], "default": "running"},
            "allow_restart": {"type": "bool", "default": False},
            "force_stop": {"type": "bool", "default": False},
            "delete_disks": {"type": "bool", "default": False},
            "adopt": {"type": "bool", "default": False},
            "wait_address": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 120},
        },
    )


if __name__ == "__main__":
    main()
