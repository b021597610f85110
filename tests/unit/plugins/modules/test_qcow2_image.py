# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module qcow2_image with the real qemu-img."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import note_format
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qcow2 import read_header
from support.hostile import SIZE, require_records, write_hostile
from support.images import MIB, qcow2, qemu_img, raw
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return qcow2(tmp_path / "base.qcow2", 2)


def shown(verb: str, path: Path) -> str:
    return subprocess.run(["qemu-img", verb, "-f", "qcow2", str(path)], check=True, capture_output=True, text=True).stdout


def qemu_io(path: Path, *commands: str) -> None:
    argv = ["qemu-io", "-f", "qcow2", str(path), *[word for command in commands for word in ("-c", command)]]
    answer = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert "failed" not in answer, answer


def run(capsys: Capsys, path: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module(capsys, "qcow2_image", check=check, path=str(path), disk_directories=[str(path.parent)], **options)


def agreed(capsys: Capsys, path: Path, **options: Any) -> dict[str, Any]:
    """Run in check mode, truly, and again: the prediction is what happened, and then there is nothing left to do."""
    predicted, done, again = run(capsys, path, check=True, **options), run(capsys, path, **options), run(capsys, path, **options)
    keys = ("changed", "actions", "diff", "image", "failed")
    assert {key: predicted.get(key) for key in keys} == {key: done.get(key) for key in keys}
    assert (again["changed"], again["image"]) == (False, done["image"]), again
    return done


def test_an_empty_disk(capsys: Capsys, tmp_path: Path) -> None:
    done = agreed(capsys, tmp_path / "d", size="1G", cluster_size="128K")
    assert (done["image"]["virtual_size"], done["image"]["cluster_size"]) == (1024 * MIB, 131072)
    assert done["diff"]["after"]["virtual_size"] == 1024 * MIB
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_an_overlay_takes_the_size_of_its_image_and_grows(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    assert agreed(capsys, tmp_path / "d", backing_image=str(base))["image"]["virtual_size"] == 2 * MIB
    grown = agreed(capsys, tmp_path / "d", backing_image=str(base), size="8M")
    assert grown["diff"] == {"before": {"virtual_size": 2 * MIB}, "after": {"virtual_size": 8 * MIB}}
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", base, tmp_path / "d")


def test_a_backing_image_that_names_other_files_needs_the_word(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    disk, given = tmp_path / "disk.raw", tmp_path / "given.qcow2"
    write_hostile(disk, "backing file")
    refused = run(capsys, tmp_path / "d", backing_image=str(disk))
    assert (refused["error"]["code"], refused["error"]["option"]) == ("refused", "backing_image")
    assert "Give backing_format: raw" in refused["msg"]
    assert run(capsys, tmp_path / "d", backing_image=str(disk), backing_format="raw")["image"]["backing_format"] == "raw"
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "qcow2", given)
    assert run(capsys, tmp_path / "e", backing_image=str(given))["error"]["code"] == "refused"
    assert run(capsys, tmp_path / "e", backing_image=str(given), backing_format="qcow2")["changed"] is True
    require_records(tmp_path)
    assert run(capsys, tmp_path / "f", backing_image=str(tmp_path / "e"))["changed"] is True  # made here
    note_format(tmp_path / "f", "raw")  # a domain uses it so
    assert run(capsys, tmp_path / "f", size="8M")["error"]["code"] == "conflict"


def test_shrinking_needs_the_word(capsys: Capsys, tmp_path: Path) -> None:
    agreed(capsys, tmp_path / "d", size="8M")
    refused = run(capsys, tmp_path / "d", size="4M")
    assert (refused["failed"], refused["error"]["code"]) == (True, "refused")
    assert agreed(capsys, tmp_path / "d", size="4M", allow_shrink=True)["image"]["virtual_size"] == 4 * MIB


def test_an_overlay_smaller_than_its_image_is_refused(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    assert run(capsys, tmp_path / "d", backing_image=str(base), size="1M")["error"]["code"] == "invalid_input"
    assert not (tmp_path / "d").exists()


def test_rebase_keeps_the_content(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    other = qcow2(tmp_path / "other.qcow2", 2, seed=9)
    agreed(capsys, tmp_path / "d", backing_image=str(base))
    assert agreed(capsys, tmp_path / "d", backing_image=str(other))["image"]["backing_file"] == str(other)
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", base, tmp_path / "d")
    assert agreed(capsys, tmp_path / "d", backing_image="")["image"]["backing_file"] is None
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", base, tmp_path / "d")


def test_unsafe_rebase_changes_the_name_alone(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    other = qcow2(tmp_path / "other.qcow2", 2, seed=9)
    agreed(capsys, tmp_path / "d", backing_image=str(base))
    agreed(capsys, tmp_path / "d", backing_image=str(other), unsafe_rebase=True)
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", other, tmp_path / "d")


def test_conversion(capsys: Capsys, tmp_path: Path) -> None:
    source = raw(tmp_path / "s.raw", 2)
    done = agreed(capsys, tmp_path / "d", source=str(source), source_format="raw", size="4M", compress=True)
    assert done["actions"][0].startswith("Convert")
    assert done["image"]["virtual_size"] == 4 * MIB
    qemu_img("compare", "-f", "raw", "-F", "qcow2", source, tmp_path / "d")


def test_conversion_of_what_points_elsewhere_is_refused(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    agreed(capsys, tmp_path / "o", backing_image=str(base))
    assert run(capsys, tmp_path / "d", source=str(tmp_path / "o"))["error"]["code"] == "refused"


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Have a real QEMU process write the disk."""
    argv = ["qemu-io", "-f", "qcow2", str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("length\n")
        process.stdin.flush()
        assert process.stdout.readline()
        yield
        process.stdin.close()


def test_a_disk_in_use_is_read_and_never_changed(capsys: Capsys, tmp_path: Path) -> None:
    agreed(capsys, tmp_path / "d", size="4M")
    with in_use(tmp_path / "d"):
        assert not run(capsys, tmp_path / "d", size="4M", repair="all")["changed"]
        for check in (True, False):
            assert run(capsys, tmp_path / "d", check=check, size="8M")["error"]["code"] == "busy"
            assert run(capsys, tmp_path / "d", check=check, state="absent")["error"]["code"] == "busy"
        chain = run_module(capsys, "qcow2_image_info", path=str(tmp_path / "d"))["chain"]
        assert [link["in_use"] for link in chain] == [True]
    assert agreed(capsys, tmp_path / "d", size="8M")["changed"]


def test_leaks_are_repaired(capsys: Capsys, tmp_path: Path) -> None:
    path = tmp_path / "d"
    agreed(capsys, path, size="4M")
    data = bytearray(path.read_bytes())
    table = int.from_bytes(data[48:56], "big")
    block = int.from_bytes(data[table : table + 8], "big")
    data[block + 100 : block + 102] = b"\0\1"
    path.write_bytes(data)
    done = agreed(capsys, path, repair="leaks")
    assert done["diff"]["before"] == {"leaks": 1}
    assert done["image"]["leaks"] == 0


@pytest.mark.parametrize("over", [True, False])
def test_a_new_disk_has_room_for_all_its_writes_and_takes_no_space(capsys: Capsys, tmp_path: Path, base: Path, over: bool) -> None:
    path = tmp_path / "d"
    over_it = {"backing_image": str(base)} if over else {}
    agreed(capsys, path, size="64M", **over_it)
    made = path.stat()
    assert made.st_blocks * 512 <= 1024**2
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 7 0 64M", str(path)], check=True)
    assert path.stat().st_size == made.st_size
    assert not run(capsys, path, size="64M", repair="leaks", **over_it)["changed"]


def test_absent_refuses_what_is_below_another_disk(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    agreed(capsys, tmp_path / "d", backing_image=str(base))
    for check in (True, False):
        refused = run(capsys, base, check=check, state="absent")
        assert refused["error"] == {"code": "refused", "option": "path", "path": str(base), "used_by": [str(tmp_path / "d")]}
    assert agreed(capsys, tmp_path / "d", state="absent")["image"] == {}
    assert agreed(capsys, base, state="absent")["changed"]


@pytest.mark.parametrize(
    "made", [({}, 131072, True), ({"cluster_size": "64K"}, 65536, True), ({"cluster_size": "4K"}, 4096, False)]
)
def test_an_overlay_has_subclusters(capsys: Capsys, tmp_path: Path, base: Path, made: tuple[dict[str, str], int, bool]) -> None:
    options, cluster, extended = made
    done = agreed(capsys, tmp_path / "d", backing_image=str(base), **options)
    header = read_header(tmp_path / "d")
    assert (done["image"]["cluster_size"], header.cluster_size, header.extended_l2) == (cluster, cluster, extended)


@pytest.mark.parametrize("size", ["3G", "8G"])
@pytest.mark.parametrize("cluster", ["64K", None, "256K", "2M"])
def test_an_overlay_has_its_first_tables_ahead_and_all_of_its_image(
    capsys: Capsys, tmp_path: Path, size: str, cluster: str | None
) -> None:
    """The image is longer than what is ahead, and has data on both sides of each end that there may be."""
    image, disk = tmp_path / "image", tmp_path / "d"
    data = [f"write -q -P {number} {gib * 1024 - 1}M 2M" for number, gib in enumerate((1, 2, 4, 6), 1)]
    qemu_img("create", "-q", "-f", "qcow2", image, size)
    qemu_io(image, *data[: 2 if size == "3G" else None])
    agreed(capsys, disk, backing_image=str(image), size=size, **({"cluster_size": cluster} if cluster else {}))
    assert disk.stat().st_blocks * 512 < MIB or cluster in ("256K", "2M")
    assert str(disk) not in shown("map", disk)
    assert ("100.00% allocated" in shown("check", disk)) == ((size == "3G" and cluster != "64K") or cluster in ("256K", "2M"))
    qemu_img("compare", "-F", "qcow2", "-f", "qcow2", disk, image)
    qemu_io(disk, "write -q -P 7 1M 4k", "write -q -P 7 7M 4k")
    assert "No errors" in shown("check", disk)
    qemu_io(disk, "read -q -P 1 1023M 2M", "read -q -P 7 7M 4k")


def test_nothing_is_ahead_where_that_is_wanted(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    agreed(capsys, tmp_path / "d", backing_image=str(base), size="1G", preallocation="off")
    assert "allocated" not in shown("check", tmp_path / "d")


def test_metadata_of_an_overlay_ahead(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    agreed(capsys, tmp_path / "d", backing_image=str(base), size="1G", preallocation="metadata")
    assert (tmp_path / "d").stat().st_blocks * 512 < MIB
    qemu_img("compare", "-F", "qcow2", "-f", "qcow2", tmp_path / "d", base)


def test_what_is_not_ours_is_left_alone(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("a letter")
    for state in ("present", "absent"):
        assert run(capsys, tmp_path / "d", size="1M", state=state)["error"]["code"] == "conflict"
    assert (tmp_path / "d").read_text() == "a letter"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "invalid_input"), ({"size": "x"}, "invalid_input"), ({"backing_image": "/nowhere/x"}, "not_found"),
        ({"backing_image": "nbd://x/y"}, "invalid_input"), ({"source": "/nowhere/x"}, "not_found"),
        ({"size": "1M", "cluster_size": "3K"}, "invalid_input"), ({"size": "1M", "cluster_size": "4M"}, "invalid_input"),
    ],
)  # fmt: skip
def test_bad_input_leaves_nothing(capsys: Capsys, tmp_path: Path, options: dict[str, Any], code: str) -> None:
    assert run(capsys, tmp_path / "d", **options)["error"]["code"] == code
    assert list(tmp_path.iterdir()) == []


def test_info_of_a_raw_disk_is_not_what_its_guest_wrote(capsys: Capsys, tmp_path: Path) -> None:
    require_records(tmp_path)
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(SIZE))
    note_format(disk, "raw")
    write_hostile(disk, "backing file")
    (link,) = run_module(capsys, "qcow2_image_info", path=str(disk))["chain"]
    assert (link["format"], link["virtual_size"], link["backing_file"]) == ("raw", SIZE, None)


def test_info_tells_the_chain(capsys: Capsys, tmp_path: Path, base: Path) -> None:
    agreed(capsys, tmp_path / "d", backing_image=str(base))
    agreed(capsys, tmp_path / "e", backing_image=str(tmp_path / "d"))
    chain = run_module(capsys, "qcow2_image_info", path=str(tmp_path / "e"))["chain"]
    assert [link["path"] for link in chain] == [str(tmp_path / "e"), str(tmp_path / "d"), str(base)]
    assert run_module(capsys, "qcow2_image_info", path=str(tmp_path / "none"))["chain"] == []
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", tmp_path / "e", "-F", "qcow2", tmp_path / "d")
    assert run_module(capsys, "qcow2_image_info", path=str(tmp_path / "e"))["error"]["code"] == "corrupt"
