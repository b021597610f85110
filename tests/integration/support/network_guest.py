# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest with Debian's kernel, whose network our library changes from here: it runs commands that come over its console.

The kernel of this machine may lack 802.1Q or WireGuard; Debian's has both. The guest's ip(8) and bridge(8) are this machine's.
"""

from __future__ import annotations

import base64
import re
import select
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed
from support.small_guest import CMDLINE, small_guest

PROGRAMS = ("ip", "bridge")
MODULES = ("8021q", "bridge", "vxlan", "veth", "dummy", "wireguard", "bonding", "tun", "br_netfilter")
FOLDERS = ("bin", "dev", "etc", "lib", "lib/x86_64-linux-gnu", "lib64", "proc", "run", "run/netns", "sbin", "sys", "tmp")
INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
export PATH=/sbin:/bin
while read module; do insmod "$module"; done < /modules
stty raw -echo
echo GUEST-READY
while read line; do
  if [ "$line" != END ]; then echo "$line" >> /tmp/given; continue; fi
  base64 -d /tmp/given > /tmp/script
  rm /tmp/given
  sh /tmp/script > /tmp/out 2> /tmp/err < /dev/null
  echo "DONE $? $(base64 /tmp/out | tr -d '\n'):$(base64 /tmp/err | tr -d '\n'):"
done
"""
BOOT_SECONDS = 300.0


def network_guest() -> tuple[Path, Path]:
    """Return the paths of kernel and initramfs."""
    programs: dict[str, bytes] = {}
    for name in PROGRAMS:
        file = shutil.which(name)
        assert file
        programs[f"sbin/{name}"] = Path(file).read_bytes()
        libraries = re.findall(r"(/lib\S+)", subprocess.run(["ldd", file], check=True, capture_output=True, text=True).stdout)
        programs |= {library.lstrip("/"): Path(library).read_bytes() for library in libraries}
    return small_guest(MODULES, {"init": INIT}, FOLDERS, programs)


class Console:
    """Runs shell scripts in the guest, one after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process, self._read = process, b""

    def until(self, pattern: bytes, seconds: float) -> re.Match[bytes]:
        """Return the first match in what the guest prints from now on."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._read, re.DOTALL)):
            ready, _w, _x = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = self.process.stdout.read1(1 << 16) if ready else b""  # type: ignore[attr-defined]
            assert data, f"the guest is silent or gone: {self._read[-2000:]!r}"
            self._read += data
        self._read = self._read[found.end() :]
        return found

    def script(self, text: str) -> Completed:
        """Run a script and return its outcome."""
        assert self.process.stdin is not None
        encoded = base64.encodebytes(text.encode()) + b"END\n"
        self.process.stdin.write(encoded)
        self.process.stdin.flush()
        found = self.until(rb"DONE (\d+) ([A-Za-z0-9+/=]*):([A-Za-z0-9+/=]*):", BOOT_SECONDS)
        return Completed(int(found[1]), *(base64.b64decode(part).decode() for part in found.groups()[1:]))


class Inside:
    """A name space of the guest in which commands run; see Runner."""

    def __init__(self, console: Console, name: str = "") -> None:
        self.console, self.name = console, name
        if name:
            self.console.script(f"/sbin/ip netns add {name}; /sbin/ip -n {name} link set lo up")

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        """See Runner."""
        program = f"/sbin/{argv[0]}" if argv[0] in PROGRAMS else argv[0]  # busybox has an ip of its own
        words = shlex.join([*(("/sbin/ip", "netns", "exec", self.name) if self.name else ()), program, *argv[1:]])
        done = self.console.script(words if stdin is None else f"{words} <<'END-OF-INPUT'\n{stdin.rstrip()}\nEND-OF-INPUT\n")
        if check and done.rc:
            raise CommandFailed(argv, done.rc, done.stderr)
        return done

    def ip(self, *words: str) -> str:
        """Run ip(8) there."""
        return self.run(("ip", *words)).stdout


@contextmanager
def booted(more: str = "") -> Iterator[Console]:
    """Give the console of a guest that runs, without KVM: a /dev/kvm that opens may hang all the same.

    ``more`` is for the kernel's command line.
    """
    kernel, initrd = network_guest()
    argv = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-no-reboot"]
    argv += ["-display", "none", "-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{CMDLINE} {more}", "-serial", "stdio"]
    process: Any = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        console = Console(process)
        console.until(b"GUEST-READY", BOOT_SECONDS)
        yield console
    finally:
        process.kill()
        process.communicate()
