#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.host_library."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_library
short_description: Install the collection's library on a host
version_added: 0.1.0
description:
  - Puts the library that the modules of this collection use on the host, as the Python package C(edge_cloud) under
    C(PATH/current), so that programs of the host call the same functions.
  - Modules of this collection start sooner on a host that has it under the default O(path), since it is compiled there; the code
    that runs is always what the controller sent.
  - A new state appears whole, by one rename; a program that starts meanwhile gets the old or the new one.
  - The previous state stays for programs that still run; older ones are removed.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
attributes:
  action:
    support: full
    description: The controller sends the name of the library, and the library itself only to a host that lacks it.
options:
  path:
    description:
      - The folder of the library.
    type: path
    default: /usr/lib/edge
  state:
    description:
      - V(present) makes sure that the host has exactly the library of this collection, V(absent) that it has none, by removing
        O(path). It is refused if the folder has other files.
    type: str
    choices: [present, absent]
    default: present
  archive:
    description:
      - The library as text. The controller sets it; what a playbook gives is ignored.
    type: str
  version:
    description:
      - The name of the library's state, made of its contents. With it and without O(archive), the module only says what it would
        do. The controller sets it; what a playbook gives is ignored.
    type: str
"""

EXAMPLES = r"""
- name: The host has the library
  edge.cloud.host_library:

- name: The host has no library
  edge.cloud.host_library:
    state: absent
"""

RETURN = r"""
library:
  description: The library in use, or an empty dictionary if there is no library.
  returned: success
  type: dict
  contains:
    version:
      description: The name of its state, made of its contents.
      type: str
    whole:
      description: Whether its files are those that were installed.
      type: bool
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._host.library import Library, digest_of, unpack, view
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import execute
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path


def run(module: Any) -> dict[str, Any]:
    options = module.params
    library = Library(absolute_path(options["path"]))
    if options["state"] == "absent":
        version, files, plan = "", {}, library.plan_absent()
    else:
        files = {} if options["version"] and not options["archive"] else unpack(options["archive"] or "")
        version = digest_of(files) if files else options["version"]
        plan = library.plan(version)
    asked = options["state"] == "present" and not files
    if not module.check_mode and not asked:
        execute(plan, lambda step: library.apply(step, files))
    return plan_result(plan, view, "library", None if module.check_mode or asked else library.observe(version))


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/usr/lib/edge"},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "archive": {"no_log": True},
            "version": {},
        },
    )


if __name__ == "__main__":
    main()
