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
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  names:
    description: Names of the packages, without version and architecture.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: What images need
  edge.cloud.host_packages:
    names: [qemu-utils, zstd]
"""

RETURN = r"""
packages:
  description: The packages asked for.
  returned: success
  type: dict
  contains:
    installed:
      description: Those that are installed, in check mode also those that would be.
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
from ansible_collections.edge.cloud.plugins.module_utils._system.packages import Packages, view

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def run(module: Any) -> dict[str, Any]:
    for place, name in enumerate(module.params["names"]):
        if not NAME.fullmatch(name):
            option = f"names[{place}]"
            raise InvalidInput(f"{option}: {name!r} is not the name of a package, such as qemu-utils.", option=option)
    packages = Packages(ModuleRunner(module))
    plan = packages.plan(module.params["names"])
    if not module.check_mode:
        execute(plan, packages.apply)
    return plan_result(plan, view, "packages")


def main() -> None:
    run_module(run, argument_spec={"names": {"type": "list", "elements": "str", "required": True}})


if __name__ == "__main__":
    main()
