# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin edge.cloud.libvirt."""

from __future__ import annotations

DOCUMENTATION = r"""
name: libvirt
short_description: VMs of many libvirt hypervisors as hosts
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Reads the domains of one or many hypervisors, side by side, and makes each VM a host.
  - A VM that several hypervisors define, as after a move, is one host, the running one. Different VMs of the same name are
    named C(NAME.HYPERVISOR), and so is one that has the name of a group, of a hypervisor, or of Ansible's own, such as C(all) or
    C(localhost). What no host pattern could name, such as a blank or a colon, is C(_) in the name of the host; C(edge_name) has the
    VM's own. A warning tells of each.
  - Each host has the variable C(ansible_host) if its address is known, and C(edge_name), C(edge_uuid), C(edge_state),
    C(edge_hypervisor), C(edge_uri), C(edge_managed), C(edge_memory) in bytes, C(edge_vcpus), C(edge_arch), C(edge_virt_type),
    C(edge_autostart), C(edge_address), C(edge_addresses), C(edge_nics), C(edge_disks), C(edge_images) (the digest of the image of
    each disk), C(edge_spec_hash), C(edge_cloud_init) and C(edge_pending_restart).
  - Each host is in the groups C(state_STATE) and C(hypervisor_NAME). A hypervisor is named by the host in its URI, a local one by
    its host name.
extends_documentation_fragment:
  - constructed
  - inventory_cache
requirements:
  - libvirt-python, or the package python3-libvirt, on the control node
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [edge.cloud.libvirt]
  uris:
    description:
      - The libvirt connections to the hypervisors, such as V(qemu+ssh://root@hv1.example/system?no_tty=1),
        V(qemu+tls://hv2.example/system) or V(qemu:///system).
    type: list
    elements: str
    required: true
  states:
    description: Only VMs in one of these states.
    type: list
    elements: str
    choices: [running, paused, saved, stopped]
    default: [running, paused, saved, stopped]
  managed:
    description:
      - V(true) selects only VMs that M(edge.cloud.domain) created or adopted, V(false) only others. Without it all VMs are hosts.
    type: bool
  hostname:
    description: What the name of a host is.
    type: str
    choices: [name, uuid]
    default: name
  reach_by:
    description:
      - Which address C(ansible_host) is, where an interface has several. With V(lease) it is the one that the interface has a
        lease of (O(edge.cloud.domain#module:nics[].addresses)), whatever the guest says, also of a VM that is stopped or whose
        address is not known yet.
      - With V(seen) it is one that the guest agent, a DHCP lease of libvirt or ARP knows, and the leased one only where there is
        none.
    type: str
    choices: [lease, seen]
    default: lease
  unreachable:
    description:
      - What happens if a hypervisor does not answer. With V(warn) its VMs are missing, and the result is not cached.
    type: str
    choices: [warn, fail]
    default: warn
  timeout:
    description:
      - The seconds in which a hypervisor must answer. They pass once, however many hypervisors do not.
      - A VM whose guest agent has not answered by then has the addresses of its DHCP leases or of ARP, or none, and the result
        is not cached.
    type: float
    default: 30
seealso:
  - module: edge.cloud.domain_info
"""

EXAMPLES = r"""
# vms.libvirt.yml: all VMs of a cluster
plugin: edge.cloud.libvirt
uris:
  - qemu+ssh://root@hv1.example/system?no_tty=1
  - qemu+ssh://root@hv2.example/system?no_tty=1

---
# Only running VMs that edge.cloud manages, reached through their hypervisor, in groups by image
plugin: edge.cloud.libvirt
uris:
  - qemu+tls://hv1.example/system
  - qemu+tls://hv2.example/system
states: [running]
managed: true
unreachable: fail
compose:
  ansible_user: "'debian'"
  ansible_ssh_common_args: "'-o ProxyJump=root@' ~ edge_hypervisor"
groups:
  large: edge_memory >= 8 * 1024 ** 3
keyed_groups:
  - key: edge_images.root | default('none') | regex_replace('^sha256:(.{12}).*', '\\1')
    prefix: image
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/edge-inventory
cache_timeout: 300
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.read import read_hypervisors
from ansible_collections.edge.cloud.plugins.module_utils._compute.inventory.select import choose, name_hosts, once, variables

PREFIX = "edge_"
OF_SOURCE = ("inventory_file", "inventory_dir")
ENDINGS = ("libvirt.yml", "libvirt.yaml")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """VMs as hosts; see DOCUMENTATION."""

    NAME = "edge.cloud.libvirt"
    inventory: Any

    def verify_file(self, path: str) -> bool:
        """Return whether the file is for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the hypervisors, or the cache, and add hosts and groups."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        use = bool(self.get_option("cache"))
        domains = self._cache.get(key) if use and cache else None
        if domains is None:
            domains, complete = self._read()
            if use and complete:
                self._cache[key] = domains
        self._add(domains)

    def _read(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the domains of all hypervisors, and whether all have answered."""
        uris = self.get_option("uris")
        found, repeated = once(read_hypervisors(list(dict.fromkeys(uris)), self.get_option("timeout")))
        for warning in repeated:
            self.display.warning(warning)
        for one in found:
            if one.error is None:
                continue
            if self.get_option("unreachable") == "fail":
                raise AnsibleParserError(one.error.message)
            self.display.warning(f"{one.error.message} Its VMs are missing in the inventory.")
        domains = [{**domain, "hypervisor": one.name, "uri": one.uri} for one in found for domain in one.domains]
        return domains, not any(one.error or one.partial for one in found)

    def _add(self, domains: list[dict[str, Any]]) -> None:
        chosen, warnings = choose(domains)
        wanted = [domain for domain in chosen if self._wanted(domain)]
        taken = {*self.inventory.groups, *(domain["hypervisor"] for domain in domains)}
        made: dict[tuple[str, str], InventoryData] = {}
        while True:
            hosts, renamed = name_hosts(wanted, self.get_option("hostname"), taken)
            for name, domain in hosts.items():
                if (name, domain["uuid"]) not in made:
                    made[name, domain["uuid"]] = self._alone(name, domain)
            parts = [(name, made[name, domain["uuid"]]) for name, domain in hosts.items()]
            groups = {group for _name, part in parts for group in part.groups}
            if not groups & set(hosts):
                break
            taken |= groups
        for warning in warnings + renamed:
            self.display.warning(warning)
        for name, part in parts:
            self._merge(name, part)

    def _alone(self, name: str, domain: Mapping[str, Any]) -> InventoryData:
        """Return an inventory of one host: Ansible would take it for a group of its name."""
        real, self.inventory = self.inventory, InventoryData()
        try:
            self._add_host(name, domain)
        except Exception:  # Ansible's own for a group that would be in itself has no class
            if name not in self.inventory.groups:
                raise
        finally:
            alone, self.inventory = self.inventory, real
        return alone

    def _add_host(self, name: str, domain: Mapping[str, Any]) -> None:
        self.inventory.add_host(name)
        values = variables(domain, PREFIX, self.get_option("reach_by"))
        for key, value in values.items():
            self.inventory.set_variable(name, key, value)
        for group in (f"state_{domain['state']}", f"hypervisor_{domain['hypervisor']}"):
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), values, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), values, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), values, name, strict=strict)

    def _merge(self, name: str, part: InventoryData) -> None:
        """Add one host, with its variables and groups, to the inventory."""
        self.inventory.add_host(name)
        for key, value in part.hosts[name].vars.items():
            if key not in OF_SOURCE:
                self.inventory.set_variable(name, key, value)
        for group in part.groups.values():
            self.inventory.add_group(group.name)
            if part.hosts[name] in group.hosts:
                self.inventory.add_child(group.name, name)
        for group in part.groups.values():
            for child in group.child_groups:
                self.inventory.add_child(group.name, child.name)

    def _wanted(self, domain: Mapping[str, Any]) -> bool:
        managed = self.get_option("managed")
        return domain["state"] in self.get_option("states") and managed in (None, domain["managed"])
