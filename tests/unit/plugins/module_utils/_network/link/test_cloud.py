# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clouds have no layer 2, by what the firmware of their machines says, and an administrator."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._network.link.cloud import AZURE, without_layer_2


@pytest.mark.parametrize(
    ("said", "cloud"),
    [
        ({"sys_vendor": "Amazon EC2\n", "chassis_asset_tag": "Amazon EC2\n"}, "Amazon EC2"),
        ({"sys_vendor": "Microsoft Corporation\n", "chassis_asset_tag": f"{AZURE}\n"}, "Microsoft Azure"),
        ({"sys_vendor": "Microsoft Corporation\n", "chassis_asset_tag": "Virtual Machine\n"}, None),  # Hyper-V of one's own
        ({"sys_vendor": "DigitalOcean\n"}, "DigitalOcean"),
        ({"sys_vendor": "Hetzner\n", "product_name": "vServer\n"}, "Hetzner Cloud"),
        ({"sys_vendor": "Google\n", "product_name": "Google Compute Engine\n"}, None),  # interfaces by VLANs can be had there
        ({"sys_vendor": "QEMU\n"}, None),
        ({"sys_vendor": "Dell Inc.\n"}, None),
        ({}, None),
    ],
)
def test_clouds(tmp_path: Path, said: dict[str, str], cloud: str | None) -> None:
    for name, text in said.items():
        (tmp_path / name).write_text(text)
    override = tmp_path / "cloud"
    assert without_layer_2(tmp_path, override) == cloud
    assert without_layer_2(tmp_path / "none", override) is None
    for text, wanted in (("none\n", None), ("Example Cloud\n", "Example Cloud"), ("\n", cloud), (" none \nmore\n", None)):
        override.write_text(text)
        assert without_layer_2(tmp_path, override) == wanted
