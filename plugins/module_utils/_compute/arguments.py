# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a domain, as Ansible's argument specification; every module that takes a domain uses them."""

from __future__ import annotations

from typing import Any

DISK: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str"},
    "size": {"type": "str"},
    "path": {"type": "path"},
    "format": {"type": "str", "choices": ["qcow2", "raw"]},
    "target": {"type": "str"},
    "bus": {"type": "str", "choices": ["virtio", "scsi", "sata"]},
    "cache": {"type": "str", "choices": ["none", "writeback", "writethrough", "directsync", "unsafe"]},
    "io": {"type": "str", "choices": ["native", "threads", "io_uring"]},
    "discard": {"type": "str", "choices": ["unmap", "ignore"]},
    "serial": {"type": "str"},
    "read_only": {"type": "bool"},
}
NIC: dict[str, Any] = {
    "name": {"type": "str"},
    "network": {"type": "str"},
    "bridge": {"type": "str"},
    "mac": {"type": "str"},
    "model": {"type": "str", "choices": ["virtio", "e1000e"]},
    "mtu": {"type": "int"},
}
CLOUD_INIT: dict[str, Any] = {
    "hostname": {"type": "str"},
    "ssh_authorized_keys": {"type": "list", "elements": "str", "no_log": False},
    "user_data": {"type": "raw"},
    "vendor_data": {"type": "raw"},
    "network_config": {"type": "dict"},
    "meta_data": {"type": "dict"},
}
CPU: dict[str, Any] = {
    "mode": {"type": "str", "required": True, "choices": ["host-model", "host-passthrough", "maximum", "custom"]},
    "model": {"type": "str"},
}
DOMAIN: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "uuid": {"type": "str"},
    "memory": {"type": "str"},
    "vcpus": {"type": "int"},
    "cpu": {"type": "dict", "options": CPU},
    "virt_type": {"type": "str", "choices": ["kvm", "qemu"]},
    "arch": {"type": "str"},
    "machine": {"type": "str"},
    "kernel": {"type": "path"},
    "initrd": {"type": "path"},
    "cmdline": {"type": "str"},
    "disks": {"type": "list", "elements": "dict", "options": DISK},
    "image_servers": {"type": "list", "elements": "str"},
    "nics": {"type": "list", "elements": "dict", "options": NIC},
    "cloud_init": {"type": "dict", "options": CLOUD_INIT},
    "console_log": {"type": "bool"},
    "vnc": {"type": "bool"},
    "guest_agent": {"type": "bool"},
    "rng": {"type": "bool"},
    "autostart": {"type": "bool"},
}
CONTROL: dict[str, Any] = {
    "state": {"type": "str", "choices": ["running", "stopped", "absent"], "default": "running"},
    "allow_restart": {"type": "bool", "default": False},
    "force_stop": {"type": "bool", "default": False},
    "delete_disks": {"type": "bool", "default": False},
    "adopt": {"type": "bool", "default": False},
    "wait_address": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 120},
}
