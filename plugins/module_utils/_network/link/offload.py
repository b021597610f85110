# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who computes the checksums of what a link sends, as ``ethtool --offload LINK tx on|off``, which is not on every host.

Names are those of the name space of this process.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from array import array

FAMILY = socket.AF_UNIX  # any will do; services of ours may have no other
SIOCETHTOOL = 0x8946
GET_TX_CHECKSUMS, SET_TX_CHECKSUMS = 0x16, 0x17  # ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM of linux/ethtool.h


def checksums_in_software(link: str) -> bool:
    """Return whether the kernel computes all checksums before it hands a packet to the link; False if there is no such link."""
    try:
        return not _ioctl(link, GET_TX_CHECKSUMS, 0)
    except OSError:
        return False


def set_checksums_in_software(link: str, on: bool) -> None:
    """Have the kernel compute them, or leave them to what carries the link; raise OSError if the link cannot be set."""
    _ioctl(link, SET_TX_CHECKSUMS, int(not on))


def _ioctl(link: str, command: int, value: int) -> int:
    asked = array("I", (command, value))  # struct ethtool_value
    with socket.socket(FAMILY, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP24x", link.encode(), asked.buffer_info()[0]))  # struct ifreq
    return asked[1]
