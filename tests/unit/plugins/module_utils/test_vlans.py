# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of a port as texts."""

from __future__ import annotations

from ansible_collections.edge.cloud.plugins.module_utils._vlans import (
    DEFAULT,
    LARGEST,
    changes,
    collapsed,
    expanded,
    of_port,
    tagged,
)
from hypothesis import given
from hypothesis import strategies as st

ports = st.dictionaries(st.integers(1, 30) | st.integers(LARGEST - 2, LARGEST), st.sampled_from(["", "untagged", "pvid untagged"]))


@given(ports)
def test_texts_say_all(words: dict[int, str]) -> None:
    assert expanded(collapsed(words)) == words
    assert collapsed(expanded(collapsed(words))) == collapsed(words)


@given(ports, ports)
def test_changes_lead_from_any_vlans_to_any_others(before: dict[int, str], after: dict[int, str]) -> None:
    now = expanded(collapsed(before) or DEFAULT)
    for _vlan, verb, _dev, link, _vid, numbers, *words in changes(collapsed(before), collapsed(after), "evx-a"):
        assert link == "evx-a"
        for vlan in expanded([numbers]):
            if verb == "del":
                del now[vlan]
            else:
                assert vlan not in now
                now[vlan] = " ".join(words)
    assert now == (after or expanded(DEFAULT))


def test_as_bridge_lists_them() -> None:
    whole = [
        {"vlan": 1, "flags": ["PVID", "Egress Untagged"]},
        {"vlan": 10, "vlanEnd": 12},
        {"vlan": 13, "flags": ["Egress Untagged"]},
    ]
    assert of_port(whole) == ("1 pvid untagged", "10-12", "13 untagged")
    assert of_port([{"vlan": 10}, {"vlan": 11}]) == ("10-11",)


def test_a_users_list() -> None:
    assert tagged(["30", " 20-29 ", "25", "10"], "vlans") == ("10", "20-30")
