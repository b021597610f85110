# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are accepted as deltas: our own parser reads them before a program of QEMU does, since any host may send anything."""

from __future__ import annotations

from pathlib import Path

from ..._errors import Refused
from ..._sizes import DELTA_CLUSTER
from ..format import qcow2
from ..format.foreign_image import LARGEST_VIRTUAL_SIZE, refuse_other_files, require_sound
from ..format.qemu_img import Checked, QemuImg

KNOWN_EXTENSIONS = frozenset({qcow2.FEATURE_NAMES})
HINT = " A delta has only the changed blocks of one disk, and names no other file."


def judge_delta(qemu: QemuImg, path: Path, where: str) -> int:
    """Return the virtual size of a delta; raise Refused, Unsupported or Corrupt, naming ``where``, for any other file."""
    header = qcow2.read_header(path)
    qcow2.refuse_unless_standalone(header, where, HINT)
    _refuse(where, _problems(header))
    refuse_other_files(qemu.info(path, "qcow2"), path)
    _refuse_unfolding(require_sound(qemu, path, "qcow2"), path.stat().st_size, where)
    return header.virtual_size


def _problems(header: qcow2.Header) -> list[str]:
    others = ", ".join(f"{one:#x}" for one in sorted(header.extensions - KNOWN_EXTENSIONS))
    problems = {
        f"it is qcow2 version {header.version}, not 3": header.version != 3,
        f"its clusters have {header.cluster_size} bytes, not {DELTA_CLUSTER}": header.cluster_size != DELTA_CLUSTER,
        "it has subclusters": header.extended_l2,
        "it has internal snapshots": header.snapshots > 0,
        "it was not closed cleanly": header.dirty,
        f"its header has extensions that a delta does not need ({others})": bool(others),
        f"its disk has {header.virtual_size} bytes; at most {LARGEST_VIRTUAL_SIZE} are taken": (
            header.virtual_size > LARGEST_VIRTUAL_SIZE
        ),
    }
    return [problem for problem, there in problems.items() if there]


def _refuse_unfolding(found: Checked, size: int, where: str) -> None:
    """Raise Refused where the delta's data is more than its file has: a merge of it would take far more space than the delta."""
    if found.compressed or found.allocated * DELTA_CLUSTER > size:
        _refuse(where, ["its clusters are compressed" if found.compressed else "it has the same cluster at several places"])


def _refuse(where: str, problems: list[str]) -> None:
    if problems:
        raise Refused(f"{where} is refused: {' and '.join(problems)}.{HINT}", path=where)
