# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark that the restore of a VM in place of another has begun and not ended: a note in a folder beside the VM's."""

from __future__ import annotations

from pathlib import Path

from ..._errors import Busy

NOTE = "restore.json"


def made_folder(home: str) -> str:
    """Return the folder that has the restored files of the VM with the folder ``home``, until that one has them."""
    path = Path(home)
    return str(path.with_name(f".restored-{path.name}"))


def refuse_while_restoring(name: str, home: str) -> None:
    """Raise Busy where a restore of this VM began and did not end: its disks are in the one folder or in the other."""
    path = Path(made_folder(home), NOTE)
    if path.exists():
        raise Busy(
            f"name: a restore of domain {name} from a recovery point began and did not end; run edge.cloud.recovery_point again, "
            "which finishes it.",
            option="name",
            value=name,
            path=str(path),
        )
