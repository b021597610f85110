# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM may ask of recovery points; an error names the part that is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.recovery_policy import (
    RecoveryOptions,
    RecoveryPolicy,
    policy_of,
    read_policy,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, DomainSpec, Record, record_from_json
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput

SPEC = DomainSpec("web", "0e4f2b52-67a3-4c8c-9f0f-6f4d6a1e9a11", "kvm", "x86_64", "q35", 2**30, 1, Cpu("host-model"))


def test_what_is_left_out_has_its_default() -> None:
    assert read_policy(None) is None
    assert read_policy({}) == RecoveryPolicy()
    assert read_policy({"interval": 300, "keep": None, "quiesce": "required"}) == RecoveryPolicy(interval=300, quiesce="required")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("interval", 59), ("interval", True), ("interval", "15m"), ("keep", 1), ("replicas", 0), ("budget", 0), ("quiesce", "auto"),
        ("other", 1), ("interval", 30 * 86400 + 1), ("keep", 1001), ("replicas", 101), ("budget", 2**63),
        ("sign", ""), ("sign", 5), ("sign", "a\nb"), ("sign", "x" * 201),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_name(key: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"^recovery\.{key}: "):
        read_policy({key: value})


def test_what_is_asked_is_the_whole_of_a_policy_and_nothing_asked_keeps_it() -> None:
    before = RecoveryPolicy(interval=120, keep=9)
    assert policy_of(None, before) == before
    assert policy_of(RecoveryOptions(), before) == RecoveryPolicy()
    assert policy_of(RecoveryOptions(interval=300, budget="2GiB"), before) == RecoveryPolicy(interval=300, budget=2 * 2**30)
    assert policy_of(RecoveryOptions("absent"), before) is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (RecoveryOptions("absent", interval=300, keep=3), r"^recovery\.state: absent was asked, and interval, keep"),
        (RecoveryOptions(budget="much"), r"^recovery\.budget: 'much' is not a size"),
        (RecoveryOptions(budget="0"), r"^recovery\.budget: it must be a whole number from 1"),
    ],
)
def test_what_contradicts_itself_or_is_not_a_size_is_refused(asked: RecoveryOptions, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        policy_of(asked, None)


def test_a_record_keeps_the_policy() -> None:
    record = Record(SPEC, recovery=RecoveryPolicy(interval=120, budget=5))
    assert record_from_json(record.to_json()) == record
    assert record_from_json(replace(record, recovery=None).to_json()) == Record(SPEC)
