# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host backup``: the backups that ``edge-backup.timer`` makes of this host's recovery points and files, without Ansible."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from .._cluster import Cluster
from .._errors import NotFound
from .._files import locked
from .._runner import SubprocessRunner
from .._storage.backup.notes import Notes, Report
from .._storage.backup.reconcile import Backups
from .._storage.backup.request import Request
from .._storage.backup.restic import Restic
from .._storage.backup.scheduled import ScheduledRun, failure_of
from .._storage.backup.settings import FILE, Settings, read_settings, settings_of
from .._storage.format.qemu_img import QemuImg
from .journal import log

Options = Mapping[str, Any]


def run(_cluster: Cluster | None, _options: Options) -> dict[str, Any]:
    """Back up all that is described; raise with the whole report where anything failed, else return it."""
    settings = read_settings(FILE)
    with locked(settings.work_dir / "lock", wait=False, make_folder=True):
        report = scheduled(settings).run()
    if failure := failure_of(report):
        raise failure
    return shown(report)


def scheduled(settings: Settings) -> ScheduledRun:
    """Return a run by the real restic and qemu-img."""
    restic, host = _restic(settings), socket.gethostname()

    def backups(patient: Restic, request: Request) -> Backups:
        return Backups(patient, QemuImg(SubprocessRunner()), request, datetime.now(UTC), host)

    return ScheduledRun(settings, restic, backups, log)


def shown(report: Report) -> dict[str, Any]:
    """Return it as JSON has it."""
    return {"changed": bool(report.made or report.pruned), **asdict(report)}


def check(_cluster: Cluster | None, options: Options) -> dict[str, Any]:
    """Return how many backups the repository has; raise where it cannot be opened. With ``init`` make it where there is none.

    With ``settings``, and ``password``, it is about these instead of those of this host, which they may then replace.
    """
    proposed = options.get("settings")
    settings = read_settings(FILE) if proposed is None else settings_of(proposed, options.get("password"))
    restic = _restic(settings)
    try:
        found = restic.snapshots()
    except NotFound:
        if not options.get("init"):
            raise
        restic.init()
        return {"changed": True, "repository": restic.access.shown, "backups": 0}
    return {"changed": False, "repository": restic.access.shown, "backups": len(found)}


def status(_cluster: Cluster | None, _options: Options) -> dict[str, Any]:
    """Return what the last run did, as it was noted; the repository is not asked, and no password is needed."""
    settings = read_settings(FILE, opens=False)
    notes = Notes.read(settings.work_dir)
    return {
        "repository": settings.access.shown,
        "last": notes.last or None,
        "succeeded": notes.succeeded or None,
        "newest": notes.newest,
        "problem": notes.problem or None,
        "pruned": notes.pruned or None,
        "verified": notes.verified,
    }


def _restic(settings: Settings) -> Restic:
    return Restic(SubprocessRunner(settings.access.variables), settings.access)
