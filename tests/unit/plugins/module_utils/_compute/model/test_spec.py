# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    DomainSpec,
    Record,
    record_from_json,
    spec_from_dict,
    stable_mac,
    stable_uuid,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState, view
from ansible_collections.edge.cloud.plugins.module_utils._errors import Unsupported
from hypothesis import given
from support.compute import names, record, spec, specs


@given(specs)
def test_a_record_survives_its_text_but_for_the_password(wanted: DomainSpec) -> None:
    kept = Record(wanted)
    assert record_from_json(kept.to_json()) == Record(replace(wanted, vnc_password=None))


def test_a_password_is_in_no_text_of_a_spec_and_makes_no_other_digest() -> None:
    one = spec(vnc=True, vnc_password="c4n4ry")
    kept = Record(one)
    assert "c4n4ry" not in kept.to_json() + repr(kept)
    assert kept.digest == Record(replace(one, vnc_password="other")).digest
    shown = view(VmState("web", config=one, live=one, record=kept))
    assert shown["vnc_password"] is True and "c4n4ry" not in json.dumps(shown)
    assert view(VmState("web", config=replace(one, vnc_password=None)))["vnc_password"] is False
    assert "c4n4ry" not in repr(read_options({"name": "web", "vnc_password": "c4n4ry"}))


def test_a_newer_record_is_read_by_what_is_known_of_it() -> None:
    data = json.loads(record().to_json())
    data["spec"]["telepathy"] = "2.0"
    data["spec"]["disks"][0]["colour"] = 4
    assert record_from_json(json.dumps(data)) == record()
    assert spec_from_dict(data["spec"]) == record().spec


def test_a_newer_record_keeps_its_keys_when_it_is_written_again() -> None:
    data = {**json.loads(record().to_json()), "owner": {"kept": [1]}, "kept": 2}
    newer = record_from_json(json.dumps(data))
    assert newer is not None
    assert json.loads(newer.to_json()) == data
    assert Record(newer.spec, newer.volumes, newer.seed, newer.context, kept=newer.kept).digest == newer.digest


def test_a_record_of_a_newer_major_version_is_not_taken_for_someone_else_s() -> None:
    data = {**json.loads(record().to_json()), "version": 2, "spec": "elsewhere"}
    with pytest.raises(Unsupported, match=r"version 2, .*; upgrade edge\.cloud on this host"):
        record_from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"spec": {}}', '{"spec": null}', '{"spec": {"name": "x", "cpu": 1}}'])
def test_what_is_no_record_is_none(text: str) -> None:
    assert record_from_json(text) is None


def test_the_digest_tells_records_apart() -> None:
    assert record().digest == record().digest
    assert record().digest != Record(spec()).digest


def test_names_make_the_same_identity_everywhere() -> None:
    """These values are on disk of every installation: they never change."""
    assert stable_uuid("web") == "9253ae25-a6e5-548a-891c-e0e75a8dec2f"
    assert stable_mac("web", "nic0") == "52:54:f7:b6:3a:a5"


@given(names, names)
def test_a_mac_is_unicast_and_locally_administered(domain: str, nic: str) -> None:
    first = int(stable_mac(domain, nic)[:2], 16)
    assert first & 1 == 0
    assert first & 2 == 2
