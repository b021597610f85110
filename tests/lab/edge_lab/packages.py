# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed where: on the machine that holds the lab, and in base root file systems."""

from __future__ import annotations

import os
from pathlib import Path

from .command import LabError, run, say

MACHINE = {
    "/usr/bin/mmdebstrap": "mmdebstrap",
    "/usr/bin/systemd-nspawn": "systemd-container",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "/usr/sbin/nft": "nftables",
    "/sbin/ip": "iproute2",
    "/sbin/tc": "iproute2",
    "/usr/bin/ssh": "openssh-client",
    "/usr/bin/unshare": "util-linux",
    "/bin/mount": "mount",
}
"""File that must be there: package that brings it."""

MINIMAL = (
    "ca-certificates",
    "curl",
    "dbus",
    "e2fsprogs",
    "gpgv",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libpam-systemd",
    "make",
    "netbase",
    "openssh-server",
    "openssh-sftp-server",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
    "udev",
)
"""What a bare Debian server has (APT comes with the base system)."""

FULL = (
    "dnsmasq-base",
    "libnbd-bin",
    "libvirt-clients",
    "libvirt-daemon-system",
    "nbdkit",
    "nbdkit-plugin-python",
    "python3-libnbd",
    "nftables",
    "nginx-light",
    "openssl",
    "python3-apt",
    "python3-cryptography",
    "python3-libvirt",
    "python3-lxml",
    "qemu-system-x86",
    "qemu-utils",
    "xorriso",
    "zstd",
)
"""What the roles install, so that tests of roles need not wait for it."""

VARIANTS = {"minimal": MINIMAL, "full": tuple(sorted(MINIMAL + FULL))}
RELEASES = ("trixie", "bookworm")


def require_root(verb: str) -> None:
    """Raise LabError unless the process is root's."""
    if os.geteuid() != 0:
        raise LabError(f"{verb}: mounts, namespaces and bridges need root. Run it as root or with sudo.")


def ensure_machine() -> None:
    """Install the packages that the lab needs and the machine lacks; installs nothing on a second call."""
    missing = sorted({package for path, package in MACHINE.items() if not Path(path).exists()})
    if not missing:
        return
    if not Path("/usr/bin/apt-get").exists():
        raise LabError(f"The lab needs {', '.join(missing)}; this machine has no apt-get. Install them, then run again.")
    say("machine", f"installing {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *missing]
    if run(install, check=False, env=env).returncode != 0:
        run(["apt-get", "update", "-o", "DPkg::Lock::Timeout=300"], env=env)
        run(install, env=env)
