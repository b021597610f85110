#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.host_files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Declare the files, folders, links and systemd units of a role at once
version_added: 0.1.0
description:
  - Makes folders, files and symbolic links as declared, then enables, starts, stops and restarts the declared units; one task and
    one connection for all that a role lays down.
  - A file appears whole, by one rename after its bytes are on the disk. A unit is restarted if a file that it names changed, also
    if an earlier run wrote the file and broke off before the restart. systemd reads its units once, after all files. A unit that
    is to be enabled is enabled again if C([Install]) of its file changed.
  - A path of another kind than declared is left alone, and the task fails. Symbolic links in a path are followed only if root
    made them in a folder that only root can write.
  - The controller renders O(files[].template) and reads O(files[].source) as the role's tasks would.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
attributes:
  action:
    support: full
    description: The controller sends the text of templates and files with the task.
  check_mode:
    support: full
    description: Predicts what a run would do, from the same plan, without changing anything. O(files[].validate) is not run.
options:
  state:
    description:
      - V(absent) removes all that is declared, whatever its own state. Units are stopped and disabled before their files go.
      - A folder that is not empty then is kept, unless O(folders[].remove_contents=true), and so is a mount point. RV(kept) tells.
    type: str
    choices: [present, absent]
    default: present
  folders:
    description: Folders, made in this order before all files; those above that are missing are made too, with mode V(0755).
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The absolute path., type: path, required: true}
      state: {description: Whether it is there., type: str, choices: [present, absent], default: present}
      owner: {description: Name of the user., type: str, default: root}
      group: {description: Name of the group., type: str, default: root}
      mode: {description: Permissions in octal., type: str, default: "0755"}
      remove_contents: {description: Whether V(absent) may remove all that is in it., type: bool, default: false}
  files:
    description:
      - Files. One with V(state=present) needs one of C(content), C(secret_content), C(template), C(source) and C(copy_of).
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The absolute path., type: path, required: true}
      state: {description: Whether it is there., type: str, choices: [present, absent], default: present}
      content: {description: Its text., type: str}
      secret_content: {description: "Its text, which is never shown.", type: str}
      template: {description: "Name of a template of the role, rendered on the controller.", type: str}
      source: {description: "Name of a file of the role, on the controller.", type: str}
      copy_of:
        description:
          - The absolute path of a file on the host, whose bytes this one gets. They are never shown.
          - In check mode it may be missing, since a task before would have written it.
        type: path
      secret: {description: Whether the text is left out of the diff and of all output., type: bool, default: false}
      owner: {description: Name of the user., type: str, default: root}
      group: {description: Name of the group., type: str, default: root}
      mode: {description: Permissions in octal., type: str, default: "0644"}
      validate:
        description:
          - Command that ends with 0 if the file is good; C(%s) is the new file, under another name in the same folder.
          - It is run without a shell before the file gets its name. If it fails, the old file stays.
        type: str
  links:
    description: Symbolic links. A link that names something else is replaced by one rename; with V(state=absent) it is kept.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The absolute path., type: path, required: true}
      to: {description: What it names., type: str, required: true}
      state: {description: Whether it is there., type: str, choices: [present, absent], default: present}
  units:
    description: Units of systemd, in this order. A template such as C(example@.service) has a file only, no state.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: "Name of the unit, with its suffix.", type: str, required: true}
      state:
        description:
          - V(started) starts it unless it runs. V(stopped) stops it. V(absent) stops and disables it, and removes the file that was
            given here.
          - Without it, only a unit that runs is restarted.
        type: str
        choices: [started, stopped, absent]
      enabled: {description: Whether it starts at boot. Without it that is left alone., type: bool}
      content:
        description: "The text of C(/etc/systemd/system/NAME). A change of it restarts the unit if it has a state."
        type: str
      template: {description: The same as the name of a template of the role., type: str}
      source: {description: The same as the name of a file of the role., type: str}
      restart_on: {description: Paths of O(files) whose change restarts the unit., type: list, elements: path, default: []}
      reload_on: {description: Paths of O(files) whose change only reloads it., type: list, elements: path, default: []}
"""

EXAMPLES = r"""
- name: A timer with its service and its configuration
  edge.cloud.host_files:
    folders:
      - path: /etc/example
    files:
      - path: /etc/example/settings.json
        content: '{"every": "day"}'
        validate: python3 -m json.tool %s
    units:
      - name: example.service
        content: |
          [Service]
          Type=oneshot
          ExecStart=/usr/bin/true
      - name: example.timer
        content: |
          [Timer]
          OnCalendar=daily
          [Install]
          WantedBy=timers.target
        enabled: true
        state: started

- name: All of it goes
  edge.cloud.host_files:
    state: absent
    folders:
      - path: /etc/example
    files:
      - path: /etc/example/settings.json
    units:
      - name: example.timer
        state: absent
      - name: example.service
        state: absent
"""

RETURN = r"""
files:
  description: The paths that were or would be made, changed or removed.
  returned: success
  type: list
  elements: str
restarted:
  description: The units that were or would be started or restarted.
  returned: success
  type: list
  elements: str
kept:
  description: What was to be absent and was left alone, and why, one sentence each.
  returned: success
  type: list
  elements: str
actions:
  description: What was or would be done and why, one sentence each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._system.apply import Host
from ansible_collections.edge.cloud.plugins.module_utils._system.declared import declared
from ansible_collections.edge.cloud.plugins.module_utils._system.plan import CallUnit, SetPath, diffs, kept, plan, shown
from ansible_collections.edge.cloud.plugins.module_utils._system.units import Systemd

STATE = {"choices": ["present", "absent"], "default": "present"}
OWNED = {"owner": {"default": "root"}, "group": {"default": "root"}}
TEXT: dict[str, Any] = {"content": {}, "template": {}, "source": {}}
FOLDER = {
    "path": {"type": "path", "required": True},
    "state": STATE,
    **OWNED,
    "mode": {"default": "0755"},
    "remove_contents": {"type": "bool", "default": False},
}
FILE = {
    "path": {"type": "path", "required": True},
    "state": STATE,
    **TEXT,
    "secret_content": {"no_log": True},
    "copy_of": {"type": "path"},
    "secret": {"type": "bool", "default": False, "no_log": False},
    **OWNED,
    "mode": {"default": "0644"},
    "validate": {},
}
LINK = {"path": {"type": "path", "required": True}, "to": {"required": True}, "state": STATE}
PATHS = {"type": "list", "elements": "path", "default": []}
UNIT = {
    "name": {"required": True},
    "state": {"choices": ["started", "stopped", "absent"]},
    "enabled": {"type": "bool"},
    **TEXT,
    "restart_on": PATHS,
    "reload_on": PATHS,
}


def run(module: Any) -> dict[str, Any]:
    entries, units = declared(module.params)
    runner = ModuleRunner(module)
    host = Host(runner, Systemd(runner))
    entries = host.filled(entries, missing_ok=module.check_mode)
    steps = plan(entries, units, host.look(entries, units))
    if not module.check_mode:
        host.carry_out(steps, units)
    return {
        "changed": steps.changed,
        "actions": steps.actions,
        "diff": diffs(steps, shown),
        "files": [step.entry.path for step in steps.steps if isinstance(step, SetPath)],
        "restarted": [step.unit for step in steps.steps if isinstance(step, CallUnit) and step.verb in ("start", "restart")],
        "kept": kept(entries, steps.after.paths),
    }


def main() -> None:
    lists = {"folders": FOLDER, "files": FILE, "links": LINK, "units": UNIT}
    run_module(
        run,
        argument_spec={
            "state": STATE,
            **{name: {"type": "list", "elements": "dict", "default": [], "options": spec} for name, spec in lists.items()},
        },
    )


if __name__ == "__main__":
    main()
