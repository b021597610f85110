#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module edge.cloud.image_slot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_slot
short_description: A place on the Front-end into which one host may send one image
version_added: 0.1.0
description:
  - Opens, closes and removes the slot of a host for an image, which the image server of the role C(image_server) then takes by
    C(PUT /incoming/DIGEST). The playbook C(save_image) uses it.
  - A slot opens only if its image has room beside those that all other slots are for, once as it is sent and once in the image
    datastore, and 1 GiB stays. So hosts that send at the same time cannot fill the Front-end together.
  - A slot ends by itself after O(valid_for) seconds, whatever became of the run that opened it. What may still arrive for a slot
    that has ended, since a host sends on, counts until nothing arrives any more.
author:
  - The edge.cloud authors (@edge-cloud)
extends_documentation_fragment:
  - edge.cloud.attributes
options:
  path:
    description:
      - The folder of the image server for images that hosts send, C(frontend_incoming). The slots are in C(edge-slots) there.
    type: path
    default: /var/lib/edge/incoming
  host:
    description:
      - The name in the certificate of the host that sends; its first 64 characters count.
    type: str
    required: true
  digest:
    description:
      - The digest of the image, C(sha256:) and 64 hexadecimal digits.
    type: str
    required: true
  size:
    description:
      - The length of the image in bytes. The server takes no other.
    type: int
    required: true
  state:
    description:
      - V(open) lets the host send. One that is open already stays so for another O(valid_for) seconds, which is not a change. An
        image that has arrived stays.
      - V(closed) lets only root write, for as long, so that the image can be imported.
      - V(absent) removes it, with what has arrived.
    type: str
    choices: [open, closed, absent]
    default: open
  valid_for:
    description:
      - Seconds until the slot ends by itself, from 60 to 518400, which is six days. C(edge-slots.timer) looks every ten minutes.
    type: int
    default: 86400
  datastore:
    description:
      - The folder of the image datastore, in whose file system the image has to have room.
    type: path
    default: /var/lib/edge/datastore
  owner:
    description:
      - The user of the image server, who may write into an open slot.
    type: str
    default: www-data
"""

EXAMPLES = r"""
- name: Let a host send an image
  edge.cloud.image_slot:
    host: edge1.example
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    size: 1073741824
    valid_for: 3600

- name: No more
  edge.cloud.image_slot:
    host: edge1.example
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    size: 1073741824
    state: absent
"""

RETURN = r"""
slot:
  description: The slot afterwards.
  returned: success
  type: dict
  contains:
    path:
      description: Its folder; the image is C(image) in it.
      type: str
    state:
      description: Whether it is V(open), V(closed) or V(ended).
      type: str
    arrived:
      description: Whether the image is in it.
      type: bool
actions:
  description: What was or would be done, one sentence each.
  returned: success
  type: list
  elements: str
"""

import grp
import pwd
import time
from dataclasses import replace
from typing import Any

from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._module import run_module
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.slots import (
    CLOSED,
    ENDED,
    HOST,
    OPEN,
    SLOT,
    Slot,
    Slots,
    require_room,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.names import absolute_path, hex_of

SHORTEST, LONGEST = 60, 6 * 86400  # what is a week old is removed
SENTENCES = {
    OPEN: "Open the slot {0} for {1} seconds.",
    CLOSED: "Close the slot {0}.",
    ENDED: "Remove the slot {0}.",
}


def wanted(options: dict[str, Any]) -> Slot:
    """Read the options once."""
    if not HOST.fullmatch(options["host"]):
        raise InvalidInput(f"host: {options['host']!r:.300} is not the name of a host.", option="host")
    slot = Slot(options["host"][:64], hex_of(options["digest"]), options["size"])
    if not SLOT.fullmatch(slot.name):
        raise InvalidInput(f"size: {options['size']} is not a number of bytes from 1 to 999999999999999.", option="size")
    if not SHORTEST <= options["valid_for"] <= LONGEST:
        raise InvalidInput(
            f"valid_for: {options['valid_for']} is not {SHORTEST} to {LONGEST} seconds; what is a week old is removed.",
            option="valid_for",
        )
    return slot


def user(name: str) -> tuple[int, int]:
    """Return the numbers of a user, and of root's group."""
    try:
        return pwd.getpwnam(name).pw_uid, grp.getgrgid(0).gr_gid
    except KeyError:
        raise InvalidInput(f"owner: there is no user {name} here; install nginx by the role frontend.", option="owner") from None


def act(slots: Slots, slot: Slot, options: dict[str, Any], now: float) -> None:
    """Make the slot what it is to be."""
    if slot.state == OPEN:
        slots.open(slot, user(options["owner"]))
    elif slot.state == CLOSED:
        slots.close(slot)
    else:
        slots.end(slot, now)


def run(module: Any) -> dict[str, Any]:
    options = module.params
    slot, state = wanted(options), {"absent": ENDED}.get(options["state"], options["state"])
    folder, store = absolute_path(options["path"]), absolute_path(options["datastore"])
    slots = Slots(folder / "edge-slots")
    with slots.hold():
        now = time.time()  # after another run, which may have opened a slot while this one waited
        done = slots.tidy(now, check=module.check_mode)
        # In check mode, those that would end are still there.
        there = {name: replace(one, state=ENDED, arrived=False) if one.over(now) else one for name, one in slots.read().items()}
        before = there.pop(slot.name, slot)
        if before.state == ENDED and state == CLOSED:
            raise InvalidInput(f"state: there is no slot {slot.name} that could be closed.", option="state")
        after = replace(before, state=state, since=now, until=now + options["valid_for"])
        if state == OPEN:
            require_room(after, there.values(), slots.bodies(), slots.folder, store)
        done += [SENTENCES[state].format(slot.name, options["valid_for"])] if before.state != state else []
        if not module.check_mode and (before.state, state) != (ENDED, ENDED):
            act(slots, after, options, now)
    views = [view(slots, one) for one in (before, replace(after, arrived=after.arrived and state != ENDED))]
    return {"changed": bool(done), "actions": done, "slot": views[1], "diff": {"before": views[0], "after": views[1]}}


def view(slots: Slots, slot: Slot) -> dict[str, Any]:
    return {"path": str(slots.folder / slot.name), "state": slot.state, "arrived": slot.arrived}


def main() -> None:
    run_module(
        run,
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/edge/incoming"},
            "host": {"required": True},
            "digest": {"required": True},
            "size": {"type": "int", "required": True},
            "state": {"choices": ["open", "closed", "absent"], "default": "open"},
            "valid_for": {"type": "int", "default": 86400},
            "datastore": {"type": "path", "default": "/var/lib/edge/datastore"},
            "owner": {"default": "www-data"},
        },
    )


if __name__ == "__main__":
    main()
