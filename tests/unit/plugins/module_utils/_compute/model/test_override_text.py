# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An override as others may see it."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.override_text import (
    canonical,
    concealed,
    outline,
    secrets_in,
    with_passwords,
)

CANARY = "c4n4ry-long"
TEXTS = [
    f"<domain><devices><graphics type='vnc' passwd='{CANARY}'/></devices></domain>",
    f'<domain>\n<devices><graphics passwd = "{CANARY}" type="vnc"/></devices></domain>',
    f"<domain><devices><graphics type='a>b' passwd='{CANARY}'/><graphics type='spice' passwd='{CANARY}2'/></devices></domain>",
]
QEMU = "<domain xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:commandline>{}</q:commandline></domain>"


@pytest.mark.parametrize("text", TEXTS)
def test_passwords_are_concealed_and_come_back(text: str) -> None:
    hidden = concealed(text)
    assert CANARY not in hidden
    assert concealed(hidden) == hidden
    assert with_passwords(hidden, {"edge-hidden-1": CANARY, "edge-hidden-2": CANARY + "2"}) == canonical(text) == text
    assert CANARY not in outline(text)
    assert CANARY in secrets_in(text)


def test_text_that_looks_like_a_password_stays() -> None:
    text = "<domain><description> passwd='x' </description></domain>"
    assert concealed(text) == text
    assert outline(text) == "<domain><description>...</description></domain>"


@pytest.mark.parametrize(
    "inner",
    [
        f"<q:env name='TOKEN' value='{CANARY}'/>",
        f'<q:arg value="secret,id=a,data={CANARY}"/>',
        f'<q:arg value=\'{{&quot;qom-type&quot;:&quot;secret&quot;,"data":"{CANARY}"}}\'/>',
        f"<entry name='opt/a'>{CANARY}</entry>",
    ],
)
def test_what_errors_may_quote_is_secret(inner: str) -> None:
    assert any(CANARY in one for one in secrets_in(QEMU.format(inner)))
    assert not secrets_in(QEMU.format("<q:arg value='-device'/>"))
