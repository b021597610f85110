# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options of modules that work on images."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments edge.cloud.images (users of an image) and edge.cloud.images.tls (certificates)."""

    DOCUMENTATION = r"""
options:
  disk_directories:
    description:
      - The folders that are searched, with all below them, for disks that have the image as their backing file. A disk that this
        collection made is known by its lease wherever it is.
      - An image that one of them uses is not removed, and none is while one of the folders is not there or cannot be read.
        The folders of the default may be missing.
    type: list
    elements: path
    default: [/var/lib/edge/vms, /var/lib/edge/recovery]
requirements:
  - qemu-utils
"""

    TLS = r"""
options:
  ca_file:
    description:
      - The file of CA certificates (PEM) that must have signed the other side's certificate.
      - Without it the CAs of the host's system are trusted. The host name is always verified.
    type: path
  cert_file:
    description:
      - The client certificate (PEM) to show to the other side.
    type: path
  key_file:
    description:
      - The private key (PEM) of O(cert_file). Without it the key is expected in O(cert_file).
    type: path
"""
