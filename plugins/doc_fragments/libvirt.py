# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options of every module that talks to libvirt."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment edge.cloud.libvirt."""

    DOCUMENTATION = r"""
options:
  uri:
    description:
      - The libvirt connection to use, on the host that the module runs on.
    type: str
    default: qemu:///system
requirements:
  - python3-libvirt
"""
