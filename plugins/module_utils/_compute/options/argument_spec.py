# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a domain, as Ansible's argument specification; every module that takes a domain uses them."""

from __future__ import annotations

from typing import Any

SOURCE: dict[str, Any] = {
    "protocol": {"type": "str", "required": True, "choices": ["rbd", "nbd"]},
    "name": {"type": "str"},
    "hosts": {"type": "list", "elements": "str"},
    "user": {"type": "str"},
    "secret": {"type": "str", "no_log": False},
    "tls": {"type": "bool", "default": False},
}
LIMITS: dict[str, Any] = {
    "total_bytes": {"type": "str"},
    "read_bytes": {"type": "str"},
    "write_bytes": {"type": "str"},
    "total_iops": {"type": "int"},
    "read_iops": {"type": "int"},
    "write_iops": {"type": "int"},
}
DISK: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str"},
    "size": {"type": "str"},
    "path": {"type": "path"},
    "format": {"type": "str", "choices": ["qcow2", "raw"]},
    "preallocation": {"type": "str", "choices": ["off", "falloc", "full"]},
    "target": {"type": "str"},
    "bus": {"type": "str", "choices": ["virtio", "scsi", "sata"]},
    "cache": {"type": "str", "choices": ["none", "writeback", "writethrough", "directsync", "unsafe"]},
    "io": {"type": "str", "choices": ["native", "threads", "io_uring"]},
    "discard": {"type": "str", "choices": ["unmap", "ignore"]},
    "serial": {"type": "str"},
    "read_only": {"type": "bool"},
    "device": {"type": "str", "choices": ["disk", "cdrom"]},
    "source": {"type": "dict", "options": SOURCE},
    "iothread": {"type": "int"},
    "queues": {"type": "int"},
    "limits": {"type": "dict", "options": LIMITS},
}
PUBLIC_ADDRESS: dict[str, Any] = {
    "address": {"type": "str", "required": True},
    "mode": {"type": "str", "choices": ["routed", "nat"]},
    "private_address": {"type": "str"},
    "uplink": {"type": "str"},
}
NIC: dict[str, Any] = {
    "name": {"type": "str"},
    "network": {"type": "str"},
    "bridge": {"type": "str"},
    "virtual_network": {"type": "str"},
    "public_address": {"type": "list", "elements": "dict", "options": PUBLIC_ADDRESS},
    "mac": {"type": "str"},
    "model": {"type": "str", "choices": ["virtio", "e1000e"]},
    "mtu": {"type": "int"},
    "hostdev": {"type": "str"},
    "queues": {"type": "int"},
    "link": {"type": "bool"},
    "inbound": {"type": "str"},
    "outbound": {"type": "str"},
    "vlan": {"type": "int"},
    "addresses": {"type": "list", "elements": "str"},
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
    "sockets": {"type": "int"},
    "cores": {"type": "int"},
    "threads": {"type": "int"},
    "features": {"type": "list", "elements": "str", "default": []},
}
NUMA: dict[str, Any] = {"cpus": {"type": "str", "required": True}, "memory": {"type": "str", "required": True}}
FILESYSTEM: dict[str, Any] = {"tag": {"type": "str", "required": True}, "path": {"type": "path", "required": True}}
RECOVERY: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "interval": {"type": "int"},
    "keep": {"type": "int"},
    "quiesce": {"type": "str", "choices": ["never", "try", "required"]},
    "replicas": {"type": "int"},
    "budget": {"type": "str"},
}
DOMAIN: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "uuid": {"type": "str"},
    "title": {"type": "str"},
    "description": {"type": "str"},
    "os": {"type": "str", "choices": ["linux", "windows"]},
    "memory": {"type": "str"},
    "max_memory": {"type": "str"},
    "vcpus": {"type": "int"},
    "max_vcpus": {"type": "int"},
    "cpu": {"type": "dict", "options": CPU},
    "numa": {"type": "list", "elements": "dict", "options": NUMA},
    "hugepages": {"type": "str"},
    "vcpu_pinning": {"type": "list", "elements": "str"},
    "emulator_pinning": {"type": "str"},
    "iothreads": {"type": "int"},
    "virt_type": {"type": "str", "choices": ["kvm", "qemu"]},
    "arch": {"type": "str"},
    "machine": {"type": "str"},
    "firmware": {"type": "str", "choices": ["bios", "uefi"]},
    "secure_boot": {"type": "bool"},
    "tpm": {"type": "bool"},
    "kernel": {"type": "path"},
    "initrd": {"type": "path"},
    "cmdline": {"type": "str"},
    "disks": {"type": "list", "elements": "dict", "options": DISK},
    "image_servers": {"type": "list", "elements": "str"},
    "nics": {"type": "list", "elements": "dict", "options": NIC},
    "boot_order": {"type": "list", "elements": "str"},
    "filesystems": {"type": "list", "elements": "dict", "options": FILESYSTEM},
    "pci_devices": {"type": "list", "elements": "str"},
    "cloud_init": {"type": "dict", "options": CLOUD_INIT},
    "context": {"type": "dict"},
    "from_image_defaults": {"type": "bool"},
    "user_inputs": {"type": "dict"},
    "console_log": {"type": "bool"},
    "virtio_console": {"type": "bool"},
    "vnc": {"type": "bool"},
    "vnc_listen": {"type": "str"},
    "vnc_password": {"type": "raw", "no_log": True},
    "spice": {"type": "str", "choices": ["none", "loopback", "tls"]},
    "video": {"type": "str", "choices": ["vga", "virtio", "bochs", "qxl", "ramfb"]},
    "usb": {"type": "bool"},
    "tablet": {"type": "bool"},
    "keyboard": {"type": "bool"},
    "watchdog": {"type": "str", "choices": ["none", "reset", "poweroff", "pause"]},
    "guest_agent": {"type": "bool"},
    "rng": {"type": "bool"},
    "autostart": {"type": "bool"},
    "recovery": {"type": "dict", "options": RECOVERY},
    "xml_override": {"type": "str", "no_log": True},
}
CONTROL: dict[str, Any] = {
    "state": {
        "type": "str",
        "choices": ["running", "stopped", "paused", "saved", "restarted", "reset", "absent"],
        "default": "running",
    },
    "allow_restart": {"type": "bool", "default": False},
    "allow_recreate": {"type": "bool", "default": False},
    "force_stop": {"type": "bool", "default": False},
    "delete_disks": {"type": "bool", "default": False},
    "adopt": {"type": "bool", "default": False},
    "wait_for_address": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 120},
}
