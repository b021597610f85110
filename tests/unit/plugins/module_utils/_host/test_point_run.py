# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``edge-host point run`` and ``status`` print, and how other hosts are asked for a point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import Message
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Member
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import progress as notes
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.progress import Progress
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery.rounds import Report
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._generation import Disk, File, Generation, Vm
from ansible_collections.edge.cloud.plugins.module_utils._host import point_run
from ansible_collections.edge.cloud.plugins.module_utils._host.point_keepers import TlsKeepers
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.http_client import Trust
from support.web_server import Answer, web

UUID = "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11"
FILES = [File("sha256:" + letter * 64, 1) for letter in "abc"]
ONE = Disk("vda", None, 512).followed_by(FILES[0], 1, 512).followed_by(FILES[1], 2, 512)
POINT = Generation(Vm("web", UUID), 0, 2, "2026-01-01T00:00:00Z", False, False, {}, {}, (ONE,))
Served = dict[str, Answer]


@pytest.fixture
def asked() -> Iterator[Callable[[Answer], bool]]:
    """Ask a server that answers so for the point."""
    served: Served = {}

    def answer(path: str, _headers: Message) -> Answer:
        return served.get(path, Answer(404))

    with web(answer) as here:
        keepers = TlsKeepers({"r1": Member("r1", f"{here.url}/")}, Trust())

        def ask(found: Answer) -> bool:
            served[f"/points/{UUID}/0.2.json"] = found
            return keepers.holds("r1", POINT)

        yield ask
        keepers.close()


def test_a_host_holds_a_point_of_the_same_content_however_its_chain_is_merged(asked: Callable[[Answer], bool]) -> None:
    assert asked(Answer(body=POINT.to_json()))
    merged = replace(ONE.chain[1], digest=FILES[2].digest, of=(1, 2))
    assert asked(Answer(body=replace(POINT, disks=(replace(ONE, chain=(merged,)),)).to_json()))


def test_what_is_not_there_damaged_or_another_is_not_held(asked: Callable[[Answer], bool]) -> None:
    other = replace(POINT, disks=(Disk("vda", None, 512).begun_again(FILES[2], (1, 2), 512),))
    for body in (
        b"",
        b"{",
        other.to_json(),
        replace(POINT, instant="2026-01-02T00:00:00Z").to_json(),
        replace(POINT, number=3).to_json(),
    ):
        assert not asked(Answer(body=body))
    assert not asked(Answer(404))


@pytest.mark.parametrize("status", [403, 500, 502])
def test_a_host_that_answers_with_an_error_says_nothing_of_the_point(status: int, asked: Callable[[Answer], bool]) -> None:
    with pytest.raises(EdgeError):
        asked(Answer(status))


def test_only_other_replicas_that_give_points_are_asked() -> None:
    members = tuple(Member(name, f"https://{name}.example/") for name in ("h1", "h2", "h3"))
    cluster = Cluster("site", "h1", replicas=members[:2], points=members)
    assert [one.name for one in cluster.others(cluster.keepers)] == ["h2"]


def test_a_run_fails_where_a_vm_failed_or_is_late_and_says_what_was_done_all_the_same() -> None:
    made = {"a": {"generation": "0.1", "whole": "", "quiesced": False}}
    assert point_run.outcome(Report())["changed"] is False
    assert point_run.outcome(Report(made=made, busy={"b": "later"}))["changed"] is True
    report = Report(made=made, failed={"b": "No space."}, breaches=["c"], silent={"r1": "no route"})
    with pytest.raises(
        EdgeError, match=r"b: No space\. The recovery points of these VMs are late: c; .* r1 does not answer"
    ) as caught:
        point_run.outcome(report)
    assert caught.value.details["made"] == made and caught.value.details["breaches"] == ["c"]


def test_a_pass_leaves_metrics_and_goes_on_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notes.write(tmp_path / "status", Progress("web", UUID, 0.0, 300))
    monkeypatch.setattr(point_run, "METRICS", tmp_path / "metrics")
    point_run.note_metrics(tmp_path / "status")
    line = f'edge_recovery_point_interval_seconds{{vm="web",uuid="{UUID}"}} 300'
    assert line in (tmp_path / "metrics/edge_recovery_points.prom").read_text().splitlines()
    (tmp_path / "file").touch()
    monkeypatch.setattr(point_run, "METRICS", tmp_path / "file")
    point_run.note_metrics(tmp_path / "status")
    assert f"warning: the metrics in {tmp_path / 'file'} could not be written" in capsys.readouterr().err


def test_the_status_says_what_is_late_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_run, "FOLDERS", Folders(recovery=str(tmp_path)))
    assert point_run.status(Cluster("site", "h1"), {}) == {"vms": [], "breaches": []}
    notes.write(tmp_path / "status", Progress("old", UUID, 0.0, 300))
    found = point_run.status(Cluster("site", "h1"), {})
    assert found["breaches"] == ["old"] and found["vms"][0]["uuid"] == UUID
