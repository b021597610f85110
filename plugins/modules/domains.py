#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module edge.cloud.domains."""

from __future__ import annotations

DOCUMENTATION = r"""
module: domains
short_description: Create, change, run, stop and remove many VMs of a hypervisor in one task
version_added: 0.1.0
description:
  - Brings many libvirt domains of one host to what the options describe, each as M(edge.cloud.domain) does, over one connection.
  - The host is read once. All domains are planned and checked, alone and against each other, before anything is changed. If one of
    them has an error, nothing is changed, and the task fails with the errors of all domains.
  - Domains are worked on in parallel. If one fails on the way, the others are still done, and the task fails with the result
    of each.
extends_documentation_fragment:
  - edge.cloud.attributes
  - edge.cloud.libvirt
options:
  domains:
    description:
      - The domains. Each takes every option of M(edge.cloud.domain) except C(uri) and C(progress_file), and C(name) is required.
      - No two may have the same name, UUID or MAC address, or a disk that one of them writes.
      - A MAC address that a domain of the host has can be given to another one in a later task only.
    type: list
    elements: dict
    required: true
  defaults:
    description:
      - Options of M(edge.cloud.domain) for each of O(domains) that does not have them itself, except C(name), C(uuid), C(uri) and
        C(progress_file).
      - An option of a domain replaces the whole default of that name, lists and dictionaries too.
    type: dict
    default: {}
  unlisted:
    description:
      - What becomes of domains of the host that M(edge.cloud.domain) or this module made and O(domains) does not name.
      - V(keep) leaves them alone. V(absent) shuts them down and undefines them, with C(timeout), C(force_stop) and C(delete_disks)
        of O(defaults); the files of their disks stay unless C(delete_disks) is set there.
      - A domain that came to this host by migration, or is arriving now, is kept in any case, with a warning; remove it by its name
        (C(state=absent)).
      - Domains that others made are never touched, and an empty list of O(domains) is refused with V(absent).
    type: str
    choices: [keep, absent]
    default: keep
  parallel:
    description:
      - How many domains are worked on at a time, 1 to 64. Waits for guests that shut down or for addresses run side by side then.
    type: int
    default: 8
  progress_file:
    description:
      - A file on the host for one line about the progress of a pull of an image, written at most once a second.
    type: path
seealso:
  - module: edge.cloud.domain
  - module: edge.cloud.domain_info
author:
  - The edge.cloud authors (@edge-cloud)
"""

EXAMPLES = r"""
- name: Run three VMs of one image
  edge.cloud.domains:
    defaults:
      memory: 2GiB
      disks:
        - name: root
          image: debian:13.1
          size: 20GiB
      nics:
        - network: edge
    domains:
      - name: web1
      - name: web2
      - name: db
        memory: 8GiB
        vcpus: 4

- name: Stop all of them, together
  edge.cloud.domains:
    defaults:
      state: stopped
      timeout: 60
      force_stop: true
    domains:
      - name: web1
      - name: web2
      - name: db

- name: Keep the database alone, and remove every other VM of ours with its disks
  edge.cloud.domains:
    unlisted: absent
    defaults:
      delete_disks: true
    domains:
      - name: db
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, one sentence a step, in the order of the domains.
  returned: success, and failure after a change
  type: list
  elements: str
  sample: ["Define domain web1", "Start domain web1", "Start domain db"]
domains:
  description:
    - Every domain as M(edge.cloud.domain) returns it, in the order of O(domains), then those that were removed by O(unlisted).
    - One that failed has C(failed=true) and is as it was found after the failure.
  returned: success, and failure after a change
  type: list
  elements: dict
  sample: [{"name": "web1", "state": "running", "address": "192.0.2.17"}, {"name": "db", "state": "running", "address": null}]
error:
  description: What went wrong.
  returned: failure
  type: dict
  contains:
    code:
      description: V(domains_failed), or that of another error of this collection.
      returned: failure
      type: str
      sample: domains_failed
    errors:
      description:
        - For each domain that has an error its name as C(domain), the message as C(msg), the C(code), and further details, such as
          the C(option), or the actions C(done) and C(left).
      returned: where the error is one of domains
      type: list
      elements: dict
      sample: [{"domain": "web1", "code": "not_found", "option": "nics[0].network", "msg": "nics[0].network: ..."}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.batch import Batch, place_of
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import peers_of_cluster
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.events import EventLoop
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.override_text import secrets_in
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import DomainOptions, read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.argument_spec import CONTROL, DOMAIN
from ansible_collections.edge.cloud.plugins.module_utils._disks.points import PointDisks
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._nics.addresses import HostAddresses
from ansible_collections.edge.cloud.plugins.module_utils._nics.networks import HostNetworks
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._secrets import spellings
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import optional_path

FOLDERS = Folders()
OPTIONS = {**DOMAIN, **CONTROL}
OWN = ("name", "uuid")
OF_ONE = ArgumentSpecValidator(OPTIONS)


def complete(module: AnsibleModule, where: str, options: dict[str, Any]) -> DomainOptions:
    """Return the options of one domain over the defaults, checked as the module domain checks its own."""
    given = {key: value for key, value in options.items() if value is not None}
    checked = OF_ONE.validate({**module.params["defaults"], **given})
    module.no_log_values |= checked._no_log_values
    if checked.error_messages:
        raise InvalidInput(f"{where}: {'; '.join(checked.error_messages)}", option=where.split(" ", maxsplit=1)[0])
    wanted = read_options(checked.validated_parameters)
    module.no_log_values |= spellings(*secrets_in(wanted.xml_override or ""), wanted.vnc_password)
    return wanted


def check(params: dict[str, Any]) -> None:
    misplaced = [key for key in params["defaults"] if key in OWN or key not in OPTIONS]
    if misplaced:
        raise InvalidInput(f"defaults: {', '.join(misplaced)} cannot be a default of domains.", option="defaults", value=misplaced)
    if not 1 <= params["parallel"] <= 64:
        raise InvalidInput(f"parallel: {params['parallel']} is not between 1 and 64.", option="parallel", value=params["parallel"])


def run(module: AnsibleModule) -> dict[str, Any]:
    check(module.params)
    items = [(place_of(place, str(one.get("name"))), one) for place, one in enumerate(module.params["domains"])]
    wanted = [complete(module, where, one) for where, one in items]
    purge = complete(module, "defaults", {"name": "unlisted"}) if module.params["unlisted"] == "absent" else None
    runner = SubprocessRunner()
    tool = PointDisks(runner, FOLDERS, optional_path(module.params["progress_file"], "progress_file"))
    with EventLoop(), connection(module.params["uri"]) as opened:
        found = peers_of_cluster(), HostNetworks(runner), HostAddresses(runner)
        batch = Batch(opened, tool, runner, FOLDERS, wanted, module.params["parallel"], purge, *found)
        result = batch.run(module.check_mode)
    for warning in result.pop("warnings"):
        module.warn(warning)
    return result


def main() -> None:
    run_module(
        run,
        free={"domains": OPTIONS, "defaults": OPTIONS},
        argument_spec={
            "domains": {"type": "list", "elements": "dict", "required": True},
            "defaults": {"type": "dict", "default": {}},
            "unlisted": {"type": "str", "choices": ["keep", "absent"], "default": "keep"},
            "parallel": {"type": "int", "default": 8},
            "uri": {"type": "str", "default": "qemu:///system"},
            "progress_file": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
