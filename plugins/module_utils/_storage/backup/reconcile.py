# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request to what a module reports: the repository is read, a plan made, applied unless it is only to be predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..._errors import Conflict, NotFound
from ..._generation import DOCUMENT
from ..._plan import Plan, execute
from ..format.qemu_img import QemuImg
from ..recovery.depot import Depot
from ..recovery.listing import vm_of
from ..store.store import Store
from .model import Backup, Source, State, read_time
from .plan import MakeBackup, MakeRepository, Prune, RemoveBackup, Wanted, plan_absent, plan_present
from .request import Request
from .restic import Restic, Summary
from .restored import Restorer, contents_of, drop_work, is_whole, require_empty
from .source import FileSource, VmSource


@dataclass
class Backups:
    """What a run does with backups. ``now`` is the time of a backup of files, ``host`` the name that restic gives this host."""

    restic: Restic
    qemu: QemuImg
    asked: Request
    now: datetime
    host: str
    made: list[tuple[str, Summary]] = field(default_factory=list)

    def run(self, check: bool) -> dict[str, Any]:
        """Return what a module reports."""
        if self.asked.remove_stale_locks and not check:
            with suppress(NotFound):  # a repository that is to be made has no locks; that it is missing is said below
                self.restic.unlock()
        run: dict[str, Callable[[bool], dict[str, Any]]] = {
            "present": self._present,
            "absent": self._absent,
            "restored": self._restored,
        }
        return run[self.asked.state](check)

    def _present(self, check: bool) -> dict[str, Any]:
        taken = self._taken()
        state = self._observed(create=self.asked.init)
        if isinstance(taken, FileSource):
            taken.require_filled(self.restic, state.own(taken.source, self.now, self.host))
        wanted = self._wanted(taken, state)
        plan = plan_present(state, self.restic.access.shown, wanted, self.asked.retention, prune=self.asked.prune, now=self.now)
        return self._applied(plan, taken, wanted.source, check)

    def _absent(self, check: bool) -> dict[str, Any]:
        source, state = self._source(), self._observed()
        going = [one for one in state.of(source) if self._names(one)]
        return self._applied(plan_absent(state, going, self.asked.prune), None, source, check)

    def _applied(self, plan: Plan[State], taken: VmSource | FileSource | None, source: Source, check: bool) -> dict[str, Any]:
        if not check:
            execute(plan, lambda step: self._apply(step, taken, plan.before))
        after = self._observed() if plan.changed and not check else plan.after
        result: dict[str, Any] = {
            "changed": plan.changed,
            "actions": plan.actions,
            "diff": plan.diff(lambda state: {**state.view(), "backups": [one.view() for one in state.of(source)]}),
            "backups": [one.view() for one in after.of(source)],
            "newest": next((one.view()["time"] for one in reversed(after.own(source, self.now, self.host))), ""),
            "warnings": _ahead(after.of(source), self.now),
        }
        if self.made:
            snapshot, summary = self.made[0]
            result["backup"] = {
                "snapshot": next((one.id for one in after.backups if one.id.startswith(snapshot)), snapshot),
                "files_read": summary.files_read,
                "files_known": summary.files_known,
                "bytes_added": summary.bytes_added,
            }
        if self.asked.verify and not check:
            result["verified"] = self._verified(after, source)
        return result

    def _taken(self) -> VmSource | FileSource:
        """Return what is to be backed up; everything that can be refused is, before the repository is touched."""
        asked = self.asked
        if asked.name is not None:
            files = FileSource(asked.name, asked.paths, asked.databases, asked.work_dir)
            files.require_paths()
            return files
        depot = Depot(asked.root)
        taken = VmSource(
            depot, Store(asked.images_root), depot.find(vm_of(depot, str(asked.vm)), asked.generation), asked.base_images
        )
        taken.require_images()
        return taken

    def _wanted(self, taken: VmSource | FileSource, state: State) -> Wanted:
        if isinstance(taken, FileSource):
            return Wanted(taken.source, Backup(taken.source, self.now.replace(microsecond=0), host=self.host))
        same = [one for one in state.of(taken.source) if one.source == taken.source]
        whole = [one for one in same if is_whole(self.restic, one, taken.base_images)]
        broken = tuple(one for one in same if one not in whole)
        time = read_time(taken.generation.instant).replace(microsecond=0)
        return Wanted(taken.source, None if whole else Backup(taken.source, time), broken)

    def _observed(self, *, create: bool = False) -> State:
        """Return what the repository has; raise NotFound where it is not there and none is to be made."""
        try:
            return State(True, self.restic.snapshots())
        except NotFound:
            self.restic.refuse_foreign()
            if not create:
                raise
        return State(there=False)

    def _apply(self, step: object, taken: VmSource | FileSource | None, before: State) -> None:
        if isinstance(step, MakeRepository):
            self.restic.init()
        elif isinstance(step, MakeBackup) and taken:
            self.made.append(taken.back_up(self.restic, step.backup, self._parent(step.backup.source, before)))
            if step.instead:
                self.restic.forget([one.id for one in step.instead])
        elif isinstance(step, RemoveBackup):
            self.restic.forget([step.backup.id])
        elif isinstance(step, Prune):
            self.restic.prune()

    def _parent(self, source: Source, before: State) -> str | None:
        """Return the newest backup of the same that this host made: its files need not be read again."""
        own = [one for one in before.own(source, self.now, self.host) if one.host == self.host]
        return own[-1].id if own else None

    def _source(self) -> Source:
        """Return what is asked for by the repository alone, as where the old host is gone."""
        if self.asked.name is not None:
            return Source(files=self.asked.name)
        vm, backups = str(self.asked.vm), self._observed().backups
        found = {one.source.uuid: one.source for one in backups if vm in (one.source.uuid, one.source.name) and one.source.uuid}
        if len(found) > 1:
            raise Conflict(f"vm: {vm} is the name of several VMs: {', '.join(sorted(found))}; give the UUID.", option="vm")
        if not found and self.asked.state == "restored":
            have = ", ".join(sorted({one.source.name for one in backups if one.source.uuid})) or "none"
            raise NotFound(f"vm: the repository has no backup of the VM {vm!r:.100}; it has those of {have}.", option="vm")
        return next(iter(found.values()), Source(uuid=vm))

    def _names(self, one: Backup) -> bool:
        asked = self.asked
        by_id = asked.snapshot is None or one.id.startswith(asked.snapshot)
        return by_id and asked.generation in (None, one.source.generation)

    def _chosen(self, source: Source, state: State) -> Backup:
        """Return the backup that is asked for; without a word the newest, but none of a time that is still to come."""
        of_it = state.of(source)
        named = self.asked.snapshot is not None or self.asked.generation is not None
        found = [one for one in of_it if self._names(one) and (named or not one.is_ahead(self.now))]
        if not found and not named and of_it:
            have = ", ".join(f"{one.id[:8]} of {one.view()['time']}" for one in of_it)
            raise Conflict(
                f"snapshot: all backups of {of_it[-1].source.words} are of a time after this host's clock. Is the clock right? "
                f"Give the snapshot to restore: {have}.",
                option="snapshot",
            )
        if not found:
            option = "snapshot" if self.asked.snapshot else "generation" if self.asked.generation else "name"
            have = ", ".join(f"{one.id[:8]} ({one.source.generation or one.view()['time']})" for one in of_it) or "none"
            raise NotFound(f"{option}: the repository has no such backup; it has {have}.", option=option)
        newest = {one.host: one for one in found if not source.uuid}
        if len(newest) > 1 and not named:
            each = ", ".join(f"{one.id[:8]} of {host or 'an unknown host'}, {one.view()['time']}" for host, one in newest.items())
            raise Conflict(
                f"name: several hosts have backups of files named {source.files}: {each}. Give the snapshot to restore.",
                option="name",
            )
        return found[-1]

    @property
    def _restorer(self) -> Restorer:
        return Restorer(self.restic, self.qemu, Store(self.asked.images_root))

    def _verified(self, state: State, source: Source) -> dict[str, Any]:
        """Check the repository, and restore the newest backup for a trial."""
        self.restic.check(self.asked.read_data_subset)
        newest = state.own(source, self.now, self.host)[-1:]
        for one in newest:
            self._restorer.drill(one, self.asked.work_dir)
        return {"read_data_subset": self.asked.read_data_subset, "restored": newest[0].id if newest else None}

    def _restored(self, check: bool) -> dict[str, Any]:
        asked, path = self.asked, Path(str(self.asked.path))
        source, state = self._source(), self._observed()
        one = self._chosen(source, state)
        view = one.view()
        if self._is_there(one, path):
            if not check:
                drop_work(path)
            return {"changed": False, "actions": [], "diff": {"before": {}, "after": {}}, "backups": [view], "path": str(path)}
        require_empty(path)
        if not check:
            self._restore(one, path)
        sentence = f"Restore {one.source.words} of {view['time']} into {path}."
        more = ["Put the images that it stands on into the image store."] if asked.import_images else []
        diff = {"before": {}, "after": {"path": str(path), "snapshot": one.id}}
        return {"changed": True, "actions": [sentence, *more], "diff": diff, "backups": [view], "path": str(path)}

    def _restore(self, one: Backup, path: Path) -> None:
        if not one.source.uuid:
            self._restorer.restore_files(one, path)
            return
        contents = self._restorer.restore_vm(one, path, self.asked.form)
        if self.asked.import_images and self.asked.form == "generation":
            self._restorer.import_images(path, contents.generation)

    def _is_there(self, one: Backup, path: Path) -> bool:
        """Return whether a VM's backup was restored there before: only a whole one has that name."""
        if not one.source.uuid or not (path / DOCUMENT).is_file():
            return False
        return (path / DOCUMENT).read_bytes() == contents_of(self.restic, one).document


def _ahead(backups: Sequence[Backup], now: datetime) -> list[str]:
    """Return a sentence where there are backups of a time that is still to come."""
    ahead = [one for one in backups if one.is_ahead(now)]
    if not ahead:
        return []
    found = ", ".join(f"{one.id[:8]} of {one.view()['time']} by {one.host or 'an unknown host'}" for one in ahead)
    return [
        f"Backups are of a time that is still to come: {found}. They stay and do not count, neither as the newest nor for "
        "retention. Was a clock wrong, or does somebody want others to go? Remove them by snapshot, or wait."
    ]
