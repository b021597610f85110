# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's rule of udev and file of sysctl.d, by systemd of each release with Debian's kernel, when br_netfilter is loaded."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from edge_lab import base
from edge_lab.api import unusable
from edge_lab.settings import Settings
from support.processes import TREE
from support.small_guest import CMDLINE, small_guest

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1800)]
FILES = TREE / "roles/hypervisor/files"
RULE, SETTINGS = "etc/udev/rules.d/60-edge-bridges.rules", "etc/sysctl.d/10-edge-bridges.conf"
PROGRAMS = ("/usr/bin/udevadm", "/usr/lib/systemd/systemd-sysctl")
INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mkdir /run/udev
late=$(tail -n 1 /modules)
while read module; do [ "$module" = "$late" ] || insmod "$module"; done < /modules
case "$(cat /proc/cmdline)" in
  *without*) rm /etc/udev/rules.d/*;;
  *theirs*) echo net.bridge.bridge-nf-call-iptables = 1 > /etc/sysctl.d/99-theirs.conf;;
esac
ln -s /usr/bin/udevadm /bin/systemd-udevd
systemd-udevd --daemon
[ -e /proc/sys/net/bridge ] && echo LOADED-ALREADY
insmod "$late"
udevadm settle --timeout=300
for one in arptables ip6tables iptables; do echo "SEEN $one $(cat /proc/sys/net/bridge/bridge-nf-call-$one)"; done
poweroff -f
"""


def libraries(root: Path) -> dict[str, bytes]:
    """Return the programs of a root file system, with what they load, by their paths in the guest."""
    listed = subprocess.run(["chroot", str(root), "ldd", *PROGRAMS], capture_output=True, text=True, check=True).stdout
    found = {}
    for path in (*PROGRAMS, *sorted(set(re.findall(r"(/\S+) \(0x", listed)))):
        real = subprocess.run(["chroot", str(root), "readlink", "-f", path], capture_output=True, text=True, check=True).stdout
        found[path.lstrip("/")] = (root / real.strip().lstrip("/")).read_bytes()
    return found


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def guest(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    if reason := unusable():
        pytest.skip(reason)
    root = base.ensure(Settings.from_environment(), request.param, "minimal")
    files = {"init": INIT, RULE: (FILES / "edge-bridges.rules").read_text(), SETTINGS: (FILES / "edge-bridges.conf").read_text()}
    programs = libraries(root)
    needed = {str(parent) for path in (*files, *programs) for parent in list(Path(path).parents)[:-1]}
    folders = tuple(sorted({"bin", "dev", "proc", "run", "sys", "tmp", *needed}))
    return small_guest(("bridge", "br_netfilter"), files, folders, programs)


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("ours", {"arptables": "0", "ip6tables": "0", "iptables": "0"}),
        ("theirs", {"arptables": "0", "ip6tables": "0", "iptables": "1"}),
        ("without", {"arptables": "1", "ip6tables": "1", "iptables": "1"}),
    ],
)
def test_the_settings_of_a_module_that_comes_late(guest: tuple[Path, Path], word: str, seen: dict[str, str]) -> None:
    kernel, initrd = guest
    argv = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-no-reboot"]
    argv += ["-display", "none", "-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{CMDLINE} {word}", "-serial", "stdio"]
    printed = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=True, stdin=subprocess.DEVNULL).stdout
    assert "LOADED-ALREADY" not in printed
    assert dict(re.findall(r"SEEN (\w+) (\d)", printed)) == seen, printed
