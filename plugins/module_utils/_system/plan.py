# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what is found to what is declared, in the order that leaves no unit without its files. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from .._errors import Conflict
from .._plan import Plan
from .entry import NAMES, Entry, Found, reasons
from .units import KEPT_ENABLED, NOT_ENABLED, FoundUnit, Unit

UNIT_FOLDER = PurePosixPath("/etc/systemd/system")
READ_FOLDERS = [
    UNIT_FOLDER,
    *(PurePosixPath(f"{above}/systemd/system") for above in ("/run", "/usr/local/lib", "/usr/lib", "/lib")),
]


@dataclass(frozen=True)
class State:
    """What is found: each declared path, and each unit."""

    paths: Mapping[str, Found]
    units: Mapping[str, FoundUnit]


@dataclass(frozen=True)
class SetPath:
    """Make a path as it is declared, or remove it."""

    entry: Entry
    sentence: str

    def predict(self, state: State) -> State:
        """See Step."""
        wanted = self.entry
        found = Found(wanted.kind, wanted.owner, wanted.group, wanted.mode, wanted.data, wanted.target)
        return replace(state, paths={**state.paths, wanted.path: found if wanted.present else Found("absent")})


@dataclass(frozen=True)
class CallUnit:
    """Have systemd do something with a unit, or read all units again."""

    verb: str
    unit: str
    sentence: str

    def predict(self, state: State) -> State:
        """See Step."""
        if not self.unit:
            return state
        found = state.units[self.unit]
        after = {
            "enable": lambda: replace(found, enabled="enabled"),
            "reenable": lambda: replace(found, enabled="enabled", relink=False),
            "disable": lambda: replace(found, enabled="disabled"),
            "stop": lambda: replace(found, running=False, due=False),
        }.get(self.verb, lambda: replace(found, known=True, running=True, due=False))
        return replace(state, units={**state.units, self.unit: after()})


Step = SetPath | CallUnit


def plan(entries: Sequence[Entry], units: Sequence[Unit], state: State) -> Plan[State]:
    """Return the steps: stop what ends, make paths, remove paths, enable, reload once, then start, restart and reload units."""
    paths = [*_made(entries, state.paths), *_removed(entries, state.paths)]
    changed = {step.entry.path for step in paths}
    ended = list(_ended(units, state.units))
    enabled = list(_enabled(units, state.units, {step.entry.path: step.entry for step in paths}, state.paths))
    reread = _reread(changed, [*ended, *enabled], state.units)
    return Plan(state, (*ended, *paths, *enabled, *reread, *_run(units, state.units, changed)))


def kept(entries: Sequence[Entry], after: Mapping[str, Found]) -> list[str]:
    """Return in words what was to be absent and is left, since it holds or is something else."""
    left = [entry for entry in entries if not entry.present and after[entry.path].kind != "absent"]
    return [f"{entry.path} is kept: {_why_kept(entry, after[entry.path])}." for entry in left]


def _why_kept(entry: Entry, found: Found) -> str:
    if found.kind != entry.kind:
        return f"it is {NAMES[found.kind]}, not {NAMES[entry.kind]}"
    if entry.kind == "link":
        return f"it names {found.target}, not {entry.target}"
    if found.mounted:
        return "a file system is mounted there"
    return "it is reached through a symbolic link" if found.followed else "it is not empty"


def _made(entries: Sequence[Entry], found: Mapping[str, Found]) -> Iterator[SetPath]:
    order = ("folder", "file", "link")
    for entry in sorted((entry for entry in entries if entry.present), key=lambda entry: order.index(entry.kind)):
        now = found[entry.path]
        if now.kind == "absent":
            words = {"folder": f"Make the folder {entry.path}", "file": f"Write {entry.path}"}
            yield SetPath(entry, f"{words.get(entry.kind, f'Link {entry.path} to {entry.target}')}: it is not there.")
        elif now.kind != entry.kind:
            raise Conflict(
                f"{entry.option}: {entry.path} is to be {NAMES[entry.kind]}, and is {NAMES[now.kind]}. It was left alone; "
                "move it away if it is not needed.",
                option=entry.option,
                path=entry.path,
            )
        elif why := reasons(entry, now):
            verb = {"folder": "Set the folder", "file": "Write"}.get(entry.kind, "Link again")
            yield SetPath(entry, f"{verb} {entry.path}: {', '.join(why)}.")


def _removed(entries: Sequence[Entry], found: Mapping[str, Found]) -> Iterator[SetPath]:
    order = ("link", "file", "folder")
    gone: set[str] = set()
    going = [entry for entry in entries if not entry.present and found[entry.path].kind == entry.kind]
    for entry in sorted(going, key=lambda entry: (order.index(entry.kind), -len(PurePosixPath(entry.path).parts))):
        if _may_go(entry, found[entry.path], gone):
            gone.add(entry.path)
            yield SetPath(entry, f"Remove {entry.path}{' and all in it' if entry.remove_contents else ''}.")


def _may_go(entry: Entry, now: Found, gone: set[str]) -> bool:
    if entry.kind == "link":
        return now.target == entry.target
    left = {name for name in now.names if f"{entry.path}/{name}" not in gone}
    return not now.followed and not now.mounted and (entry.remove_contents or not left)


def _ended(units: Sequence[Unit], found: Mapping[str, FoundUnit]) -> Iterator[CallUnit]:
    for unit in units:
        now = found[unit.name]
        if unit.started is False and now.running:
            yield CallUnit("stop", unit.name, f"Stop {unit.name}: it runs.")
        if unit.enabled is False and now.enabled not in NOT_ENABLED:
            yield CallUnit("disable", unit.name, f"Disable {unit.name}: it is {now.enabled}.")


def _enabled(
    units: Sequence[Unit], found: Mapping[str, FoundUnit], changed: Mapping[str, Entry], before: Mapping[str, Found]
) -> Iterator[CallUnit]:
    for unit in units:
        now, path = found[unit.name], str(UNIT_FOLDER / unit.name)
        moved = path in changed and installs(changed[path].data) != installs(before[path].data)
        if unit.enabled and now.enabled not in KEPT_ENABLED:
            yield CallUnit("enable", unit.name, f"Enable {unit.name}: it is {now.enabled or 'new'}.")
        elif unit.enabled and (moved or now.relink):
            yield CallUnit("reenable", unit.name, f"Enable {unit.name} again: its [Install] changed.")


def installs(text: bytes) -> list[bytes]:
    """Return the settings of a unit's [Install] section: systemd makes its links when the unit is enabled, not when it changes."""
    found, inside = [], False
    for line in (line.strip() for line in text.splitlines()):
        inside = line == b"[Install]" if line.startswith(b"[") else inside
        found += [line] if inside and line and line[:1] not in (b"#", b";") else []
    return found


def _reread(changed: set[str], called: Sequence[CallUnit], units: Mapping[str, FoundUnit]) -> list[CallUnit]:
    files = sorted(path for path in changed if set(READ_FOLDERS) & set(PurePosixPath(path).parents))
    stale = sorted(name for name, unit in units.items() if unit.stale)
    links = sorted({step.unit for step in called if step.verb in ("enable", "disable", "reenable")})
    why = [f"{', '.join(files)} changed"] if files else [f"{', '.join(stale)} changed before"] if stale else []
    why = why or ([f"what starts {', '.join(links)} changed"] if links else [])
    return [CallUnit("daemon-reload", "", f"Have systemd read its units: {why[0]}.")] if why else []


def _run(units: Sequence[Unit], found: Mapping[str, FoundUnit], changed: set[str]) -> Iterator[CallUnit]:
    for unit in units:
        now = found[unit.name]
        files = sorted(changed.intersection(unit.restart_on))
        if not unit.started and not (unit.started is None and now.running):
            continue
        if not now.running:
            yield CallUnit("start", unit.name, f"Start {unit.name}: it does not run.")
        elif files or now.due:
            why = f"{', '.join(files)} changed" if files else "a run that broke off had changed its files"
            yield CallUnit("restart", unit.name, f"Restart {unit.name}: {why}.")
        elif files := sorted(changed.intersection(unit.reload_on)):
            yield CallUnit("reload", unit.name, f"Reload {unit.name}: {', '.join(files)} changed.")


def diffs(before: Plan[State], show: Callable[[Entry, Found], str]) -> list[dict[str, Any]]:
    """Return Ansible's diff of each changed path; ``show`` makes text of one."""
    after = before.after.paths
    return [
        {
            "before_header": step.entry.path,
            "after_header": step.entry.path,
            "before": show(step.entry, before.before.paths[step.entry.path]),
            "after": show(step.entry, after[step.entry.path]),
        }
        for step in before.steps
        if isinstance(step, SetPath)
    ]


def shown(entry: Entry, found: Found) -> str:
    """Return a path as people read it: its owner and mode, then its text unless that is secret."""
    if found.kind == "absent":
        return ""
    if found.kind == "link":
        return f"-> {found.target}\n"
    head = f"# {found.kind}, owner {found.owner}, group {found.group}, mode {found.mode:04o}\n"
    if entry.kind != "file":
        return head
    return head + ("(secret)\n" if entry.secret else found.data.decode(errors="replace"))
