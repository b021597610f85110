# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal, the addresses, the flags and the streams of a migration."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.migration_mark import (
    FILE,
    NOTE,
    note,
    noted_files,
    refuse_incoming,
    refuse_while_migrating,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.destination import check_destination, probe
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.job import MigrationOptions
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.journal import (
    Journal,
    read_journal,
    remove_journal,
    write_journal,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.remote_files import _Sender, pool_xml, volume_xml
from ansible_collections.edge.cloud.plugins.module_utils._compute.migration.sparse_digest import SparseDigest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy, Corrupt, InvalidInput, Unreachable, Unsupported

BEGUN = Journal("host2", "6f1c3f4e", "running", True, ("/a", "/b"), ("/a",), ("<domaincheckpoint/>",))
MIB = 2**20


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert read_journal(folder) is None
    write_journal(folder, BEGUN)
    assert read_journal(folder) == BEGUN
    write_journal(folder, replace(BEGUN, phase="moved").with_made(["/a", "/b"]))
    assert read_journal(folder) == replace(BEGUN, phase="moved", made=("/a", "/b"))
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [(FILE, 0o600)]
    remove_journal(folder)
    remove_journal(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"destination": "x"}', '{"destination":"x","uuid":"y","run":"z","autostart":true,"phase":"?"}']
)
def test_a_damaged_journal_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(Corrupt, match=FILE):
        read_journal(str(tmp_path))


def test_a_journal_of_another_version(tmp_path: Path) -> None:
    write_journal(str(tmp_path), BEGUN)
    data = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).chmod(0o644)
    (tmp_path / FILE).write_text(json.dumps({**data, "bandwidth": 5}))
    assert read_journal(str(tmp_path)) == BEGUN
    (tmp_path / FILE).write_text(json.dumps({**data, "schema": 2}))
    with pytest.raises(Unsupported, match=r"schema 2, .*; upgrade edge\.cloud on this host"):
        read_journal(str(tmp_path))


def test_a_vm_that_may_be_elsewhere_is_not_started_here(tmp_path: Path) -> None:
    folder = str(tmp_path)
    refuse_while_migrating("web", folder, "stopped")
    write_journal(folder, BEGUN)
    with pytest.raises(Busy, match="destination host2 again"):
        refuse_while_migrating("web", folder, "stopped")
    refuse_while_migrating("web", folder, "running")
    with pytest.raises(Busy, match="destination host2 again"):
        refuse_while_migrating("web", folder, "running", removal=True)
    for phase in ("post-copy", "moved"):
        write_journal(folder, replace(BEGUN, phase=phase))
        for run in ("paused", "running", "stopped"):
            with pytest.raises(Busy, match="destination host2 again"):
                refuse_while_migrating("web", folder, run)
    write_journal(folder, replace(BEGUN, phase="failed"))
    refuse_while_migrating("web", folder, "stopped")
    refuse_while_migrating("web", folder, "running", removal=True)


@pytest.mark.parametrize(
    ("text", "where"),
    [(note("host1").decode(), "on host1 again"), ("", "on the host that it comes from again"), ("[]", "that it comes from")],
)
def test_a_vm_that_arrives_here_is_left_alone(tmp_path: Path, text: str, where: str) -> None:
    refuse_incoming("web", str(tmp_path))
    (tmp_path / NOTE).write_text(text)
    for run in ("stopped", "running"):
        with pytest.raises(Busy, match=where):
            refuse_while_migrating("web", str(tmp_path), run)


def test_a_note_tells_whose_files_are_there() -> None:
    text = note("host1", "u1", ["/a", "/b"])
    assert noted_files(text, "u1") == ("/a", "/b")
    for other in (text.replace(b"u1", b"u2"), note("host1"), b"", b"[]", b"{", b'{"uuid": "u1"}', b'{"uuid": "u1", "files": 5}'):
        assert noted_files(other, "u1") == (), other


@pytest.mark.parametrize("text", ["host2", "host2.example", "192.0.2.1", "2001:db8::1"])
def test_a_destination_is_a_name_or_an_address(text: str) -> None:
    address = check_destination(text)
    shown = f"[{text}]" if ":" in text else text
    assert (address.uri, address.migration_uri) == (f"qemu+tls://{shown}/system", f"tcp:{shown}")


@pytest.mark.parametrize("text", ["", "a b", "host/x", "-host", "host?pkipath=/tmp", "user@host", "host-", "qemu+ssh://x/"])
def test_a_destination_is_nothing_else(text: str) -> None:
    with pytest.raises(InvalidInput, match="destination: "):
        check_destination(text)


def test_a_destination_that_does_not_answer() -> None:
    with pytest.raises(Unreachable, match=r"destination: libvirt of 127\.0\.0\.9 does not answer"):
        probe(check_destination("127.0.0.9"))


def test_how_becomes_flags() -> None:
    always = libvirt.VIR_MIGRATE_TLS | libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_PERSIST_DEST
    address = check_destination("host2")
    plain = MigrationOptions()
    assert plain.flags() & always == always and not plain.flags() & libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    assert plain.parameters(address, []) == {"migrate_uri": "tcp:host2"}
    all_of_it = MigrationOptions(10, 5 * MIB + 1, auto_converge=True, post_copy=True, compressed=True)
    more = libvirt.VIR_MIGRATE_AUTO_CONVERGE | libvirt.VIR_MIGRATE_POSTCOPY | libvirt.VIR_MIGRATE_COMPRESSED
    assert all_of_it.flags() & more == more
    found = all_of_it.parameters(address, ["vda", "vdb"])
    assert (
        found["bandwidth"] == found["bandwidth.postcopy"] == 5
        and found["migrate_disks"] == ["vda", "vdb"]
        and found["compression"] == "xbzrle"
    )
    assert "bandwidth.postcopy" not in MigrationOptions(bandwidth=MIB).parameters(address, [])
    with pytest.raises(InvalidInput, match="bandwidth: "):
        MigrationOptions(bandwidth=MIB - 1)


def test_names_of_files_are_texts_in_xml_and_nothing_else() -> None:
    assert "<path>/x &amp; &lt;y&gt;</path>" in pool_xml("/x & <y>")
    assert pool_xml("/a") != pool_xml("/b")
    text = volume_xml("a<b", 5, "qcow2", ("/im&age", "qcow2"))
    assert "<name>a&lt;b</name>" in text and '<backingStore><path>/im&amp;age</path><format type="qcow2" /></backingStore>' in text
    assert "<clusterSize>131072</clusterSize><features><extended_l2 /></features>" in text
    assert "<compat>1.1</compat>" in text and "compat" not in volume_xml("a", 5, "raw")


@pytest.mark.parametrize("extents", [[], [(0, 10)], [(0, MIB), (5 * MIB, MIB)], [(3 * MIB, 70_000)], [(8 * MIB - 5, 5)]])
def test_a_sparse_file_is_sent_as_its_data_and_its_holes(tmp_path: Path, extents: list[tuple[int, int]]) -> None:
    """The loop of libvirt's sparseSendAll, with the other end as a list of pieces."""
    path, length = tmp_path / "file", 8 * MIB
    with path.open("wb") as file:
        file.truncate(length)
        for at, size in extents:
            file.seek(at)
            file.write(os.urandom(size))
    reported: list[int] = []
    received = bytearray()
    with path.open("rb", buffering=0) as file:
        sender = _Sender(file, length, reported.append, None)
        while True:
            is_data, size = sender.hole(None, None)
            if not is_data and size:
                received += bytes(size)
                sender.skip(None, size, None)
                continue
            data = sender.read(None, min(size, 262_120), None)
            if not data:
                break
            received += data
    assert bytes(received) == path.read_bytes()
    found = SparseDigest()
    found.update(bytes(received))
    assert sender.digest.hexdigest() == found.hexdigest()
    assert sum(reported) <= sum(size + 2 * 65536 for _at, size in extents), "holes were read as data"
