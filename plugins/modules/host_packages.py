#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.host_packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_packages
short_description: Have packages of the distribution installed
version_added: 0.1.0
description:
  - Asks dpkg once for all packages, and runs apt only if one is missing, so that a host that has them needs no mirror.
  - Lists of packages older than an hour are renewed before an installation. Where no mirror is reached, apt goes on with the
    lists and packages that the host has.
  - Recommended packages are not installed, configuration files are kept, and nothing is upgraded unless a new package needs it.
  - With O(needed_by), a record on the host tells which packages were missing before and came with this collection. They can be
    removed again, and no others. A package that an administrator installs later too cannot be distinguished from ours.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  names:
    description: Names of the packages, without version and architecture. Required with O(state=present).
    type: list
    elements: str
  needed_by:
    description:
      - What they are needed for, such as the name of a role. All its packages are named by one task, as the record keeps one list.
      - Required with O(state=absent).
    type: str
  install:
    description: Whether missing packages are installed. V(false) only records which of them are there, and needs O(needed_by).
    type: bool
    default: true
  state:
    description:
      - V(absent) removes the packages that came with this collection and that are needed by nothing else; neither by others of
        O(needed_by) nor by a package that came otherwise, through dependencies or recommendations. RV(kept) has those that stay.
      - Configuration files and data of packages stay, and so do the users that they made.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: What images need
  edge.cloud.host_packages:
    names: [qemu-utils, zstd]
    needed_by: images

- name: Images are needed no more
  edge.cloud.host_packages:
    needed_by: images
    state: absent
"""

RETURN = r"""
packages:
  description: The packages asked for, or with O(state=absent) those that came with this collection.
  returned: success
  type: dict
  contains:
    installed:
      description: Those that are installed, in check mode also those that would be.
      type: list
      elements: str
    needed:
      description: The names that the record has for O(needed_by), if any.
      type: list
      elements: str
kept:
  description: Packages that came with this collection and stay although nothing of it needs them, since others need them.
  returned: with O(state=absent)
  type: list
  elements: str
kept_by:
  description: The packages of others that would go with those of RV(kept); none if they are only recommended.
  returned: with O(state=absent)
  type: list
  elements: str
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import re
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._module import plan_result, run_module
from ansible_collections.edge.cloud.plugins.module_utils._plan import execute
from ansible_collections.edge.cloud.plugins.module_utils._runner import ModuleRunner
from ansible_collections.edge.cloud.plugins.module_utils._system.package_removal import Removal
from ansible_collections.edge.cloud.plugins.module_utils._system.packages import Packages, view

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
NEEDED_BY = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def run(module: Any) -> dict[str, Any]:
    names, needed_by = module.params["names"] or [], module.params["needed_by"]
    for place, name in enumerate(names):
        if not NAME.fullmatch(name):
            option = f"names[{place}]"
            raise InvalidInput(f"{option}: {name!r} is not the name of a package, such as qemu-utils.", option=option)
    if needed_by is not None and not NEEDED_BY.fullmatch(needed_by):
        raise InvalidInput(f"needed_by: {needed_by!r} must be small letters, digits, - and _, such as a role.", option="needed_by")
    return present(module, names, needed_by or "") if module.params["state"] == "present" else absent(module, needed_by)


def present(module: Any, names: list[str], needed_by: str) -> dict[str, Any]:
    packages = Packages(ModuleRunner(module), needed_by)
    plan = packages.plan(names) if module.params["install"] else packages.plan_note(names)
    if not module.check_mode:
        execute(plan, packages.apply)
    return plan_result(plan, view, "packages")


def absent(module: Any, needed_by: str) -> dict[str, Any]:
    removal = Removal(ModuleRunner(module))
    plan, held = removal.plan(needed_by)
    if held.names:
        module.warn(held.sentence)
    if not module.check_mode:
        execute(plan, removal.apply)
    return {**plan_result(plan, view, "packages"), "kept": list(held.names), "kept_by": list(held.by)}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "names": {"type": "list", "elements": "str"},
            "needed_by": {},
            "install": {"type": "bool", "default": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["names"]), ("state", "absent", ["needed_by"]), ("install", False, ["needed_by"])],
    )


if __name__ == "__main__":
    main()
