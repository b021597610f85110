# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk files as the compute room sees them, against real files of qemu-img."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import ChainFile, Folders, VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, NoSpace, Refused
from ansible_collections.edge.cloud.plugins.module_utils._files import free_bytes
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.hostile import without_backing_format, write_hostile
from support.runners import ScriptedRunner
from support.small_disk import small_disk

MIB = 2**20


def qemu_img(*argv: str | Path) -> str:
    return subprocess.run(["qemu-img", *map(str, argv)], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tool() -> DiskFiles:
    """No qemu-img is expected to run: the scripted runner fails on a command."""
    return DiskFiles(ScriptedRunner(), Folders())


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Path, Path, Path]:
    base, middle, top = (tmp_path / name for name in ("base.raw", "middle.qcow2", "top.qcow2"))
    qemu_img("create", "-q", "-f", "raw", base, "4M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base.name, "-F", "raw", middle, "8M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", middle, "-F", "qcow2", top)
    return base, middle, top


def test_headers_are_read_as_qemu_img_reads_them(tool: DiskFiles, chain: tuple[Path, Path, Path]) -> None:
    base, middle, top = chain
    for path in chain:
        answer = json.loads(qemu_img("info", "--output=json", path))
        found = tool.info(str(path), "raw" if path == base else "qcow2")
        assert (found.size, found.format) == (answer["virtual-size"], answer["format"])
    assert tool.info(str(top), "qcow2").backing == str(middle)
    assert tool.info(str(middle), "qcow2").backing == str(base)


def test_a_raw_file_has_whole_sectors_and_any_content(tool: DiskFiles, tmp_path: Path, chain: tuple[Path, Path, Path]) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"x" * 513)
    assert tool.info(str(odd), tool.detect(str(odd))) == VolumeFile(str(odd), "raw", 1024)
    assert tool.info(str(chain[2]), "raw").backing is None


def test_a_broken_disk_is_an_error_not_a_guess(tool: DiskFiles, tmp_path: Path) -> None:
    broken = tmp_path / "broken.qcow2"
    broken.write_bytes(b"QFI\xfb")
    with pytest.raises(Corrupt, match=str(broken)):
        tool.info(str(broken), "qcow2")


def test_a_file_below_without_a_format_is_not_guessed(tool: DiskFiles, chain: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """QEMU would guess it, and open what a guest wrote into its raw disk. No qemu-img may run."""
    base, middle, top = chain
    write_hostile(base, "backing file")
    middle.write_bytes(without_backing_format(middle.read_bytes()))
    new = str(tmp_path / "new.qcow2")
    for use in (
        lambda: tool.convert(str(top), "qcow2", new),
        lambda: tool.flatten(str(top)),
        lambda: tool.commit(str(top), str(middle)),
        lambda: tool.grow(str(top), 16 * MIB),
        lambda: tool.has_data(str(top)),
        lambda: tool.create_overlay_on(new, str(top), "qcow2", 8 * MIB),
    ):
        with pytest.raises(Refused, match=f"qemu-img rebase -u -f qcow2 -b {base} -F FORMAT {middle}"):
            use()
    assert not Path(new).exists()
    assert [one.path for one in tool.chain(str(top), "qcow2")] == [str(top), str(middle), str(base)]  # not the host's file below
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", base, "-F", "raw", middle)
    DiskFiles(SubprocessRunner(), Folders()).convert(str(top), "qcow2", new)
    written = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "read -v 0 4", new], check=True, capture_output=True, text=True
    ).stdout
    assert "51 46 49 fb" in written, "the guest's bytes, not what they mean"


def test_another_format_is_asked_of_qemu_img(tmp_path: Path) -> None:
    disk = tmp_path / "disk.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", disk, "2M")
    assert DiskFiles(SubprocessRunner(), Folders()).info(str(disk), "vmdk").size == 2 * MIB


def test_a_chain_has_every_overlay(tool: DiskFiles, chain: tuple[Path, Path, Path]) -> None:
    found = tool.chain(str(chain[2]), "qcow2")
    assert [(overlay.path, overlay.format, overlay.size) for overlay in found] == [
        (str(chain[2]), "qcow2", 8 * MIB),
        (str(chain[1]), "qcow2", 8 * MIB),
        (str(chain[0]), "raw", 4 * MIB),
    ]
    assert [overlay.allocated for overlay in found] == [path.stat().st_blocks * 512 for path in reversed(chain)]


def test_a_chain_ends_where_a_file_is_lost_or_comes_again(tool: DiskFiles, chain: tuple[Path, Path, Path]) -> None:
    chain[0].unlink()
    assert tool.chain(str(chain[2]), "qcow2")[-1] == ChainFile(str(chain[0]), "raw", None, None)
    qemu_img("rebase", "-q", "-u", "-b", chain[2], "-F", "qcow2", chain[1])
    assert [overlay.path for overlay in tool.chain(str(chain[2]), "qcow2")] == [str(chain[2]), str(chain[1])]


def test_copies_side_by_side_each_have_their_space(tmp_path: Path) -> None:
    tool, needed = DiskFiles(SubprocessRunner(), Folders()), 40 * MIB
    with small_disk(tmp_path / "disk", 64 + 70) as folder:  # 64 MiB stay in reserve
        before = free_bytes(folder)
        one, two = (str(folder / f"{name}.qcow2") for name in ("one", "two"))
        with tool.empty_copy(one, 4096 * MIB, needed):
            assert before - free_bytes(folder) >= needed
            with pytest.raises(NoSpace, match=r"A whole copy of 41943040 bytes"), tool.empty_copy(two, 4096 * MIB, needed):
                pass
            qemu_img("bench", "-q", "-w", "-f", "qcow2", "-c", "16", "-s", "1M", "-S", "1M", one)
        assert MIB * 16 <= before - free_bytes(folder) < needed
        assert tool.info(one, "qcow2").size == 4096 * MIB
        assert sorted(path.name for path in folder.glob("*.lock")) == []
