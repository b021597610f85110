# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the recovery points of a host's VMs are, as metrics in Prometheus's text format, for node_exporter's textfile collector.

Times are instants, not ages: a file that is written no more does not look fresh, and an alert compares them with the time of now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ..._files import write_atomically
from .progress import Progress

FILE = "edge_recovery_points.prom"
METRICS: tuple[tuple[str, str, Callable[[Progress], float]], ...] = (
    ("interval_seconds", "Seconds between recovery points, by the VM's policy.", lambda one: one.interval),
    ("since_timestamp_seconds", "When the policy was first seen.", lambda one: one.since),
    ("made_timestamp_seconds", "When the newest point had all that the VM had; 0 without one.", lambda one: one.current or 0),
    ("held_timestamp_seconds", "The same of the newest point that enough other hosts hold.", lambda one: one.safe or 0),
    ("failures", "Tries in a row that made no point.", lambda one: one.failures),
)


def metrics_text(vms: Iterable[Progress]) -> str:
    """Return the metrics of all VMs, by name, each with the labels ``vm`` and ``uuid``."""
    seen = sorted(vms, key=lambda one: (one.vm, one.uuid))
    lines = []
    for name, text, value in METRICS:
        metric = f"edge_recovery_point_{name}"
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge"]
        lines += [f'{metric}{{vm="{_label(one.vm)}",uuid="{one.uuid}"}} {value(one):.15g}' for one in seen]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def write_metrics(folder: Path, vms: Iterable[Progress]) -> None:
    """Replace the file of the metrics; the collector sees the old or the new."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(folder / FILE, metrics_text(vms).encode(), folder / f".{FILE}.new", 0o644)
