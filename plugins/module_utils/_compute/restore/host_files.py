# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of this host that a VM is to have because its recovery point says so: kernel, initrd and the log of its console.

A point may come from another host. Its guest could read a kernel or an initrd, which libvirt gives to QEMU's user, and what it
prints goes into the log. So neither is a file here that the VM does not have already and that may be secret or another's.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from ..._errors import EdgeError, NotFound, Refused
from ..._generation import Generation
from ..host.kernel import is_no_kernel
from ..host.kinds import kind_of
from ..model.spec import DomainSpec
from ..xml.about import X86
from ..xml.properties import read_path
from .model import OPTION

LOG = "console.log"


def check_boot_files(spec: DomainSpec, generation: Generation, own: Element | None) -> None:
    """Raise unless the kernel and the initrd can be used; ``own`` is the XML of the point's VM on this host, None without one.

    What that has already is believed, as an administrator of this host gave it.
    """
    had = set(_boot_files(own))
    for what, path in (("kernel", spec.kernel), ("initrd", spec.initrd)):
        if path and path not in had:
            _check(what, path, generation)
            if what == "kernel" and spec.arch in X86 and is_no_kernel(path):
                raise _error(Refused, what, path, generation, "which is not a kernel that QEMU can boot. Put the right one there.")


def _boot_files(own: Element | None) -> Iterator[str]:
    for path in ("os/kernel", "os/initrd"):
        if own is not None and (found := read_path(own, path)):
            yield found


def _check(what: str, path: str, generation: Generation) -> None:
    kind = kind_of(path) if path.startswith("/") else None
    if kind is None:
        raise _error(NotFound, what, path, generation, f"and there is none. Put the {what} of the VM there, and run again.")
    if kind != "file":
        raise _error(Refused, what, path, generation, f"which is not a file ({kind}). Put the {what} of the VM there.")
    if not is_public(path):
        raise _error(
            Refused,
            what,
            path,
            generation,
            "which not every user of this host may read. The guest could read it, and the point may come from another host. If it "
            f"is the {what} of this VM, let everyone read it (chmod o+r, and o+x for the folders above); if not, the point may be "
            "forged: see docs/recovery.md.",
        )


def _error(kind: type[EdgeError], what: str, path: str, generation: Generation, why: str) -> EdgeError:
    text = f"{OPTION}: {generation.name} of the VM {generation.vm.name} says that its {what} is the file {path} of this host, {why}"
    return kind(text, option=OPTION, value=generation.name, path=path)


def is_public(path: str) -> bool:
    """Return whether every user of this host may read a file, so that it is no secret."""
    try:
        found = Path(path).resolve(strict=True)
        reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in found.parents)
        return reached and bool(found.stat().st_mode & stat.S_IROTH)
    except (OSError, RuntimeError):
        return False


def with_own_log(spec: DomainSpec, home: str, own: Element | None) -> tuple[DomainSpec, list[str]]:
    """Return the VM with a log of its console in its folder ``home``, and a warning where it was elsewhere.

    One that the VM has on this host already stays where it is.
    """
    log = spec.console_log
    had = [read_path(one, "log@file") for one in own.iterfind("devices/serial")] if own is not None else []
    if log is None or log in had or PurePosixPath(log).parent == PurePosixPath(home):
        return spec, []
    warning = f"The log of the VM's console was {log} at its recovery point, outside of its folder; it is {LOG} in its folder now."
    return replace(spec, console_log=f"{home}/{LOG}"), [warning]
