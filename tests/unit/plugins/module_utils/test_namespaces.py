# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse_xml, to_text
from ansible_collections.edge.cloud.plugins.module_utils._namespaces import remember
from ansible_collections.edge.cloud.plugins.module_utils._network.nat import network_xml
from ansible_collections.edge.cloud.plugins.module_utils._network.nat.config import Config
from support.compute import record


@pytest.fixture
def _hasty() -> Iterator[None]:
    """Threads take turns every microsecond: ElementTree's own table of prefixes does not survive that."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_hasty")
def test_many_threads_remember_prefixes() -> None:
    """ET.register_namespace instead of remember() raises KeyError in here."""

    def work(_number: int) -> None:
        for _time in range(20000):
            remember("x", "urn:x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_prefix_of_elementtrees_own_kind_is_no_error() -> None:
    ours = record()
    text = to_text(emit(ours.spec, ours)).replace("<devices>", '<ns0:note xmlns:ns0="urn:zero">kept</ns0:note><devices>')
    again = parse_xml(to_text(parse_xml(text)))
    assert again.findtext("{urn:zero}note") == "kept"


def test_a_network_and_a_domain_in_one_process_keep_our_prefix() -> None:
    network, ours = network_xml.new("edge0"), record()
    for _turn in range(2):
        assert "<edge:spec" in to_text(emit(ours.spec, ours))
        assert "<edge:network" in network_xml.write(network, Config("edgebr0", "203.0.113.0/24", "203.0.113.1"))


def test_prefixes_of_others_are_kept() -> None:
    ours = record()
    text = to_text(emit(ours.spec, ours)).replace("<devices>", '<x:note xmlns:x="urn:x">kept</x:note><devices>')
    for one in (to_text(parse_xml(text)), to_text(parse_xml(text.replace("urn:x", "urn:y")))):
        assert "<x:note" in one and "<edge:spec" in one
