# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits an overlay of a running guest's disk into the file below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..._libvirt import intent, libvirt
from .block_job import JobLimits, block_jobs, is_running, live_chain, mirror_ready, unsuccessful, wait_job
from .pivot import require_remembered, switch


def commit_live(connection: Any, domain: Any, target: str, files: tuple[str, str], limits: JobLimits, *, note: Path) -> None:
    """Commit the first of ``files`` into the second, below it, under a running guest; an earlier run's job is gone on with.

    ``note`` is in the VM's folder, for a switch that is interrupted (``pivot``).

    Returns once the guest does not use the first any more, read back from libvirt. Raises TimedOut after the pace's ``timeout``,
    with the job ended and the chain as it was, Conflict where libvirt has forgotten a switch, and EdgeError where the job failed.
    """
    top, base = files
    require_remembered(connection, domain, target)
    active = live_chain(domain, target)[0] == top
    with block_jobs(connection, domain) as waiter:
        kind = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT if active else libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT
        if not is_running(domain, target, kind):
            flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES | (libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE if active else 0)
            with intent(f"commit {top} into {base} under domain {domain.name()}"):
                domain.blockCommit(target, base, top, limits.bandwidth, flags)
        wait_job(domain, target, waiter, limits, lambda: active and mirror_ready(domain, target))
        if active and mirror_ready(domain, target):
            switch(connection, domain, target, base, note)
    chain = live_chain(domain, target)
    if top in chain or base not in chain:
        raise unsuccessful(f"Committing {top} into {base} under domain {domain.name()}", chain)
