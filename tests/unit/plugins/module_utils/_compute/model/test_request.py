# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model import request
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import (
    CpuOptions,
    DiskOptions,
    DomainOptions,
    LimitOptions,
    NicOptions,
    NumaOptions,
    SourceOptions,
    read_options,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.options import argument_spec
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.argument_spec import CONTROL, DOMAIN


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (DomainOptions, {**DOMAIN, **CONTROL}),
        *[
            (request.PARTS[option], getattr(argument_spec, name))
            for option, name in (
                ("cpu", "CPU"),
                ("numa", "NUMA"),
                ("disks", "DISK"),
                ("source", "SOURCE"),
                ("limits", "LIMITS"),
                ("nics", "NIC"),
                ("filesystems", "FILESYSTEM"),
                ("cloud_init", "CLOUD_INIT"),
            )
        ],
    ],
)
def test_every_option_has_its_field_and_the_same_default(cls: type[Any], arguments: dict[str, Any]) -> None:
    found = {field.name: field.default for field in fields(cls) if field.name != "where"}
    assert set(found) == set(arguments)
    defaults = {name: argument["default"] for name, argument in arguments.items() if "default" in argument}
    assert {name: [*value] if isinstance(value := found[name], tuple) else value for name in defaults} == defaults


def test_what_is_left_out_is_not_asked() -> None:
    left_out = {name: argument.get("default") for name, argument in {**DOMAIN, **CONTROL}.items()}
    assert read_options({**left_out, "name": "web", "uri": "qemu:///system"}) == DomainOptions("web")


def test_parts_are_typed_and_know_their_path() -> None:
    disk = {"name": "root", "image": None, "source": {"protocol": "nbd", "hosts": ["h:1"]}, "limits": {"read_iops": 5}}
    found = read_options(
        {
            "name": "web",
            "cpu": {"mode": "custom", "model": "Nehalem"},
            "numa": [{"cpus": "0", "memory": "1GiB"}],
            "disks": [{"name": "seed"}, disk],
            "nics": [{"network": "edge"}, {"name": None, "bridge": "br0"}],
            "context": {"name": "kept as it is"},
        }
    )
    assert (found.cpu, found.numa) == (CpuOptions("custom", "Nehalem"), (NumaOptions("numa[0]", "0", "1GiB"),))
    limited = DiskOptions("disks[1]", "root", source=SourceOptions("nbd", hosts=("h:1",)), limits=LimitOptions(read_iops=5))
    assert found.disks == (DiskOptions("disks[0]", "seed"), limited)
    assert found.nics == (NicOptions("nics[0]", "nic0", network="edge"), NicOptions("nics[1]", "nic1", bridge="br0"))
    assert found.context == {"name": "kept as it is"}
    assert (found.disk_path("root"), found.disk_path("data")) == ("disks[1]", "disk data")


def test_an_empty_list_is_asked() -> None:
    assert read_options({"name": "web", "disks": [], "nics": []}) == DomainOptions("web", disks=(), nics=())
