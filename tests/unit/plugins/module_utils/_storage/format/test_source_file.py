# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source is one file from the first to the last read, whatever happens to its name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Conflict, Corrupt, InvalidInput, NotFound, Refused
from ansible_collections.edge.cloud.plugins.module_utils._runner import Completed, SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.disk import ConvertDisk, Creation
from ansible_collections.edge.cloud.plugins.module_utils._storage.disk.disk_files import Qcow2Files
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.foreign_image import Rules
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.qemu_img import QemuImg
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.source_file import held, opened
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.import_ import ImageDescription, import_file
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from support.images import MIB, QEMU, qcow2, qemu_img, raw


class Between(SubprocessRunner):
    """Runs commands, and something else once after the first whose arguments have the word."""

    def __init__(self, word: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._word, self._act, self._done = word, act, False

    def run(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> Completed:
        done = super().run(argv, stdin=stdin, check=check, timeout=timeout)
        if self._word in argv and not self._done:
            self._done = True
            self._act()
        return done


@pytest.mark.parametrize("form", ["qcow2", "vdi", "vmdk"])
def test_a_source_that_is_swapped_in_the_middle_is_never_mixed(tmp_path: Path, form: str) -> None:
    source, evil, secret = tmp_path / "source", tmp_path / "evil", tmp_path / "secret"
    qemu_img("convert", "-f", "raw", "-O", form, raw(tmp_path / "plain", 2), source)
    secret.write_bytes(b"secret" * MIB)
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", evil)
    store, mine = Store(tmp_path / "store"), QemuImg(Between("info", lambda: evil.rename(source)))
    try:
        image = import_file(store, mine, source, wanted=ImageDescription("a", "1", "now"), rules=Rules(), now=0)
    except Conflict as error:
        assert str(source) in error.message and "/proc/" not in error.message
        assert [path.name for path in store.root.iterdir()] == ["partial"] and not list(store.partial.iterdir())
    else:
        qemu_img("compare", "-f", "raw", "-F", "qcow2", tmp_path / "plain", store.image_path(image.digest))


def test_a_source_that_is_written_in_the_middle_and_dated_back_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    qemu_img("convert", "-f", "raw", "-O", "vdi", raw(tmp_path / "plain", 2), source)
    before = source.stat()

    def write() -> None:
        with source.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"?")
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))

    store = Store(tmp_path / "store")
    with pytest.raises(Conflict, match=f"{source} was changed"):
        import_file(store, QemuImg(Between("info", write)), source, wanted=ImageDescription("a", "1", "now"), rules=Rules(), now=0)
    assert not list(store.partial.iterdir())


def test_a_disk_is_converted_from_what_was_judged(tmp_path: Path) -> None:
    source, evil = qcow2(tmp_path / "source", 2), tmp_path / "evil"
    qemu_img("create", "-f", "qcow2", "-b", raw(tmp_path / "secret", 2), "-F", "raw", evil)
    runner = Between("info", lambda: evil.rename(source))
    with pytest.raises(Conflict, match=f"{source} was changed"):
        Qcow2Files(QemuImg(runner)).source(source, None)


def test_a_name_of_a_held_file_holds_for_children(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("first")
    with opened(path) as name:
        path.unlink()
        path.write_text("second")
        assert subprocess.run(["cat", name], check=True, capture_output=True, text=True).stdout == name.read_text() == "first"


def test_errors_about_a_held_file_name_the_users(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    with pytest.raises(Corrupt) as raised, held(path) as name:
        raise Corrupt(f"{name} is bad.", path=str(name), argv=["x", str(name)])
    assert raised.value.as_result() == {
        "msg": f"{path} is bad.",
        "error": {"code": "corrupt", "path": str(path), "argv": ["x", str(path)]},
    }


def test_only_a_regular_file_is_read_and_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, kind in {"pipe": InvalidInput, ".": InvalidInput, "none": NotFound}.items():
        with pytest.raises(kind), held(tmp_path / name):
            pass


def test_a_link_to_a_file_is_followed_once(tmp_path: Path) -> None:
    first, second, link = tmp_path / "first", tmp_path / "second", tmp_path / "link"
    first.write_text("first")
    second.write_text("second")
    link.symlink_to(first)
    with held(link) as name:
        link.unlink()
        link.symlink_to(second)
        assert name.read_text() == "first"


def test_a_source_that_is_replaced_after_the_plan_is_judged_again(tmp_path: Path) -> None:
    source, evil = qcow2(tmp_path / "source", 2), tmp_path / "evil"
    files = Qcow2Files(QEMU)
    step = ConvertDisk(str(tmp_path / "disk"), files.source(source, None), Creation())
    qemu_img("create", "-f", "qcow2", "-b", raw(tmp_path / "secret", 2), "-F", "raw", evil)
    evil.rename(source)
    with pytest.raises(Refused, match=f"^source: {source} is refused: it has the backing file"):
        files.apply(step)
    assert not (tmp_path / "disk").exists()
