# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt's qemu.conf must set for a display on the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.qemu_conf import guards_vnc, unset

BOTH = ("spice_tls", "spice_password")


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", BOTH),
        ('#spice_tls = 1\n#spice_password = "XYZ12345"\n', BOTH),
        ("spice_tls = 1\n", ("spice_password",)),
        ("spice_tls = 0\nspice_tls = 1\n  spice_password='a b'  # why\n", ("spice_tls",)),
        ('spice_tls = 1\nspice_password = ""\n', ("spice_password",)),
        ('spice_tls=1\n\nspice_password = "secret#1"\n', ()),
    ],
)
def test_a_display_that_the_network_reaches_needs_both(tmp_path: Path, text: str, missing: tuple[str, ...]) -> None:
    conf = tmp_path / "qemu.conf"
    conf.write_text(text)
    assert unset("tls", conf) == missing
    assert unset("loopback", conf) == unset(None, conf) == ()


def test_a_host_without_the_file_has_neither(tmp_path: Path) -> None:
    assert unset("tls", tmp_path / "qemu.conf") == BOTH


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("", False),
        ('#vnc_password = "XYZ12345"\n#vnc_tls = 1\n#vnc_tls_x509_verify = 1\n#vnc_sasl = 1\n', False),
        ("vnc_tls = 1\n", False),
        ("vnc_tls = 1\nvnc_tls_x509_verify = 0\ndefault_tls_x509_verify = 1\n", False),
        ("vnc_tls_x509_verify = 1\n", False),
        ('vnc_password = ""\n', False),
        ("vnc_sasl = 0\n", False),
        ("vnc_tls = 1\nvnc_tls_x509_verify = 1\n", True),
        ("default_tls_x509_verify = 1\n vnc_tls=1  # all\n", True),
        ("vnc_sasl = 1\n", True),
        ("vnc_password = 'abc'\n", True),
    ],
)
def test_a_vnc_display_is_guarded_where_clients_prove_who_they_are(tmp_path: Path, text: str, guarded: bool) -> None:
    conf = tmp_path / "qemu.conf"
    assert not guards_vnc(conf)
    conf.write_text(text)
    assert guards_vnc(conf) is guarded
