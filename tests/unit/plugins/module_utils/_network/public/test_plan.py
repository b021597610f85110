# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of public addresses without a host, what is read from sysctl.d, the file of the host, and frames of announcements."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, InvalidInput, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._network.link.model import Link
from ansible_collections.edge.cloud.plugins.module_utils._network.public import filtering, policy, record
from ansible_collections.edge.cloud.plugins.module_utils._network.public.announce import frames
from ansible_collections.edge.cloud.plugins.module_utils._network.public.definition import Definition
from ansible_collections.edge.cloud.plugins.module_utils._network.public.entries import Entry
from ansible_collections.edge.cloud.plugins.module_utils._network.public.filtering import TABLES, Filter
from ansible_collections.edge.cloud.plugins.module_utils._network.public.needs import proxy_ndp
from ansible_collections.edge.cloud.plugins.module_utils._network.public.plan import plan
from ansible_collections.edge.cloud.plugins.module_utils._network.public.state import Facts, Route
from ansible_collections.edge.cloud.plugins.module_utils._network.public.steps import (
    Forget,
    Remember,
    SetFilter,
    SetRoutes,
    SetSettings,
)
from hypothesis import given, settings
from hypothesis import strategies as st

WEB = {"bridge": "evb-private", "tap": "evt-web", "mac": "52:54:00:00:00:01"}
LINKS = {name: Link(name, mac=f"06:00:5e:00:53:0{number}") for number, name in enumerate(("eth0", "eth1"))}
LINKS["evb-private"] = Link("evb-private", "bridge", mac="06:00:5e:00:53:0a")
ON = {f"net/ipv4/conf/{name}/forwarding": "1" for name in LINKS} | {"net/ipv6/conf/all/forwarding": "1"}
HOST = Facts(
    links=LINKS, routes=tuple(Route(version, "default", dev) for version in (4, 6) for dev in ("eth0", "eth1")), settings=ON
)


def definition(address: str, **options: Any) -> Definition:
    return Definition.checked({"address": address, **WEB, **options})


def after(facts: Facts, steps: Any) -> Facts:
    """Return the facts after steps, as a host would show them."""
    for step in steps:
        if isinstance(step, SetFilter):
            kept = {one.key: one for one in facts.filter.elements}
            for one in step.gone:
                kept.pop(one.key)
            kept |= {one.key: Entry(one.kind, "", one.words) for one in step.come}
            tables = frozenset(one.words[0] for one in kept.values())
            facts = replace(facts, filter=Filter(tables, tables, frozenset(kept.values())))
        elif isinstance(step, SetRoutes):
            keys = {one.key for one in step.gone}
            left = [one for one in facts.made if one.key not in keys]
            facts = replace(facts, made=frozenset((*left, *(Entry(one.kind, "", one.words) for one in step.come))))
        elif isinstance(step, SetSettings):
            values = {**dict.fromkeys((one.words[0] for one in step.gone), "0"), **dict.fromkeys(step.on, "1")}
            facts = replace(facts, settings={**facts.settings, **values}, set_by_us=step.on)
        elif isinstance(step, Remember):
            facts = replace(facts, record={**facts.record, step.definition.address: step.definition})
        elif isinstance(step, Forget):
            facts = replace(facts, record={key: one for key, one in facts.record.items() if key != step.address})
    return facts


@st.composite
def asked(draw: Any) -> Definition:
    number, six, nat = draw(st.integers(1, 5)), draw(st.booleans()), draw(st.booleans())
    public, private = (f"2001:db8::{number}", f"fd00::{number}") if six else (f"203.0.113.{number}", f"10.0.0.{number}")
    options = {"mode": "nat", "private_address": private} if nat else {}
    uplink = draw(st.sampled_from([None, "eth0", "eth1"]))
    return definition(public, **WEB, uplink=uplink, **options) if uplink else definition(public, **options)


@settings(deadline=None, max_examples=60)
@given(st.lists(asked(), max_size=6), st.randoms())
def test_what_was_made_needs_no_step_and_what_goes_leaves_nothing(wanted: list[Definition], random: Any) -> None:
    facts = HOST
    for one in wanted:
        made = plan(facts, one.address, one)
        facts = after(facts, made.steps)
        assert not plan(facts, one.address, one).changed
        assert made.after.needs <= made.after.there
        for other in facts.record.values():  # what one needs is taken from no other
            assert not plan(facts, other.address, other).changed
    addresses = list(facts.record)
    random.shuffle(addresses)
    for address in addresses:
        facts = after(facts, plan(facts, address, None).steps)
        for other in facts.record.values():
            assert not plan(facts, other.address, other).changed
    assert not facts.entries
    assert not facts.record
    assert not facts.set_by_us
    assert facts.settings.get(proxy_ndp("eth0"), "0") == "0"


@settings(deadline=None, max_examples=60)
@given(st.lists(asked(), min_size=1, max_size=4), st.integers(0, 6), st.booleans())
def test_a_run_that_was_killed_after_any_step_is_finished_by_the_next(wanted: list[Definition], done: int, absent: bool) -> None:
    facts = HOST
    for one in wanted:
        facts = after(facts, plan(facts, one.address, one).steps)
    last = wanted[-1]
    again = None if absent else replace(last, tap="evt-other", mac="52:54:00:00:00:02")
    for one in (None, again) if again else (None,):  # an address changes its NIC only by way of none
        killed = after(facts, plan(facts, last.address, one).steps[:done])
        facts = after(killed, plan(killed, last.address, one).steps)
        assert not plan(facts, last.address, one).changed
        for other in facts.record.values():
            assert not plan(facts, other.address, other).changed


def test_without_a_default_route_nothing_is_taken_from_the_uplink() -> None:
    one, other = definition("2001:db8::1", mode="nat", private_address="fd00::1"), definition("203.0.113.1")
    facts = HOST
    for wanted in (one, other):
        facts = after(facts, plan(facts, wanted.address, wanted).steps)
    lost = replace(facts, routes=tuple(route for route in facts.routes if route.version == 4))
    gone = [entry for step in plan(lost, other.address, None).steps for entry in getattr(step, "gone", ())]
    assert gone
    assert all("203.0.113.1" in entry.words or "169.254.1.1" in entry.words for entry in gone), gone


def test_a_setting_that_was_on_before_is_left_on() -> None:
    facts = replace(HOST, settings={**ON, proxy_ndp("eth0"): "1"})
    one = definition("2001:db8::1")
    facts = after(facts, plan(facts, one.address, one).steps)
    facts = after(facts, plan(facts, one.address, None).steps)
    assert facts.settings[proxy_ndp("eth0")] == "1"


def test_the_filter_is_there_before_the_route_and_goes_after_it() -> None:
    one = definition("203.0.113.1")
    made = plan(HOST, one.address, one)
    assert [type(step) for step in made.steps][:2] == [SetFilter, SetRoutes]
    gone = plan(after(HOST, made.steps), one.address, None)
    assert [type(step) for step in gone.steps] == [Forget, SetRoutes, SetFilter]


def test_a_table_with_rules_of_others_is_made_again_with_all_its_elements() -> None:
    facts = HOST
    for number in (1, 2):
        one = definition(f"203.0.113.{number}")
        facts = after(facts, plan(facts, one.address, one).steps)
    broken = replace(facts, filter=Filter(frozenset(), facts.filter.there, frozenset()))
    (step,) = plan(broken, "203.0.113.1", one := definition("203.0.113.1")).steps
    assert isinstance(step, SetFilter)
    assert one.address in step.text
    assert "203.0.113.2" in step.text
    for table in facts.filter.there:
        assert f"delete table {table}\nadd table {table}\n" in step.text


def listed(name: str, version: str) -> list[dict[str, Any]]:
    meant = TABLES[name]
    return [
        *({"set": {"name": one}} for one in meant.sets),
        *({"chain": {"name": one}} for one in meant.chains),
        *({"rule": {"comment": version}} for _rule in meant.rules),
    ]


def test_tables_are_ours_only_with_exactly_our_rules() -> None:
    for name, meant in TABLES.items():
        whole = listed(name, meant.version)
        assert filtering.read(name, whole)[0]
        for place in range(len(whole)):
            assert not filtering.read(name, whole[:place] + whole[place + 1 :])[0]
        assert not filtering.read(name, listed(name, "other"))[0]
        assert not filtering.read(name, [*whole, {"rule": {}}])[0]
        assert not filtering.read(name, [*whole, {"set": {"name": "x"}}])[0]


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        ({"address": "203.0.113.1\nadd"}, "address"),
        ({"address": "203.0.113.1/31"}, "address"),
        ({"address": "203.0.113.1/128"}, "address"),
        ({"address": "2001:db8::1/32"}, "address"),
        ({"address": "203.0.113.01"}, "address"),
        ({"address": ""}, "address"),
        ({"address": "2001:db8::1%eth0"}, "address"),
        ({"address": "240.0.0.1"}, "address"),
        ({"bridge": "a b"}, "bridge"),
        ({"tap": 'a"b'}, "tap"),
        ({"tap": None}, "tap"),
        ({"mac": "52:54:00:00:00"}, "mac"),
        ({"uplink": "a/b"}, "uplink"),
        ({"mode": "other"}, "mode"),
        ({"mode": "nat", "private_address": "203.0.113.1"}, "private_address"),
        ({"mode": "nat", "private_address": "127.0.0.1"}, "private_address"),
        ({"vm": "a\nb"}, "vm"),
        ({"vm": "a" * 256}, "vm"),
    ],
)
def test_bad_values(changed: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Definition.checked({"address": "203.0.113.1", **WEB, **changed}, "nics[0].")
    assert caught.value.message.startswith(f"nics[0].{option}: ")
    assert caught.value.details["option"] == f"nics[0].{option}"


def test_canonical_form() -> None:
    found = definition("2001:DB8:0:0::1/128", mac="52-54-00-AA-00-01")
    assert (found.address, found.mac, found.mode) == ("2001:db8::1", "52:54:00:aa:00:01", "routed")
    assert Definition.checked(found.as_json()) == found
    assert definition("203.0.113.1/32").address == "203.0.113.1"


def test_the_last_file_by_name_has_the_word_and_an_earlier_folder_hides_a_later_one(tmp_path: Path) -> None:
    etc, usr, last = tmp_path / "etc", tmp_path / "usr", tmp_path / "sysctl.conf"
    etc.mkdir()
    usr.mkdir()
    (usr / "10-a.conf").write_text("net.ipv4.conf.all.proxy_arp = 0\n")
    (usr / "50-b.conf").write_text(
        "; no\n#no=1\n-net.ipv4.conf.eth0/100.proxy_arp=0\nnet/ipv6/conf/eth0.5/proxy_ndp = 0\n\nnonsense\n"
    )
    found = policy.assigned([etc, usr, tmp_path / "none"], last)
    assert found == {
        "net/ipv4/conf/all/proxy_arp": ("0", usr / "10-a.conf"),
        "net/ipv4/conf/eth0.100/proxy_arp": ("0", usr / "50-b.conf"),
        "net/ipv6/conf/eth0.5/proxy_ndp": ("0", usr / "50-b.conf"),
    }
    (etc / "10-a.conf").symlink_to("/dev/null")
    assert "net/ipv4/conf/all/proxy_arp" not in policy.assigned([etc, usr], last)
    last.write_text("net.ipv6.conf.eth0/5.proxy_ndp = 1\n")
    assert policy.assigned([etc, usr], last)["net/ipv6/conf/eth0.5/proxy_ndp"] == ("1", last)
    ours = tmp_path / "ours" / "80.conf"
    policy.write(ours, ["net/ipv6/conf/eth0.5/proxy_ndp"])
    assert policy.ours(ours) == {"net/ipv6/conf/eth0.5/proxy_ndp"}
    policy.write(ours, [])
    assert not ours.exists()


def test_the_record_keeps_what_a_newer_version_wrote(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "public_addresses.json"
    one = definition("203.0.113.1")
    record.write(path, {one.address: one})
    assert record.read(path) == {one.address: one}
    found = json.loads(path.read_text())
    found["addresses"][0]["newer"] = 1
    path.write_text(json.dumps(found))
    record.write(path, {one.address: one, "203.0.113.2": definition("203.0.113.2")})
    assert [raw.get("newer") for raw in json.loads(path.read_text())["addresses"]] == [1, None]
    record.write(path, {})
    assert not path.exists()
    for text, error in (
        ("{", Corrupt),
        ('{"addresses": 1}', Corrupt),
        ('{"addresses": [{}]}', Corrupt),
        ('{"addresses": [1]}', Corrupt),
    ):
        path.write_text(text)
        with pytest.raises(error):
            record.read(path)
    path.write_text('{"schema": 99, "addresses": []}')
    with pytest.raises(Unsupported):
        record.read(path)


def test_frames_of_an_announcement() -> None:
    request, reply = frames("203.0.113.1", "06:00:5e:00:53:01")
    assert request[:14].hex() == "ffffffffffff06005e0053010806"
    assert (request[20:22].hex(), reply[20:22].hex()) == ("0001", "0002")
    for frame in (request, reply):
        assert frame[28:32] == frame[38:42] == bytes((203, 0, 113, 1))
        assert frame[22:28].hex() == "06005e005301"
    assert frames("203.0.113.1", "06:00:5e:00:53:01", "52:54:00:00:00:01")[0][:6].hex() == "525400000001"
    (advertisement,) = frames("2001:db8::1", "06:00:5e:00:53:01")
    assert advertisement[:6].hex() == "333300000001"
    assert advertisement[21] == 255, "neighbours take it only from the same link"
    assert advertisement[58] == 0x20, "it overrides what neighbours know"
    assert advertisement[-8:].hex() == "020106005e005301"
