# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A viewer with the right password gets into a guest's display and no other does, and nothing on the host shows the password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from support.rfb import takes
from support.small_host import SmallHost

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.slow]
FIRST, SECOND, THEIRS = "c4n4ry&1", "c4n4ry'2", "f0reign"
OPEN: dict[str, Any] = {"vnc": True, "vnc_listen": "0.0.0.0"}
FOREIGN = f"""<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type></os><devices>
<graphics type='vnc' autoport='yes' listen='0.0.0.0' passwd='{THEIRS}' connected='keep'/></devices></domain>"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHost]:
    with SmallHost.up("dom-vnc", "trixie", tmp_path_factory.mktemp("dom-vnc")) as found:
        yield found


def address(host: SmallHost, name: str) -> tuple[str, int]:
    display = ElementTree.fromstring(host.run("virsh", "dumpxml", name)).find("devices/graphics[@type='vnc']")
    assert display is not None
    return host.host.address, int(display.get("port", ""))


def test_the_right_password_and_no_other_gets_in(host: SmallHost) -> None:
    refused = host.guest("shown", ok=False, **OPEN)
    assert refused["error"]["code"] == "refused" and refused["msg"].startswith("vnc_listen: "), refused
    assert "shown" not in host.run("virsh", "list", "--all", "--name")
    host.guest("shown", **OPEN, vnc_password=FIRST)
    at = address(host, "shown")
    assert [takes(at, word) for word in (FIRST, SECOND, "", None)] == [True, False, False, False]
    assert host.guest("shown", **OPEN, vnc_password=FIRST)["changed"] is False

    changed = host.guest("shown", **OPEN, vnc_password=SECOND)
    assert changed["actions"] == ["Redefine domain shown: vnc_password", "Change the VNC password of running domain shown"]
    assert changed["domain"]["pending_restart"] == []
    assert [takes(at, word) for word in (SECOND, FIRST)] == [True, False]
    again = host.guest("shown", **OPEN, vnc_password=SECOND)
    assert (again["changed"], again["domain"]["vnc_password"]) == (False, True)

    host.domain("shown", state="saved")
    host.domain("shown")
    assert takes(address(host, "shown"), SECOND)
    host.domain("shown", state="restarted", force_stop=True, timeout=1)
    assert [takes(address(host, "shown"), word) for word in (SECOND, FIRST, None)] == [True, False, False]

    local = host.domain("shown", vnc_password="", vnc_listen="127.0.0.1")
    assert local["domain"]["pending_restart"] == ["vnc_listen", "vnc_password"]
    assert [takes(address(host, "shown"), word) for word in (SECOND, None)] == [True, False]
    host.domain("shown", allow_restart=True, force_stop=True, timeout=1)
    with pytest.raises(OSError, match="refused"):
        takes(address(host, "shown"), None)


def test_nothing_on_the_host_shows_it(host: SmallHost) -> None:
    """Runs after the first test; libvirt's own files of the domain are root's."""
    host.guest("shown", **OPEN, vnc_password=FIRST, allow_restart=True, force_stop=True, timeout=1)
    words = ("-e", "c4n4ry")
    assert takes(address(host, "shown"), FIRST)
    found = host.run("grep", "-rlsI", *words, "/var/log", "/var/lib/edge", "/etc", "/tmp", "/root", ok=False).split()
    assert [one for one in found if not one.startswith("/etc/libvirt/qemu/")] == []
    assert all(host.run("stat", "-c", "%a %U", one) == "600 root" for one in found)
    assert found == ["/etc/libvirt/qemu/shown.xml"]
    assert "c4n4ry" not in host.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "c4n4ry" not in host.run("journalctl", "--no-pager", ok=False)
    assert "passwd" not in host.run("virsh", "-r", "dumpxml", "shown")
    host.domain("shown", state="absent", delete_disks=True, force_stop=True, timeout=1)


def test_a_display_that_others_made_lets_in_whom_it_did(host: SmallHost) -> None:
    host.run("sh", "-c", f'echo "{FOREIGN}" > /srv/theirs.xml && virsh define /srv/theirs.xml && virsh start theirs')
    at = address(host, "theirs")
    assert takes(at, THEIRS)
    host.domain("theirs", adopt=True)
    host.domain("theirs", rng=True, title="x", vnc=True)
    assert [takes(at, word) for word in (THEIRS, FIRST, None)] == [True, False, False]
    host.domain("theirs", state="restarted", force_stop=True, timeout=1)
    assert [takes(address(host, "theirs"), word) for word in (THEIRS, FIRST, None)] == [True, False, False]
    secret = host.run("virsh", "dumpxml", "--inactive", "--security-info", "theirs")
    assert f"passwd='{THEIRS}' connected='keep'" in secret
    host.domain("theirs", vnc_password=FIRST)
    assert [takes(address(host, "theirs"), word) for word in (FIRST, THEIRS)] == [True, False]
    host.domain("theirs", state="absent", force_stop=True, timeout=1)


def test_a_host_that_asks_for_certificates_needs_no_password(host: SmallHost) -> None:
    host.run("sh", "-c", "printf 'vnc_tls = 1\\n' >> /etc/libvirt/qemu.conf")
    assert "without asking for a password" in host.guest("keyed", check=True, ok=False, **OPEN)["msg"]
    host.run("sh", "-c", "printf 'vnc_tls_x509_verify = 1\\n' >> /etc/libvirt/qemu.conf")
    assert host.guest("keyed", check=True, **OPEN)["domain"]["vnc_listen"] == "0.0.0.0"
