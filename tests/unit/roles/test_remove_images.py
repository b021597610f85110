# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a host go without the files of others, whose folder a user may have named as the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.images import qcow2
from support.local_play import local_play

pytestmark = pytest.mark.slow  # it runs Ansible


@pytest.mark.parametrize("shared", [True, False])
def test_only_what_a_store_makes_is_removed(tmp_path: Path, shared: bool) -> None:
    root = tmp_path / "disk"
    others = [
        "index.html",
        "vm.qcow2",
        f"{'a' * 63}.json",
        f"{'A' * 64}.json",
        f"x{'a' * 64}.qcow2",
        "folder/index.json",
        "leases.txt",
    ]
    of_others = {root / name for name in others} if shared else set()
    for file in of_others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("of others")
    image = {"name": "a", "version": "1", "root": str(root), "source": str(qcow2(tmp_path / "a.qcow2", 1)), "pinned": True}
    role = {"name": "edge.cloud.image_server", "tasks_from": "remove_images"}
    tasks = [
        {"edge.cloud.datastore_image": image, "register": "store"},
        {"edge.cloud.qcow2_image": {"path": str(tmp_path / "vm.qcow2"), "backing_image": "{{ store.image.path }}"}},
        {"ansible.builtin.find": {"paths": str(root), "recurse": True}, "register": "made"},
        {"ansible.builtin.assert": {"that": "made.matched > 3"}},
        {"ansible.builtin.include_role": role, "vars": {"image_server_root": str(root)}},
    ]
    done = local_play(tmp_path, {"tasks": tasks})
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path for path in root.rglob("*") if path.is_file()} == of_others and root.exists() == shared
    again = local_play(tmp_path, {"tasks": tasks[-1:]})
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout + again.stderr
