# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VNC display listens, and its password."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DomainSpec
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml, to_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from support.compute import host, spec

PASSWORDS = ["x", "12345678", "a&b<c>\"'", "!~[]{}|\\"]
OVERRIDE = "<domain><devices><graphics{} passwd='o'/></devices></domain>"


def made(options: dict[str, Any], before: DomainSpec | None = None) -> DomainSpec:
    return resolve(read_options({"name": "web", **options}), before, (), host()).spec


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_set_kept_changed_and_removed(password: str) -> None:
    first = made({"vnc": True, "vnc_password": password})
    assert (first.vnc_listen, first.vnc_password) == ("127.0.0.1", password)
    assert parse(parse_xml(to_text(emit(first)))).spec == first
    assert made({}, first) == made({"vnc_password": password}, first) == first
    assert made({"vnc_password": "other"}, first) == replace(first, vnc_password="other")
    assert made({"vnc_password": ""}, first) == replace(first, vnc_password=None)
    gone = made({"vnc": False}, first)
    assert made({"vnc": True}, gone).vnc_password is None


@pytest.mark.parametrize(("asked", "listen"), [("0.0.0.0", "0.0.0.0"), ("0:0::0", "::"), ("2001:DB8::7", "2001:db8::7")])
def test_an_address_is_set_kept_and_goes_with_its_display(asked: str, listen: str) -> None:
    first = made({"vnc": True, "vnc_listen": asked, "vnc_password": "x"})
    assert first.vnc_listen == listen
    assert made({}, first) == first
    assert made({"vnc_listen": "127.0.0.1"}, first).vnc_listen == made({"vnc": False}, first).vnc_listen == "127.0.0.1"
    display = emit(first).find("devices/graphics")
    assert display is not None and (display.get("listen"), display.get("passwd")) == (listen, "x")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vnc_password": "c4n4ry"}, "vnc_password: the guest has no VNC display; give vnc: true, too."),
        ({"vnc": False, "vnc_listen": "::"}, "vnc_listen: the guest has no VNC display"),
        ({"vnc": True, "vnc_password": "c4n4ry-23"}, "vnc_password: it must be 1 to 8 printable ASCII characters"),
        ({"vnc": True, "vnc_password": "c4n4ry\n"}, "vnc_password: it must be"),
        ({"vnc": True, "vnc_password": "c4 n4ry"}, "vnc_password: it must be"),
        ({"vnc": True, "vnc_password": "c4n4rÿ"}, "vnc_password: it must be"),
        ({"vnc": True, "vnc_password": 342391}, "vnc_password: YAML made a number of it; quote it."),
        ({"vnc": True, "vnc_password": 1e5}, "vnc_password: YAML made a number of it; quote it."),
        ({"vnc": True, "vnc_password": True}, "vnc_password: YAML made no text of it; quote it."),
        ({"vnc": True, "vnc_password": ["c4n4ry"]}, "vnc_password: YAML made no text of it"),
        ({"vnc": True, "vnc_password": {"c4n4ry": 1}}, "vnc_password: YAML made no text of it"),
        ({"vnc": True, "vnc_listen": "host1"}, "vnc_listen: 'host1' is not valid; it must be an IP address"),
        ({"vnc": True, "vnc_listen": ""}, "vnc_listen: '' is not valid"),
        ({"vnc": True, "vnc_listen": "192.0.2.7:5900"}, "vnc_listen: '192.0.2.7:5900' is not valid"),
        ({"vnc": True, "vnc_listen": "fe80::1%eth0"}, "vnc_listen: 'fe80::1%eth0' is not valid"),
    ],
)
def test_what_cannot_be_is_refused_and_shows_no_password(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(options)
    result = caught.value.as_result()
    assert result["msg"].startswith(says)
    assert "c4n4r" not in str(result) and "342391" not in str(result)


@pytest.mark.parametrize("kind", ["", " type='vnc'"])
def test_a_password_beside_that_of_an_override_is_refused(kind: str) -> None:
    """The override would win, and each run would set the other one again."""
    first = made({"vnc": True, "xml_override": OVERRIDE.format(kind)})
    for options, before in (
        ({"vnc_password": "x"}, first),
        ({"vnc": True, "vnc_password": "x", "xml_override": first.xml_override}, None),
    ):
        with pytest.raises(InvalidInput, match=r"^vnc_password: xml_override sets the passwd of a display, too"):
            made(options, before)
    assert made(
        {"vnc": True, "vnc_password": "x", "spice": "loopback", "xml_override": OVERRIDE.format(" type='spice'")}
    ).vnc_password


def test_without_a_display_there_is_neither() -> None:
    assert spec(vnc=False, vnc_password="x", vnc_listen="::") == spec()
