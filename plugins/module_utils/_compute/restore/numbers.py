# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a restored VM's points go on after all that are known, and nothing noted before is believed of its new disks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..._errors import Corrupt
from ..._files import locked
from ..._generation import Generation
from ..model.host_facts import Folders
from ..recovery import journal as journals
from ..recovery.journal import Journal
from ..recovery.publish import make_folder, settle


def go_on_after(folders: Folders, root: Path, name: str, known: Iterable[Generation]) -> None:
    """Let the next point of a VM have a number after those of the generations that are known, and have all above its images.

    It is durable when this returns; raises Busy where a point of the VM is being made. ``known`` are of this VM, one or more.
    """
    generations = list(known)
    home = root / "outgoing" / generations[0].vm.uuid
    with locked(Path(folders.point(name)), wait=False, make_folder=True):
        for folder in (root, home.parent, home):
            make_folder(folder)
        journal = Journal()
        with suppress(Corrupt):  # it is written again, for points that are all whole
            journal = settle(home, journals.read(home))
        last = max([*generations, *([journal.last] if journal.last else [])], key=lambda one: one.point)
        journals.write(home, replace(journal, checkpoint=None, begun=None, last=last, files={}))
