# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter edge.cloud.vtep_mtu."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vtep_mtu
short_description: The MTU of a VXLAN network, from the MTU of its underlay
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Subtracts from the MTU of a link what each encapsulation over it takes.
positional: kind
options:
  _input:
    description:
      - The MTU of the underlay, in bytes.
    type: int
    required: true
  kind:
    description:
      - What is over that link, one or several in any order.
      - V(vxlan) takes 50 bytes and V(vxlan6) 70, by the IP version between the hosts. V(wireguard) takes 60 and V(wireguard6) 80,
        by the IP version between its peers. V(vlan) takes the 4 bytes of a tag that the link has no room for.
    type: list
    elements: str
    choices: [vxlan, vxlan6, wireguard, wireguard6, vlan]
    default: [vxlan]
"""

EXAMPLES = r"""
- name: Show the MTU of VMs on a VXLAN network over a link of 1500, 1450
  ansible.builtin.debug:
    msg: "{{ 1500 | edge.cloud.vtep_mtu }}"

- name: Show it where hosts use WireGuard over IPv6 and VXLAN within, 1370
  ansible.builtin.debug:
    msg: "{{ 1500 | edge.cloud.vtep_mtu(['wireguard6', 'vxlan']) }}"
"""

RETURN = r"""
_value:
  description: The MTU in bytes. It is an error if less is left than each host must be able to receive, 576 bytes.
  type: int
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.edge.cloud.plugins.module_utils._network.virtual.underlay import SMALLEST, TAG, VXLAN

TAKES = {
    "vxlan": VXLAN[4],
    "vxlan6": VXLAN[6],
    "wireguard": 60,  # WireGuard 32, UDP 8, IPv4 20
    "wireguard6": 80,  # IPv6 40
    "vlan": TAG,
}
LARGEST = 65535


def vtep_mtu(underlay_mtu: int | str, kind: str | Sequence[str] = "vxlan") -> int:
    """Return the MTU that is left."""
    kinds = [kind] if isinstance(kind, str) else list(kind)
    unknown = [one for one in kinds if one not in TAKES]
    if unknown or not kinds:
        raise AnsibleFilterError(f"edge.cloud.vtep_mtu: kind: {kind!r} is unknown; give one or several of {', '.join(TAKES)}.")
    mtu = _whole(underlay_mtu)
    left = mtu - sum(TAKES[one] for one in kinds)
    smallest = SMALLEST[4]
    if left < smallest:
        raise AnsibleFilterError(
            f"edge.cloud.vtep_mtu: an underlay of {mtu} bytes leaves {left} for VMs with {', '.join(kinds)}, and {smallest} is the "
            f"least that hosts must receive; give the underlay an MTU of {smallest + mtu - left} or more."
        )
    return left


def _whole(mtu: int | str) -> int:
    text = str(mtu).strip()
    if isinstance(mtu, bool) or not (text.isascii() and text.isdigit()) or not 0 < int(text) <= LARGEST:
        raise AnsibleFilterError(f"edge.cloud.vtep_mtu: {mtu!r} is not an MTU; give a whole number of bytes up to {LARGEST}.")
    return int(text)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """See Ansible."""
        return {"vtep_mtu": vtep_mtu}
