# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial of a change: who decides first, what is written then, and what is put back; its programs run by the real sh."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Conflict, EdgeError, NotFound, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink import trial as module
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.model import BootFile, Move, Parts
from ansible_collections.edge.cloud.plugins.module_utils._network.uplink.trial import Trial, put
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed

MOVE = Move("br0", "eth0", "ifupdown", None, ("192.0.2.10/24",), present=True)


class Systemd:
    """Stands for systemd: it knows which units are active, and runs sh for real."""

    def __init__(self) -> None:
        self.active: set[str] = set()
        self.started: list[str] = []

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        if argv[0] == "systemd-run":
            unit = next(word.removeprefix("--unit=") for word in argv if word.startswith("--unit="))
            self.started.append(unit)
            self.active |= {f"{unit}.timer"} if any(word.startswith("--on-active") for word in argv) else set()
        elif argv[:2] == ("systemctl", "is-active"):
            return Completed(0, "active\n" if argv[2] in self.active else "inactive\n", "")
        elif argv[:2] == ("systemctl", "stop"):
            self.active.discard(argv[2])
        else:
            subprocess.run(argv, check=False)
        return Completed(0, "", "")


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


@pytest.fixture
def trial(tmp_path: Path, systemd: Systemd) -> Trial:
    return Trial(systemd, tmp_path / "trial", tmp_path)


def parts(folder: Path) -> Parts:
    (folder / "interfaces").write_text("old")
    boot = (BootFile(str(folder / "new/first"), None, "1"), BootFile(str(folder / "interfaces"), "old", "new"))
    return Parts(boot, back=(f"echo back >> {folder}/back",), finish=(f"echo finished >> {folder}/finished",))


def whole(_found: dict[str, Any]) -> str:
    return ""


def applied(folder: Path) -> None:
    (folder / "trial/begun").touch()
    (folder / "trial/applied").touch()


def word_of(trial: Trial, token: str) -> str:
    with pytest.raises(Busy) as caught:
        trial.confirm(token, whole)
    return str(caught.value.details["word"])


def undo(folder: Path) -> None:
    assert subprocess.run(["sh", "undo"], cwd=folder / "trial", check=False).returncode == 0


def test_confirmed_and_only_then_written(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    token = trial.prepare(MOVE, parts(tmp_path), (), 60)
    assert systemd.started == [f"edge-uplink-back-{token}", f"edge-uplink-change-{token}"]
    with pytest.raises(Busy, match="is being made"):
        trial.confirm(token, whole)
    applied(tmp_path)
    with pytest.raises(Busy, match="br0 has no address"):
        trial.confirm(token, lambda _found: "br0 has no address")
    word = word_of(trial, token)
    for wrong in (token, f"{token}:", f"{token}:{token}"):
        with pytest.raises(Busy):
            trial.confirm(wrong, whole)
    assert (tmp_path / "interfaces").read_text() == "old"
    with pytest.raises(Busy):
        trial.refuse_open()
    assert trial.confirm(f"{token}:{word}", whole)["name"] == "br0"
    assert ((tmp_path / "interfaces").read_text(), (tmp_path / "new/first").read_text()) == ("new", "1")
    assert not systemd.active
    undo(tmp_path)  # a timer that comes too late
    trial.confirm(token, whole)  # an answer that was lost on its way
    assert not (tmp_path / "back").exists()
    assert (tmp_path / "finished").read_text() == "finished\n"
    trial.refuse_open()


def test_what_did_not_begin_is_not_undone(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    trial.prepare(MOVE, parts(tmp_path), (), 60)
    undo(tmp_path)
    assert not (tmp_path / "back").exists()
    systemd.active.clear()
    trial.refuse_open()


def test_undone_first(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    token = trial.prepare(MOVE, parts(tmp_path), (), 60)
    applied(tmp_path)
    word = word_of(trial, token)
    undo(tmp_path)
    undo(tmp_path)  # once is enough
    systemd.active.clear()
    with pytest.raises(Conflict) as caught:
        trial.confirm(f"{token}:{word}", whole)
    assert caught.value.details["undone"] is True
    assert ((tmp_path / "interfaces").read_text(), (tmp_path / "back").read_text()) == ("old", "back\n")
    trial.refuse_open()


def test_an_undoing_that_was_interrupted_goes_on(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    token = trial.prepare(MOVE, parts(tmp_path), (), 60)
    applied(tmp_path)
    (tmp_path / "trial/decision").write_text("rolled-back\n")
    systemd.active.clear()
    with pytest.raises(Busy, match="lost its timer"):
        trial.refuse_open()
    assert systemd.started[-1] == f"edge-uplink-back-{token}"
    undo(tmp_path)
    assert (tmp_path / "back").read_text() == "back\n"
    trial.refuse_open()


def test_killed_after_the_decision_the_next_run_writes_the_rest(tmp_path: Path, trial: Trial) -> None:
    trial.prepare(MOVE, parts(tmp_path), (), 60)
    applied(tmp_path)
    (tmp_path / "trial/decision").write_text("confirmed\n")
    put(tmp_path / "new/first", "1")
    trial.refuse_open()
    assert (tmp_path / "interfaces").read_text() == "new"


def test_a_file_that_cannot_be_written_undoes_all(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    change = parts(tmp_path)
    bad = Parts((*change.boot, BootFile(str(tmp_path / ("x" * 250)), None, "x")), back=change.back)
    token = trial.prepare(MOVE, bad, (), 60)
    applied(tmp_path)
    path = tmp_path / "trial/change.json"
    word = word_of(trial, token)
    about = json.loads(path.read_text())
    assert len(about["boot"]) == 3
    with pytest.raises((EdgeError, OSError)):
        trial.confirm(f"{token}:{word}", whole)
    assert (tmp_path / "interfaces").read_text() == "old"
    assert not (tmp_path / "new/first").exists()
    assert systemd.started[-1] == f"edge-uplink-back-{token}-now"
    undo(tmp_path)
    assert (tmp_path / "back").exists()


def test_a_file_that_someone_changed_meanwhile_is_left_alone(tmp_path: Path, trial: Trial) -> None:
    token = trial.prepare(MOVE, parts(tmp_path), (), 60)
    applied(tmp_path)
    word = word_of(trial, token)
    (tmp_path / "interfaces").write_text("of somebody else")
    with pytest.raises(Conflict, match="changed by someone else"):
        trial.confirm(f"{token}:{word}", whole)
    assert (tmp_path / "interfaces").read_text() == "of somebody else"


def test_what_is_not_known_or_cannot_be_undone(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    with pytest.raises(NotFound):
        trial.confirm("0", whole)
    with pytest.raises(Unsupported):
        Trial(systemd, tmp_path / "trial", tmp_path / "none").prepare(MOVE, parts(tmp_path), (), 60)
    assert systemd.started == []


def confirmed(tmp_path: Path, trial: Trial) -> str:
    """Prepare a change that was applied and decided, but of which no boot file was written yet."""
    token = trial.prepare(MOVE, parts(tmp_path), (), 60)
    applied(tmp_path)
    (tmp_path / "trial/decision").write_text("confirmed\n")
    return token


def test_where_nothing_can_be_put_back_either_the_change_is_undone_all_the_same(
    tmp_path: Path, trial: Trial, systemd: Systemd
) -> None:
    token = trial.prepare(MOVE, parts(tmp_path), (), 60)
    applied(tmp_path)
    word = word_of(trial, token)
    (tmp_path / ".edge-interfaces.new").mkdir()  # no file can be written beside it
    with pytest.raises(OSError, match=r"\.edge-interfaces\.new"):
        trial.confirm(f"{token}:{word}", whole)
    assert (tmp_path / "interfaces").read_text() == "old" and not (tmp_path / "new/first").exists()
    assert systemd.started[-1] == f"edge-uplink-back-{token}-now"
    undo(tmp_path)
    assert (tmp_path / "back").exists()


@pytest.mark.parametrize("edited", ["interfaces", "new/first"])
def test_what_was_edited_since_a_killed_confirmation_stays(tmp_path: Path, trial: Trial, systemd: Systemd, edited: str) -> None:
    confirmed(tmp_path, trial)
    for name, text in (("new/first", "1"), ("interfaces", "new"), (edited, "by the administrator")):
        put(tmp_path / name, text)
    trial.refuse_open()
    assert (tmp_path / edited).read_text() == "by the administrator"
    assert (tmp_path / "finished").exists() and not systemd.active


def test_the_timer_of_a_change_that_was_confirmed_does_not_undo_the_next(tmp_path: Path, trial: Trial, systemd: Systemd) -> None:
    confirmed(tmp_path, trial)
    (tmp_path / "trial/done").touch()  # killed before the timer was disarmed
    assert systemd.active
    trial.refuse_open()
    assert not systemd.active


def test_a_file_with_other_ends_of_lines_is_the_same_file(tmp_path: Path, trial: Trial) -> None:
    old = "# a\r\niface eth0 inet dhcp\r\n"
    put(tmp_path / "interfaces", old)
    token = trial.prepare(MOVE, Parts((BootFile(str(tmp_path / "interfaces"), old, f"{old}# b\r\n"),)), (), 60)
    applied(tmp_path)
    trial.confirm(f"{token}:{word_of(trial, token)}", whole)
    assert (tmp_path / "interfaces").read_bytes() == f"{old}# b\r\n".encode()


def test_one_at_a_time(tmp_path: Path, systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    first, second = (Trial(systemd, tmp_path / "run/trial", tmp_path) for _ in range(2))
    with first.alone(), pytest.raises(Busy, match="Another process works on this now"), second.alone():
        raise AssertionError
    with second.alone():
        pass
