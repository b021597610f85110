# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as a playbook has them without quotes, through YAML, to the option that they were meant for."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.argument_spec import DOMAIN
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._misread import check_written

SPEC: dict[str, Any] = {
    "version": {"type": "str"},
    "token": {"no_log": True},
    "subnet": {"type": "str"},
    "sources": {"type": "list", "elements": "str"},
    "timeout": {"type": "float"},
    "files": {"type": "list", "elements": "dict", "options": {"mode": {}}},
    "hosts": {"type": "list", "elements": "dict", "options": {"mac": {"type": "str", "aliases": ["address"]}}},
    **{name: DOMAIN[name] for name in ("name", "memory", "vcpus", "vcpu_pinning", "nics", "disks", "uuid", "pci_devices", "tpm")},
}
MISREAD = [
    ("nics: [{mac: %s}]", "52:54:00:12:34:56", "nics[0].mac", '"52:54:00:12:34:56"'),
    ("nics: [{}, {mac: %s}]", "98:00:00:00:00:01", "nics[1].mac", '"98:00:00:00:00:01"'),
    ("nics: [{mac: %s}]", "525400123456", "nics[0].mac", "in quotes"),
    ("hosts: [{address: %s}]", "52:54:00:12:34:56", "hosts[0].address", "in quotes"),
    ("files: [{mode: %s}]", "0644", "files[0].mode", "the number 420"),
    ("files: [{mode: %s}]", "644", "files[0].mode", "in quotes"),
    ("nics: [{hostdev: %s}]", "0000:05:00.0", "nics[0].hostdev", "the number 300.0"),
    ("pci_devices: [%s]", "0000:05:00.0", "pci_devices[0]", "in quotes"),
    ("uuid: %s", "11111111222243338444555555555555", "uuid", "in quotes"),
    ("uuid: %s", "1.0e+10", "uuid", "in quotes"),
    ("version: %s", "1.10", "version", "the number 1.1 here"),
    ("version: %s", "24.04", "version", "in quotes"),
    ("version: %s", "1:30.5", "version", "in quotes"),
    ("version: %s", ".inf", "version", "in quotes"),
    ("name: %s", "on", "name", "the truth value true"),
    ("disks: [{name: %s}]", "no", "disks[0].name", "yes, no, on and off"),
    ("disks: [{serial: %s}]", "0123456", "disks[0].serial", "in quotes"),
    ("disks: [{size: %s}]", "1.5", "disks[0].size", "the number 1.5"),
    ("disks: [{limits: {total_iops: %s}}]", "yes", "disks[0].limits.total_iops", "the truth value"),
    ("subnet: %s", "1:2:3:4:5:6:7:8", "subnet", "in quotes"),
    ("sources: %s", "1.5", "sources", "in quotes"),
    ("sources: [%s]", "1.5", "sources[0]", "in quotes"),
    ("vcpus: %s", "yes", "vcpus", "the truth value"),
]


@pytest.mark.parametrize(("options", "text", "option", "says"), MISREAD)
def test_what_is_not_as_written_is_to_be_quoted(options: str, text: str, option: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_written(yaml.safe_load(options % text), SPEC)
    assert caught.value.message.startswith(f"{option}: YAML has read ") and says in caught.value.message
    assert caught.value.details == {"option": option}
    check_written(yaml.safe_load(options % f'"{text}"'), SPEC)


@pytest.mark.parametrize("bad", ["\0", "\ud83d", "\udc80"])
@pytest.mark.parametrize(
    ("options", "option"),
    [({"name": "a%s"}, "name"), ({"sources": ["a", "%s"]}, "sources[1]"), ({"disks": [{"path": "/%s"}]}, "disks[0].path")],
)
def test_what_is_no_text(options: dict[str, Any], option: str, bad: str) -> None:
    with pytest.raises(InvalidInput, match=r"take it out") as caught:
        check_written(json.loads(json.dumps(options).replace("%s", json.dumps(bad)[1:-1])), SPEC)
    assert caught.value.details == {"option": option}
    check_written({"data": bad}, {"data": {"type": "raw"}})


@pytest.mark.parametrize(
    "text",
    [
        "memory: 1073741824",
        "vcpu_pinning: [0, 1]",
        "name: 7",
        "version: 13",
        "vcpus: 2",
        "timeout: 1.5",
        "tpm: yes",
        "disks: [{preallocation: off, size: 10}]",
        "nics: [{mac: null}]",
        "nics: 5",
        "nics: [5]",
        "unknown: 1.5",
    ],
)
def test_what_can_be_meant_is_taken(text: str) -> None:
    check_written(yaml.safe_load(text), SPEC)


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_written({"token": 471.1}, SPEC)
    assert "471" not in caught.value.message


def test_options_that_are_free_for_ansible() -> None:
    spec = {"domains": {"type": "list", "elements": "dict"}, "defaults": {"type": "dict"}}
    for options, option in (
        ({"domains": [{"nics": [{"mac": 41135085296}]}]}, "domains[0].nics[0].mac"),
        ({"defaults": {"uuid": 5}}, "defaults.uuid"),
    ):
        with pytest.raises(InvalidInput) as caught:
            check_written(options, spec, {"domains": DOMAIN, "defaults": DOMAIN})
        assert caught.value.details == {"option": option}
