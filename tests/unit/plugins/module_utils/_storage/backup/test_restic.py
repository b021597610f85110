# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons of restic, in its words of Debian 12 (0.14) and of Debian 13 (0.18, JSON), become sentences that say what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.request import Access
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.restic import Restic
from ansible_collections.edge.cloud.plugins.module_utils._storage.backup.words import plain


def ended(code: int, message: str) -> str:
    return json.dumps({"message_type": "exit_error", "code": code, "message": message}) + "\n"


MISSING = "repository does not exist: unable to open config file: stat /backup/config: no such file or directory"
HINT = "Is there a repository at the following location?\n/backup"
LOCK = "unable to create lock in backend: repository is already locked exclusively by PID 7 on edge1 by root (UID 0, GID 0)"
FULL = "unable to save snapshot: write /backup/data/4c/4c1e-tmp-1: no space left on device"
FAILED = json.dumps({"message_type": "error", "error": {"message": FULL}, "during": "archival", "item": "/points/vda"}) + "\n"


class Says:
    """restic, as it ends with this code and these words."""

    def __init__(self, code: int, words: str) -> None:
        self.done = Completed(code, "", words)

    def run(self, _argv: Any, **_options: Any) -> Completed:
        return self.done


PLACE = "Is it mounted, and is it the right place? To make a new one there, set init."
OLD = "unable to open config file: stat /backup/config: no such file or directory"
SERVER = "unable to open repository at sftp:me@host:/x: EOF"
CASES = {
    "missing": (10, ended(10, f"Fatal: {MISSING}\n{HINT}"), f"there is no repository of restic at /backup: {MISSING}. {PLACE}"),
    "missing in 0.14": (1, f"Fatal: {OLD}\n{HINT}\n", f"there is no repository of restic at /backup: {OLD}. {PLACE}"),
    "locked": (
        11,
        ended(11, f"Fatal: {LOCK}\nlock was created at 2026-11-28 (1m ago)\nstorage ID 4c1e"),
        f"/backup is locked by another run of restic: {LOCK} lock was created at 2026-11-28 (1m ago) storage ID 4c1e. Wait for its "
        "end. If it was killed, set remove_stale_locks: locks of processes of this host that ended, and locks older than 30 "
        "minutes, are removed.",
    ),
    "full": (
        1,
        FAILED + ended(1, f"Fatal: {FULL}"),
        f"there is no space left at /backup, or for restic's temporary files on this host (TMPDIR): /points/vda: {FULL} {FULL}. "
        "What was backed up before stays. Free some there, or remove backups (state absent, or retention).",
    ),
    "closed": (
        1,
        ended(1, f"Fatal: {SERVER}"),
        f"/backup cannot be opened: {SERVER}. Is its server reached from this host, and are user, key and path right?",
    ),
}
KINDS = {"missing": "not_found", "missing in 0.14": "not_found", "locked": "busy", "full": "no_space", "closed": "unreachable"}


def fails(code: int, words: str) -> EdgeError:
    with pytest.raises(EdgeError) as found:
        Restic(Says(code, words), Access("/backup", "secret")).snapshots()
    return found.value


@pytest.mark.parametrize("case", CASES)
def test_a_reason_is_a_sentence_with_the_next_step(case: str) -> None:
    code, words, sentence = CASES[case]
    error = fails(code, words)
    assert (error.code, error.message, error.details["option"]) == (KINDS[case], f"repository: {sentence}", "repository")


def test_a_wrong_password() -> None:
    error = fails(12, ended(12, "Fatal: wrong password or no key found"))
    assert (error.code, error.message, error.details["option"]) == (
        "refused",
        "password: it does not open the repository /backup: wrong password or no key found. Give the password that it was made "
        "with; without that nothing in it can be read.",
        "password",
    )


def test_no_space_where_something_is_restored_is_of_its_path(tmp_path: Any) -> None:
    with pytest.raises(EdgeError, match=r"^path: there is no space left .*: .*Free some, or give another path") as found:
        Restic(Says(1, ended(1, f"Fatal: {FULL}")), Access("/backup", "secret")).restore("4c1e", tmp_path)
    assert found.value.code == "no_space"


def test_secrets_are_hidden_however_json_writes_them() -> None:
    words = ended(1, 'Fatal: rest:http://me:c4n4ry@host/ says no to "pass\\word"')
    with pytest.raises(EdgeError) as found:
        Restic(Says(1, words), Access("/backup", "pass\\word")).snapshots()
    assert "c4n4ry" not in str(found.value.details) and "pass\\word" not in str(found.value.details)
    assert "********" in found.value.message or "********" in str(found.value.details)


@pytest.mark.parametrize("snapshot", ["", "latest", "4c1e"])
def test_nothing_but_an_id_is_removed(snapshot: str) -> None:
    with pytest.raises(EdgeError, match=r"is not the ID of a snapshot; nothing was removed"):
        Restic(Says(0, ""), Access("/backup", "secret")).forget(["a" * 64, snapshot])


def test_a_removal_that_the_server_refused_is_not_believed() -> None:
    """restic 0.17 and 0.18.0 end well then."""
    kept = {"id": "4c1e" * 16, "time": "2026-05-01T10:00:00Z", "tags": ["edge", "edge-files=etc"]}
    for listed, gone in (([kept], "4c1e4c1e"), ([kept], kept["id"])):
        with pytest.raises(EdgeError, match=r"^repository: /backup still has 4c1e4c1e, which restic was to remove") as found:
            Restic(Lists(listed), Access("/backup", "secret")).forget([gone])
        assert found.value.code == "refused"
    Restic(Lists([kept]), Access("/backup", "secret")).forget(["a" * 64])


class Lists:
    """restic, whose every command ends well; its repository has these snapshots."""

    def __init__(self, found: list[Any]) -> None:
        self.found = found

    def run(self, _argv: Any, **_options: Any) -> Completed:
        return Completed(0, json.dumps(self.found), "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", ""),
        ("{ not JSON", "{ not JSON"),
        ('{"other": 1}', '{"other": 1}'),
        ('{"message_type": "status", "percent_done": 0.5}\nFatal: gone\n', "gone"),
        ("[1, 2]", "[1, 2]"),
        ("Fatal: one\nFatal: one\ntwo\n", "one two"),
        (HINT, ""),
    ],
)
def test_words_that_are_no_message_stay(words: str, text: str) -> None:
    assert plain(words) == text
