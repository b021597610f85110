# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stdout callback for people who wait: phases with seconds, progress of long tasks, whole errors."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Show a playbook as phases, with progress in long tasks
version_added: 0.1.0
author:
  - The edge.cloud authors (@edge-cloud)
description:
  - Each play is a phase. A phase prints its changes and how many seconds it took.
  - A long task prints a line every few seconds, with the last line of its progress file if it has one
    (the variable C(edge_progress_file) of the task or play, a file on the control node).
options:
  phases_file:
    description:
      - File to write the phases to, as a JSON list of objects with C(name), C(seconds), C(changed) and C(ok).
    type: path
    ini:
      - section: callback_phases
        key: phases_file
    env:
      - name: EDGE_PHASES_FILE
  heartbeat:
    description: Seconds between two such lines of a long task.
    type: float
    default: 5
    ini:
      - section: callback_phases
        key: heartbeat
    env:
      - name: EDGE_HEARTBEAT
seealso:
  - name: Quick start
    description: The playbook that this callback was made for.
    link: https://github.com/edge-cloud/edge.cloud
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class Heartbeat:
    """Calls ``beat(seconds)`` every ``interval`` seconds between start() and stop()."""

    def __init__(self, interval: float, beat: Callable[[float], None]) -> None:
        self._interval = interval
        self._beat = beat
        self._stopped = threading.Event()
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Heartbeat:
        """Start the beats in a thread of its own."""
        self._thread.start()
        return self

    def stop(self) -> float:
        """Stop the beats and return the seconds since start."""
        self._stopped.set()
        self._thread.join()
        return time.monotonic() - self._begun

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            self._beat(time.monotonic() - self._begun)


class CallbackModule(CallbackBase):
    """Prints phases; see DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "edge.cloud.phases"

    def __init__(self) -> None:
        super().__init__()
        self._phases: list[dict[str, Any]] = []
        self._play_begun = 0.0
        self._play_vars: dict[str, Any] = {}
        self._heartbeat: Heartbeat | None = None
        self._failed = False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Close the previous phase and open the next."""
        self._end_phase()
        self._phases.append({"name": play.get_name().strip(), "seconds": 0.0, "changed": 0, "ok": True})
        self._play_begun = time.monotonic()
        self._play_vars = play.get_vars()
        self._display.display(f"\n▶ {play.get_name().strip()}", color="bright blue")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        """Watch the task; it is printed if it changes something, fails or takes long."""
        self._end_task()
        name = task.get_name().strip()
        progress = {**self._play_vars, **(task.get_vars() or {})}.get("edge_progress_file")
        self._heartbeat = Heartbeat(self.get_option("heartbeat"), lambda seconds: self._beat(name, progress, seconds)).start()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Watch a handler like any other task."""
        self.v2_playbook_on_task_start(task, False)

    def _beat(self, name: str, progress: str | None, seconds: float) -> None:
        self._display.display(f"    … {name}: {seconds:.0f} s{last_line(progress)}", color="dark gray")

    def _end_task(self) -> float:
        seconds, self._heartbeat = (self._heartbeat.stop() if self._heartbeat else 0.0), None
        return seconds

    def _end_phase(self) -> None:
        self._end_task()
        if self._phases:
            phase = self._phases[-1]
            phase["seconds"] = round(time.monotonic() - self._play_begun, 1)
            self._display.display(f"  {'✔' if phase['ok'] else '✘'} {phase['seconds']:.1f} s, {phase['changed']} changed")

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print a change, or the message of debug."""
        seconds = self._end_task()
        task, data = result._task, result._result
        if task.action.rsplit(".", 1)[-1] == "debug" and not data.get("changed"):
            message = data.get("msg", "")
            self._display.display("\n".join(message) if isinstance(message, list) else str(message))
        elif data.get("changed"):
            self._phases[-1]["changed"] += 1
            self._display.display(f"  ● {task.get_name().strip()} [{result._host.get_name()}] ({seconds:.1f} s)", color="yellow")
            for action in data.get("actions") or []:
                self._display.display(f"      {action}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print the whole error, with the output of the program that failed."""
        self._end_task()
        if ignore_errors:
            return
        self._phases[-1]["ok"] = False
        self._failed = True
        data = result._result
        self._display.display(f"  ✘ {result._task.get_name().strip()} [{result._host.get_name()}]", color="red", stderr=True)
        for line in failure_lines(data):
            self._display.display(f"      {line}", color="red", stderr=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print why the host cannot be reached."""
        self.v2_runner_on_failed(result)

    def v2_runner_retry(self, result: Any) -> None:
        """Print nothing: the heartbeat shows that it goes on."""

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        """Close the last phase and write the phases file."""
        self._end_phase()
        target = self.get_option("phases_file")
        if target:
            Path(target).write_text(json.dumps(self._phases, indent=2) + "\n", encoding="utf-8")


def last_line(progress: str | None) -> str:
    """Return the last line of the progress file, as the end of a heartbeat line, or an empty text."""
    if not progress:
        return ""
    try:
        lines = Path(progress).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return f" — {lines[-1].strip()[:120]}" if lines else ""


def failure_lines(data: dict[str, Any]) -> list[str]:
    """Return the message of a failed result, then those of its items and the output of its program."""
    lines = str(data.get("msg", "failed")).splitlines()
    for item in data.get("results") or []:
        if item.get("failed"):
            lines += str(item.get("msg", "")).splitlines()
    for key in ("stderr", "stdout", "module_stderr"):
        if data.get(key) and data[key] not in lines:
            lines += [f"{key}: {line}" for line in str(data[key]).splitlines()[-20:]]
    return lines
