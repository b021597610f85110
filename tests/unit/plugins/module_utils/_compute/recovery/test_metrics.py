# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of recovery points, as Prometheus's own parser reads them."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.metrics import FILE, metrics_text, write_metrics
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.progress import Progress
from prometheus_client.parser import text_string_to_metric_families

UUID, OTHER = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11", "1e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"
START = 1_767_225_600.0


def read(text: str) -> dict[str, dict[str, float]]:
    return {
        family.name.removeprefix("edge_recovery_point_"): {one.labels["vm"]: one.value for one in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_what_is_noted_of_each_vm_is_a_metric_of_it() -> None:
    held = Progress("web", UUID, START, 300, "0.2", START + 600.5, (("0.1", START + 300),), failures=3)
    found = read(metrics_text([held, Progress("new", OTHER, START + 1, 900)]))
    assert found == {
        "interval_seconds": {"web": 300, "new": 900},
        "since_timestamp_seconds": {"web": START, "new": START + 1},
        "made_timestamp_seconds": {"web": START + 600.5, "new": 0},
        "held_timestamp_seconds": {"web": START + 300, "new": 0},
        "failures": {"web": 3, "new": 0},
    }


def test_a_name_with_signs_of_the_format_is_read_as_it_is() -> None:
    name = 'a"b\\c\n} 1'
    assert read(metrics_text([Progress(name, UUID, START, 300)]))["interval_seconds"] == {name: 300}


def test_the_file_is_replaced_whole_and_others_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    write_metrics(folder, [Progress("web", UUID, START, 300)])
    write_metrics(folder, [])
    assert [one.name for one in folder.iterdir()] == [FILE]
    assert (folder / FILE).stat().st_mode & 0o777 == 0o644
    assert set(read((folder / FILE).read_text()).values() and map(len, read((folder / FILE).read_text()).values())) == {0}
