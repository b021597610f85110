# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of the module virtual_network_path: it tells a host what the others are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from ansible.plugins.action import ActionBase

FACTS = ("all_ipv4_addresses", "all_ipv6_addresses")


class ActionModule(ActionBase):
    """Runs the module with the names of the play's hosts by their addresses."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See ActionBase."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        options = dict(self._task.args)
        if isinstance(options.get("hosts") or {}, Mapping):
            options["hosts"] = {**_names(known), **(options.get("hosts") or {})}
        options.setdefault("host", known.get("inventory_hostname"))
        done: dict[str, Any] = self._execute_module(
            module_name="edge.cloud.virtual_network_path", module_args=options, task_vars=task_vars
        )
        return {**result, **done}


def _names(known: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of hosts by their addresses; an address that several have, such as that of a NAT, names none."""
    found: dict[str, set[str]] = {}
    for name in known.get("ansible_play_hosts_all", ()):
        for address in _addresses(known["hostvars"][name]):
            found.setdefault(address, set()).add(str(name))
    return {address: names.pop() for address, names in found.items() if len(names) == 1}


def _addresses(variables: Mapping[str, Any]) -> Iterator[str]:
    facts = variables.get("ansible_facts")
    known = [facts.get(fact) for fact in FACTS] if isinstance(facts, Mapping) else []
    listed = [address for addresses in known if isinstance(addresses, list) for address in addresses]  # a host says what it likes
    for text in (variables.get("ansible_host"), *listed):
        try:
            yield str(ip_address(str(text)))
        except ValueError:
            continue
