# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to libvirt, against its own test driver: connections, errors by name, and the one place where missing is None."""

from __future__ import annotations

import subprocess
import sys

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _libvirt
from ansible_collections.edge.cloud.plugins.module_utils._errors import (
    Conflict,
    EdgeError,
    InvalidInput,
    NotFound,
    Unreachable,
    Unsupported,
)
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import ERRORS, connection, error_name, intent, lookup

URI = "test:///default"


def test_every_translated_constant_exists() -> None:
    assert [name for name in ERRORS if not hasattr(libvirt, name)] == []


def test_a_connection_ends_with_its_block() -> None:
    with connection(URI) as opened:
        assert opened.isAlive()
    with pytest.raises(libvirt.libvirtError):
        opened.isAlive()


def test_a_connection_ends_when_its_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), connection(URI) as opened:
        raise ZeroDivisionError
    with pytest.raises(libvirt.libvirtError):
        opened.isAlive()


def test_an_error_that_nothing_translates_is_one_of_the_library() -> None:
    with (
        pytest.raises(EdgeError, match=r"Could not go on with libvirt at test:///default: .*VIR_ERR_NO_DOMAIN"),
        connection(URI) as opened,
    ):
        opened.lookupByName("nobody")


def test_a_connection_that_ended_in_its_block_hides_no_error() -> None:
    with pytest.raises(ZeroDivisionError), connection(URI) as opened:
        opened.close()
        raise ZeroDivisionError


def test_no_libvirt_at_the_address() -> None:
    with (
        pytest.raises(Unreachable, match=r"connect to libvirt at qemu\+unix:.*is libvirtd running"),
        connection("qemu+unix:///system?socket=/no/such/socket"),
    ):
        pytest.fail("there is no such socket")


def test_no_python_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libvirt, "libvirt", None)
    with pytest.raises(Unsupported, match="python3-libvirt"), connection(URI):
        pytest.fail("there is no binding")


def test_the_module_loads_without_the_binding() -> None:
    """Run in a process of its own where importing libvirt fails."""
    code = (
        "import sys; sys.modules['libvirt'] = None\n"
        "from ansible_collections.edge.cloud.plugins.module_utils import _libvirt\n"
        "assert _libvirt.libvirt is None\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_missing_is_none_and_only_missing() -> None:
    with connection(URI) as opened:
        assert lookup(opened.lookupByName, "nobody") is None
        assert lookup(opened.networkLookupByName, "nobody") is None
        found = lookup(opened.lookupByName, "test")
        assert found is not None
        assert found.name() == "test"
        assert lookup(opened.storagePoolLookupByName, "nobody") is None
        with pytest.raises(libvirt.libvirtError):
            lookup(opened.nodeDeviceLookupByName, "nobody")
    with pytest.raises(libvirt.libvirtError):
        lookup(opened.lookupByName, "nobody")


def test_errors_come_by_name_with_the_intent_and_libvirts_words() -> None:
    with connection(URI) as opened:
        with pytest.raises(NotFound) as caught, intent("start the domain nobody"):
            opened.lookupByName("nobody")
        assert caught.value.message.startswith("Could not start the domain nobody: ")
        assert caught.value.details["libvirt"] == "VIR_ERR_NO_DOMAIN"
        assert caught.value.details["message"] in caught.value.message
        with pytest.raises(InvalidInput, match="VIR_ERR_XML"), intent("define a domain"):
            opened.defineXML("<domain>")
        with pytest.raises(Conflict, match="VIR_ERR_OPERATION_INVALID"), intent("start the network default"):
            opened.networkLookupByName("default").create()
        with pytest.raises(EdgeError, match="VIR_ERR_INTERNAL_ERROR") as other, intent("start the domain test"):
            opened.lookupByName("test").create()
        assert other.value.code == "error"


def test_an_error_code_of_a_newer_libvirt() -> None:
    class Newer:
        def get_error_code(self) -> int:
            return 99999

    assert error_name(Newer()) == "VIR_ERR_UNKNOWN"


def test_a_secret_that_libvirt_quotes_from_its_xml_is_hidden() -> None:
    with connection(URI) as opened:
        for secret, written in (("c4n4ry", "c4n4ry"), ("a&'\"<", "a&amp;&apos;&quot;&lt;"), ("x", "x")):
            text = f"<domain type='test'><graphics passwd='{written}'</domain>"
            with pytest.raises(InvalidInput, match="passwd='") as caught, intent("define a domain"):
                opened.defineXML(text)
            assert f"'{written}'" in str(caught.value.as_result())
            with pytest.raises(InvalidInput, match=r"passwd='\*+'") as caught, intent("define a domain", (secret, None)):
                opened.defineXML(text)
            assert f"'{written}'" not in str(caught.value.as_result())
            assert "<graphics" in caught.value.message


def test_other_exceptions_pass_through_an_intent() -> None:
    with pytest.raises(ZeroDivisionError), intent("divide"):
        raise ZeroDivisionError
