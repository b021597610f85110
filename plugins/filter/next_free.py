# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter edge.cloud.next_free."""

from __future__ import annotations

DOCUMENTATION = r"""
name: next_free
short_description: The lowest address or subnet that is not used
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Finds in a subnet or range the lowest address that none of the used ones is, or the lowest free subnet of a prefix length.
  - Of a subnet, it skips what no host can have, such as the network and broadcast address and the subnet-router anycast address of
    IPv6. Its time does not depend on the size of the subnet. It needs no Python package.
  - It only calculates. Two playbooks that use it at once get the same; M(edge.cloud.address) does not give an address twice.
positional: used
options:
  _input:
    description:
      - A subnet such as V(192.0.2.0/24), or a range such as V(192.0.2.20-192.0.2.99).
    type: str
    required: true
  used:
    description:
      - What is used, addresses, subnets and ranges of any family. An address with a prefix length is that address, unless it is the
        first of that subnet.
    type: list
    elements: str
    default: []
  prefix_length:
    description:
      - Find a subnet of this length instead of an address.
    type: int
seealso:
  - module: edge.cloud.address
  - plugin: ansible.utils.ipsubnet
    plugin_type: filter
  - plugin: ansible.utils.next_nth_usable
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the lowest free address, 192.0.2.3
  ansible.builtin.debug:
    msg: "{{ '192.0.2.0/24' | edge.cloud.next_free(['192.0.2.1', '192.0.2.2', '192.0.2.200-192.0.2.254']) }}"

- name: Show the lowest free subnet of a length, 10.0.1.0/24
  ansible.builtin.debug:
    msg: "{{ '10.0.0.0/8' | edge.cloud.next_free(['10.0.0.0/24'], prefix_length=24) }}"
"""

RETURN = r"""
_value:
  description: The address, or the subnet with its prefix length. It is an error if none is free.
  type: str
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._network.lease import intervals


def next_free(within: str, used: str | Sequence[str] = (), prefix_length: int | None = None) -> str:
    """Return the lowest free address or subnet."""
    try:
        found = _found(within, [used] if isinstance(used, str) else used, prefix_length)
    except EdgeError as error:
        raise AnsibleFilterError(f"edge.cloud.next_free: {error.message}") from error
    if found is None:
        what = "address" if prefix_length is None else f"subnet of /{prefix_length}"
        raise AnsibleFilterError(f"edge.cloud.next_free: {within} has no free {what}; {len(used)} are given as used.")
    return found


def _found(within: str, used: Sequence[str], prefix_length: int | None) -> str | None:
    taken = [intervals.interval_of(str(text), f"used[{number}]") for number, text in enumerate(used)]
    if "-" in within and prefix_length is None:
        version, whole = intervals.interval_of(within, "input")
        free = intervals.without([whole], [one for family, one in taken if family == version])
        return str(ip_address(free[0][0].to_bytes(4 if version == 4 else 16, "big"))) if free else None
    try:
        subnet = ip_network(str(within).strip())
    except ValueError as error:
        raise InvalidInput(f"input: {within!r} is not a subnet ({error}); write it as 192.0.2.0/24.", option="input") from None
    found = intervals.next_free(subnet, [one for family, one in taken if family == subnet.version], prefix_length)
    return None if found is None else str(found)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """See Ansible."""
        return {"next_free": next_free}
