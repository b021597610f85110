# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VNC display that others could use is refused before it is there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.check.display import check_vnc
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse, parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._errors import NotFound, Refused
from support.compute import host, spec
from support.foreign_domains import FOREIGN

OPEN = spec(vnc=True, vnc_listen="0.0.0.0")
ANYWHERE = {"vnc": True, "vnc_listen": "0.0.0.0"}


def check(options: dict[str, Any], before: Any = None, **facts: Any) -> None:
    asked = read_options({"name": "web", **options})
    wanted = resolve(asked, before, (), host())
    check_vnc(wanted.spec, host(**facts), asked)


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_a_display_that_the_network_reaches_needs_a_guard(listen: str) -> None:
    with pytest.raises(Refused, match=r"^vnc_listen: .* would listen on .* Give vnc_password; .*vnc_tls.*; or use vnc_listen: 127"):
        check({"vnc": True, "vnc_listen": listen})
    check({"vnc": True, "vnc_listen": listen, "vnc_password": "x"})
    check({"vnc": True, "vnc_listen": listen}, vnc_is_guarded=True)


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.9.0.1", "::1"])
def test_on_loopback_it_needs_none(listen: str) -> None:
    check({"vnc": True, "vnc_listen": listen})
    check({"vnc_listen": listen}, OPEN)


def test_taking_the_password_away_opens_it_too() -> None:
    before = spec(vnc=True, vnc_listen="::", vnc_password="x")
    with pytest.raises(Refused, match=r"^vnc_password: "):
        check({"vnc_password": ""}, before)
    check({"vnc_password": "", "vnc_listen": "::1"}, before)
    check({"vnc_password": "y"}, before)
    check({"memory": "2GiB", "vnc": True}, before)


def test_a_guard_that_went_is_noticed_where_the_option_is_given_again() -> None:
    with pytest.raises(Refused, match=r"^vnc_listen: "):
        check(ANYWHERE, OPEN)


@pytest.mark.parametrize("name", ["vnc-everywhere", "vnc-by-qemu-conf", "vnc-network", "vnc-socket", "vnc-nowhere"])
def test_a_display_of_others_is_looked_at_only_where_it_is_asked_about(name: str) -> None:
    before = parse(parse_xml(FOREIGN[name])).spec
    check({"vnc": True, "memory": "2GiB"}, before)
    if name in ("vnc-socket", "vnc-nowhere"):
        check({"vnc_password": ""}, before)
    else:
        with pytest.raises(Refused, match=r"^vnc_password: "):
            check({"vnc_password": ""}, before)


def test_an_address_that_the_host_does_not_have_is_refused() -> None:
    with pytest.raises(NotFound, match=r"^vnc_listen: this host has no address 192\.0\.2\.7"):
        check({"vnc": True, "vnc_listen": "192.0.2.7", "vnc_password": "x"}, has_vnc_listen=False)
