# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that boots in seconds without KVM: Debian's cloud kernel and a busybox initramfs, booted directly.

It asks DHCP, shows its disks and the cloud-init seed's meta-data on the serial console, says GUEST-READY, and powers off when
the host presses the power button. Each second it looks what it has (CPUs, disks, interfaces, memory in MiB) and says when that
is something else: SEES cpus=1 disks=vda nics=eth0 memory=96. With ``edge.share=TAG`` on its command line it reads ``hello`` of that
virtiofs folder and writes ``answer`` there.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

CACHE = Path("/var/cache/edge-tests/small-guest")
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "virtio_console", "virtio_balloon", "button", "evdev", "isofs",
           "virtiofs")  # fmt: skip
READY = "GUEST-READY"
# A busy machine keeps the emulated timer too late for the kernel's check of it. Other processors come up after the drivers: an
# emulating QEMU dies ("iotlb_to_section: Assertion `section_index < d->map.sections_nb' failed") where one of them moves windows
# of devices while another works.
CMDLINE = "console=ttyS0 quiet no_timer_check maxcpus=1"
INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read module; do insmod "$module"; done < /modules
for disk in /sys/class/block/vd*; do
  name=$(basename "$disk")
  echo "DISK $name $(cat "$disk/serial") $(cat "$disk/size")"
  if [ "$(cat "$disk/serial")" = seed ]; then mount -t iso9660 "/dev/$name" /mnt; fi
done
cat /mnt/meta-data
for cpu in /sys/devices/system/cpu/cpu*/online; do if [ "$(cat "$cpu")" = 0 ]; then echo 1 > "$cpu"; fi; done
echo "CPUS $(grep -c ^processor /proc/cpuinfo)"
echo "MEMORY $(grep MemTotal /proc/meminfo)"
if [ -e /sys/class/net/eth0 ]; then
  ip link set eth0 up
  udhcpc -q -i eth0 -s /etc/lease -t 10 -A 1
fi
if [ -e /sys/firmware/efi ]; then echo "FIRMWARE uefi"; fi
if [ -e /sys/firmware/acpi/tables/TPM2 ]; then echo "TPM yes"; fi
share=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^edge.share=//p')
if [ -n "$share" ] && mount -t virtiofs "$share" /share; then
  echo "SHARE $(cat /share/hello)"
  echo "from the guest" > /share/answer
fi
/etc/watch &
echo GUEST-READY
exec acpid -d -f -c /etc/acpi -a /etc/acpid.actions
"""
LEASE = '#!/bin/sh\n[ "$1" = bound ] && ip address add "$ip/$mask" dev "$interface" && echo "ADDRESS $ip"\nexit 0\n'
WATCH = r"""#!/bin/busybox sh
while sleep 1; do
  for cpu in /sys/devices/system/cpu/cpu*/online; do
    if [ -e "$cpu" ] && [ "$(cat "$cpu")" = 0 ]; then echo 1 > "$cpu"; fi
  done
  memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  devices="disks=$(cd /sys/class/block; echo vd*) nics=$(cd /sys/class/net; echo e*)"
  now="cpus=$(grep -c ^processor /proc/cpuinfo) $devices memory=$memory"
  if [ "$now" != "$last" ]; then echo "SEES $now"; last=$now; fi
done
"""
FILES = {
    "init": INIT,
    "etc/watch": WATCH,
    "etc/lease": LEASE,
    "etc/acpid.actions": "PWRF power\n",
    "etc/acpi/power": "#!/bin/sh\nexec poweroff -f\n",
}
FOLDERS = ("bin", "dev", "etc", "etc/acpi", "mnt", "proc", "share", "sys", "tmp")


def small_guest(
    modules: tuple[str, ...] = MODULES,
    files: Mapping[str, str] = FILES,
    folders: tuple[str, ...] = FOLDERS,
    programs: Mapping[str, bytes] = MappingProxyType({}),
) -> tuple[Path, Path]:
    """Return the paths of kernel and initramfs, made once on this machine from Debian's packages.

    ``programs`` are files of this machine that the guest has too.
    """
    has = (modules, files, folders, *(hashlib.sha256(data).hexdigest() for data in programs.values()))
    cache = CACHE / hashlib.sha256(repr(has).encode()).hexdigest()[:16]
    kernel, initrd = cache / "vmlinuz", cache / "initrd.gz"
    if not initrd.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _build(
                Path(work),
                (kernel, initrd),
                modules,
                {**{name: text.encode() for name, text in files.items()}, **programs},
                folders,
            )
    return kernel, initrd


def _run(*argv: str, cwd: Path) -> str:
    return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout


def _build(
    work: Path, made: tuple[Path, Path], names: tuple[str, ...], files: Mapping[str, bytes], folders: tuple[str, ...]
) -> None:
    kernel, initrd = made
    depends = _run("apt-cache", "depends", "linux-image-cloud-amd64", cwd=work)
    package = re.search(r"Depends: (linux-image-\S+)", depends)
    assert package, depends
    work.chmod(0o755)
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", package[1], "busybox-static", cwd=work)
    for archive in work.glob("*.deb"):
        _run("dpkg-deb", "-x", archive.name, "root", cwd=work)
    tree = next(work.glob("root/lib/modules/*"), None) or next(work.glob("root/usr/lib/modules/*"))
    busybox = next(path for path in (work / "root/bin/busybox", work / "root/usr/bin/busybox") if path.exists())
    modules = _with_dependencies(tree, names)
    entries = {**files, "bin/busybox": busybox.read_bytes()}
    entries |= {f"lib-{number}.ko": _bytes_of(path) for number, path in enumerate(modules)}
    entries["modules"] = "".join(f"/lib-{number}.ko\n" for number in range(len(modules))).encode()
    next(work.glob("root/boot/vmlinuz-*")).rename(kernel)
    packed = work / "initrd.gz"
    packed.write_bytes(gzip.compress(cpio(entries, folders), 6, mtime=0))
    packed.rename(initrd)


def _with_dependencies(tree: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the modules and what they need, in the order to load them; what is built in has no file."""
    files = {path.name.split(".ko")[0].replace("-", "_"): path for path in tree.rglob("*.ko*")}
    ordered: list[str] = []

    def add(name: str) -> None:
        if name in ordered or name not in files:
            return
        for needed in _depends(files[name]):
            add(needed)
        ordered.append(name)

    for name in names:
        add(name)
    return [files[name] for name in ordered]


def _bytes_of(module: Path) -> bytes:
    return lzma.decompress(module.read_bytes()) if module.suffix == ".xz" else module.read_bytes()


def _depends(module: Path) -> list[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", _bytes_of(module))
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def cpio(entries: dict[str, bytes], folders: tuple[str, ...]) -> bytes:
    """Return a newc archive; every file is executable."""
    out = io.BytesIO()
    rows = [(name, 0o40755, b"") for name in folders] + [(name, 0o100755, data) for name, data in sorted(entries.items())]
    for number, (name, mode, data) in enumerate([*rows, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        out.write(b"\0" * (-out.tell() % 4) + data)
        out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()
