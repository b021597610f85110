# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest is paused for a switch to another file, whatever becomes of that: it goes on, and nothing of it is left."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.calls import SWITCHING, calls_below
from ansible_collections.edge.cloud.plugins.module_utils._compute.job.pivot import mend_forgotten, switch
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, EdgeError
from ansible_collections.edge.cloud.plugins.module_utils._libvirt import libvirt

RUNNING, PAUSED = 1, 3
XML = "<domain><devices><disk type='file'><source file='/a'/><target dev='vda'/></disk></devices></domain>"


@dataclass
class Domain:
    """A domain of libvirt whose calls fail where they are said to, after they were done."""

    fails: str
    now: int = RUNNING
    xml: str = XML
    calls: list[str] = field(default_factory=list)

    def name(self) -> str:
        return "no-such-domain-here"

    def state(self) -> list[int]:
        return [self.now, 1]

    def isActive(self) -> bool:
        return True

    def XMLDesc(self, _flags: int = 0) -> str:
        return self.xml

    def blockJobInfo(self, _target: str) -> dict[str, int]:
        return {}

    def suspend(self) -> None:
        self._do("suspend", PAUSED)

    def resume(self) -> None:
        self._do("resume", RUNNING)

    def blockJobAbort(self, _target: str, _flags: int) -> None:
        self._do("pivot", self.now)

    def _do(self, what: str, state: int) -> None:
        self.now = state
        self.calls.append(what)
        if what == self.fails:
            raise libvirt.libvirtError("it took too long")


def _note(tmp_path: Path) -> Path:
    """Return where the note of a VM is, in a folder of its own below that of all."""
    folder = tmp_path / "vms" / "web"
    folder.mkdir(parents=True)
    return folder / SWITCHING


@pytest.mark.parametrize(
    ("fails", "calls"),
    [
        ("", ["suspend", "pivot", "resume"]),
        ("suspend", ["suspend", "resume"]),
        ("pivot", ["suspend", "pivot", "resume"]),
    ],
)
def test_a_guest_goes_on_whatever_fails(fails: str, calls: list[str], tmp_path: Path) -> None:
    domain, note = Domain(fails), _note(tmp_path)
    if fails:
        with pytest.raises(EdgeError, match="Could not"):
            switch(None, domain, "vda", "/b", note)
    else:
        switch(None, domain, "vda", "/b", note)
    assert domain.calls == calls
    assert domain.now == RUNNING
    assert not note.exists()
    assert not list(calls_below(tmp_path / "vms").iterdir()), "nothing is left for edge-arrive to do"


def test_a_guest_that_others_paused_stays_paused(tmp_path: Path) -> None:
    domain = Domain("", now=PAUSED)
    switch(None, domain, "vda", "/b", _note(tmp_path))
    assert domain.calls == ["pivot"] and domain.now == PAUSED


def test_what_cannot_be_resumed_is_left_to_the_next_run(tmp_path: Path) -> None:
    domain, note = Domain("resume"), _note(tmp_path)
    with pytest.raises(EdgeError, match="resume domain"):
        switch(None, domain, "vda", "/b", note)
    assert note.exists()
    assert [one.name for one in calls_below(tmp_path / "vms").iterdir()] == ["web"], "edge-arrive is called for it"


class Connection:
    """A connection that keeps what is defined."""

    defined = ""

    def defineXML(self, text: str) -> None:
        self.defined = text


FORGOTTEN = """<domain><devices><disk type='file'><driver name='qemu' type='qcow2'/><source file='/top'/>
<backingStore type='file'>{below}<source file='/base'/><backingStore/></backingStore>
<mirror type='file' job='active-commit' ready='yes'>{mirror}<source file='/base'/></mirror>
<target dev='vda'/><alias name='ua-edge-disk-root'/></disk></devices></domain>"""


@pytest.mark.parametrize(
    ("mirror", "below", "wanted"),
    [
        ("<format type='raw'/>", "", "raw"),
        ("<format type='qcow2'/>", "<format type='raw'/>", "qcow2"),
        ("", "<format type='raw'/>", "raw"),
        ("", "", None),
    ],
)
@pytest.mark.parametrize("written", ["/base", "/top"])
def test_the_definition_names_what_qemu_writes_and_its_format(
    written: str, mirror: str, below: str, wanted: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = {"qdev": "/machine/peripheral/ua-edge-disk-root/virtio-backend", "inserted": {"file": written}}
    monkeypatch.setattr("libvirt_qemu.qemuMonitorCommand", lambda *_arguments: json.dumps({"return": [node]}))
    connection, domain = Connection(), Domain("", xml=FORGOTTEN.format(mirror=mirror, below=below))
    if written == "/base" and wanted is None:
        with pytest.raises(Conflict, match="does not say the format of /base"):
            mend_forgotten(connection, domain, "vda")
        return
    assert mend_forgotten(connection, domain, "vda")
    if written == "/top":
        assert not connection.defined
        return
    disk = ET.fromstring(connection.defined).find("devices/disk")
    assert disk is not None
    assert disk.find("source").attrib == {"file": "/base"}  # type: ignore[union-attr]
    assert disk.find("driver").get("type") == wanted  # type: ignore[union-attr]
    assert disk.find("backingStore") is None
