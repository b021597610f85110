# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the definition of a virtual network."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments of virtual networks and of links alone.

    edge.cloud.virtual_network and edge.cloud.virtual_network.vxlan are what a definition may have, also of each item of
    edge.cloud.virtual_networks. edge.cloud.virtual_network.link is what each link alone has.
    """

    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of the network, 1 to 50 letters, digits, C(_), C(.) or C(-).
      - The bridge of the network is C(evb-) and the name, or a hash of one that is longer than 11 characters;
        the return value has it.
    type: str
    required: true
  state:
    description:
      - V(present) makes the links of the network now and at each boot.
      - V(absent) removes them. It is refused while other links are ports of its bridge, such as those of VMs, or this host has
        addresses on it, unless O(allow_disruption=true).
    type: str
    choices: [present, absent]
    default: present
  type:
    description:
      - Required with O(state=present).
      - V(vxlan) is a VXLAN over O(underlay) and a bridge, V(vlan) an 802.1Q VLAN of O(underlay) and a bridge.
      - V(bridge) is the existing O(bridge), which is never changed, or without that a bridge of its own, to which others may attach
        ports. V(isolated) is a bridge to which only VMs of this host are attached; another port is an error.
      - V(nat) is refused; use M(edge.cloud.nat_network). V(routed) is refused, too, as it cannot be made yet.
    type: str
    choices: [bridge, isolated, nat, routed, vlan, vxlan]
  bridge:
    description:
      - With O(type=bridge), an existing bridge, for example of M(edge.cloud.bridge).
    type: str
  vni:
    description:
      - Identifier of the VXLAN, 1 to 16777215. No other link or network of the host may have it on the same O(port).
    type: int
  vlan_id:
    description:
      - Identifier of the VLAN, 1 to 4094. No other link or network of the host may have it on the same O(underlay).
    type: int
  vlan_protocol:
    description:
      - The kind of tag with O(type=vlan). V(802.1Q), the default, is what switches expect of a trunk. V(802.1ad) is the outer tag
        of Q-in-Q, with which the tags of VMs pass as they are. VMs that use such need 4 bytes of their MTU for them.
      - For the inner VLAN of Q-in-Q, use as O(underlay) a link of M(edge.cloud.vlan) with V(802.1ad).
    type: str
    choices: [802.1Q, 802.1ad]
  vlan_filtering:
    description:
      - Whether the bridge tells VLANs apart. A frame then passes a port only if its VLAN may, and each port may have other ones.
      - Each new port, such as a VM's, has frames without a tag only, in VLAN 1, and what a VM tags is dropped. C(bridge vlan add)
        lets more pass. Without this option, tags pass as they come.
      - It is refused with O(bridge).
      - To change it while the bridge has ports of others, such as VMs, or VLANs upon it, is refused unless
        O(allow_disruption=true).
    type: bool
    default: false
  vlans:
    description:
      - With O(vlan_filtering=true), the VLANs that pass between the hosts by a VXLAN or VLAN, with their tags, such as V(10) or
        V(20-29). The list is exact. Frames without a tag always pass, so that VLAN 1 cannot be listed.
    type: list
    elements: str
  underlay:
    description:
      - The link that carries the network, required with O(type=vxlan) and O(type=vlan). For a VXLAN it is the link with this host's
        address, be it a network card, a bridge or WireGuard; for a VLAN it must have a layer 2, which the cards of Amazon EC2,
        Microsoft Azure, DigitalOcean and Hetzner Cloud do not have, as the firmware or C(/etc/edge/cloud) of the host says.
    type: str
  flood:
    description:
      - V(static), the default, sends such frames to each of O(members), and needs no multicast between the hosts.
      - V(multicast) sends them to O(group). It cannot be used over WireGuard.
      - V(evpn) sends them to the hosts that FRR learned of by BGP EVPN, which also says behind which host each MAC address is. FRR
        alone fills the link's forwarding table; nothing is added, removed or repaired there. The role C(evpn) sets FRR up.
        The underlay must be IPv4. On a host where FRR runs this way, it takes part for all VXLAN networks, so use it for each.
    type: str
    choices: [static, multicast, evpn]
  local:
    description:
      - This host's address on O(underlay). Without it, the one in O(members) is taken, or the only one, or the only one in
        the subnet of a member. With O(flood=evpn) it is of IPv4.
    type: str
  mtu:
    description:
      - Largest packet of the VMs in bytes. Left out, it is the MTU of O(underlay) less 50 for VXLAN over IPv4, 70 over IPv6; for a
        VLAN none, or 4 if there is a tunnel or a VLAN below already. Without an underlay it is 1500, or that of O(bridge).
      - More than that is refused, and so is less than 1280 with subnets of IPv6, 576 without.
      - It is compared at each run. If the MTU of the underlay was changed, the network's follows, unless it is given and too large.
    type: int
  subnets:
    description:
      - The subnets of the network, IPv4 with a prefix length of 8 or more or IPv6 with one of 16 or more, which may not overlap.
      - They are kept with the definition. No address is put on this host, and none is given out;
        M(edge.cloud.address_network) and M(edge.cloud.virtual_network_dhcp) have subnets of their own.
    type: list
    elements: str
  gateway:
    description:
      - The gateway of the VMs, one of IPv4 and one of IPv6 at most, in one of O(subnets).
    type: list
    elements: str
  dns:
    description:
      - Name servers of the VMs, kept with the definition. M(edge.cloud.virtual_network_dhcp) tells VMs its own.
    type: list
    elements: str
  dhcp:
    description:
      - Whether the VMs are to get their addresses by DHCP. It needs O(subnets), and is kept with the definition. It starts no DHCP;
        M(edge.cloud.virtual_network_dhcp) does.
    type: bool
    default: false
  peers_isolated:
    description:
      - Whether VMs of the network are to reach only what is not a VM of it. It is kept for what starts VMs.
    type: bool
    default: false
  allow_disruption:
    description:
      - Allow to remove a bridge that has ports or addresses, which cuts off the VMs, and to change O(vlan_filtering) of one that is
        in use.
    type: bool
    default: false
requirements:
  - iproute2
"""

    VXLAN = r"""
options:
  members:
    description:
      - The addresses of all hosts that have the VXLAN on their underlays, IPv4 or IPv6, to which a VXLAN sends frames for unknown
        addresses, broadcast and multicast. This host's own is distinguished, so that all hosts can have the same list.
      - The list is exact. A host that is not listed any more gets no such frames.
    type: list
    elements: str
  group:
    description:
      - The multicast group with O(flood=multicast), IPv4 or IPv6. The kernel joins C(net.ipv4.igmp_max_memberships) groups of IPv4
        for each O(port), 20 if that was not changed; one more is refused.
    type: str
  port:
    description:
      - UDP port of the VXLAN, 4789 if left out. It must be the same on all hosts.
    type: int
  software_checksums:
    description:
      - Whether this host computes the checksums of what it sends by a VXLAN itself, and does not leave them to the network card.
      - It costs CPU, and helps where a card or its driver gets them wrong. Ping then passes between the hosts, TCP and UDP do not.
      - Left out, what another program set stays.
    type: bool
    default: false
"""

    LINK = r"""
options:
  name:
    description:
      - Name of the link, 1 to 15 letters, digits, C(_), C(.) or C(-). No virtual network of the host may have it.
    type: str
    required: true
  state:
    description:
      - V(present) makes the link now and at each boot, and sets it up.
      - V(absent) removes it. It is refused while the link has addresses, a master or links upon it, unless
        O(allow_disruption=true).
    type: str
    choices: [present, absent]
    default: present
requirements:
  - iproute2
"""
