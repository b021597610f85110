# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a VM's emulated TPM where libvirt keeps it: ``ROOT/UUID/tpm2/tpm2-00.permall``, which swtpm's user owns."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from ..._errors import NotFound
from ..._files import fsync

CONF = Path("/etc/libvirt/qemu.conf")
SETTING = re.compile(r"""^\s*swtpm_(user|group)\s*=\s*"([^"]*)\"""", re.MULTILINE)
USUAL = "tss"
FILE = Path("tpm2", "tpm2-00.permall")


def owner_of_state(root: Path, uuid: str, conf: Path = CONF) -> tuple[int, int]:
    """Return user and group of the state of a VM: of the one that it has, else as libvirt's settings say.

    Raises NotFound where this host has no such user: then it has no swtpm either.
    """
    there = root / uuid / FILE.parent
    if there.is_dir():
        found = there.stat()
        return found.st_uid, found.st_gid
    text = conf.read_text(errors="replace") if conf.exists() else ""
    set_to = dict(reversed(SETTING.findall(text)))  # libvirt takes the first, too
    user, group = set_to.get("user", USUAL), set_to.get("group", USUAL)
    try:
        return _id(user, lambda: pwd.getpwnam(user).pw_uid), _id(group, lambda: grp.getgrnam(group).gr_gid)
    except KeyError:
        raise NotFound(
            f"The VM has a TPM, and this host has no user {user} or group {group}, as which libvirt runs swtpm; install swtpm "
            "first."
        ) from None


def _id(name: str, find: Callable[[], int]) -> int:
    return int(name.removeprefix("+")) if name.removeprefix("+").isdigit() else find()


def free_aside(root: Path, uuid: str, generation: str) -> Path:
    """Return a name that is free for the state that a VM has."""
    names = (f".{uuid}.before-{generation}{again}" for again in ("", *(f"-{number}" for number in range(2, 10000))))
    return next(path for path in (root / one for one in names) if not path.exists())


def put_state(root: Path, uuid: str, source: Path, aside: str | None) -> None:
    """Give a VM that cannot start the state in the file ``source``, which goes then; the state that it has is kept as ``aside``.

    Another run after a kill at any point does the rest.
    """
    if not source.exists():
        return  # all was done
    target, work = root / uuid, root / f".{uuid}.new"
    owner = owner_of_state(root, uuid) if aside is None or not Path(aside).exists() else _owner_in(Path(aside))
    if aside is not None and target.exists() and not Path(aside).exists():
        target.rename(aside)
        fsync(root)
    if not target.exists():
        shutil.rmtree(work, ignore_errors=True)
        (work / FILE.parent).mkdir(parents=True)
        work.chmod(0o711)
        (work / FILE.parent).chmod(0o700)
        shutil.copyfile(source, work / FILE)
        (work / FILE).chmod(0o600)
        for path in (work / FILE.parent, work / FILE):
            os.chown(path, *owner)
            fsync(path)
        fsync(work)
        work.rename(target)
        fsync(root)
    source.unlink()
    fsync(source.parent)


def _owner_in(folder: Path) -> tuple[int, int]:
    found = (folder / FILE.parent).stat() if (folder / FILE.parent).is_dir() else folder.stat()
    return found.st_uid, found.st_gid
