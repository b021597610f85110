# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library in an archive, as Ansible sends it: each file is compiled once, or not at all where the same file was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins import module_utils
from ansible_collections.edge.cloud.plugins.module_utils._host.library import Library, digest_of
from ansible_collections.edge.cloud.plugins.module_utils._sent import FromArchive, folder_of_root

LIBRARY = module_utils.__name__
ROOM = "_network"
NAMES = (f"{ROOM}.link.addressing", f"{ROOM}.boot.matching", "_storage.names")
PROGRAM = """
import json, sys, traceback
archive, library, compiled, *names = sys.argv[1:]
counts = {}
def count(event, arguments):
    if event == "compile":
        name = str(arguments[1])
        if name.startswith(archive):
            counts[name[len(archive) + 1:]] = counts.get(name[len(archive) + 1:], 0) + 1
sys.addaudithook(count)
sys.path.insert(0, archive)
import importlib
sent = importlib.import_module(f"{library}._sent")
if compiled == "off":
    sent.import_once = lambda spec: None
elif compiled:
    sys.meta_path.insert(0, sent.FromArchive(library, compiled))
try:
    found = {name: importlib.import_module(f"{library}.{name}") for name in names}
except ValueError:
    sys.exit(traceback.format_exc())
said = {name: getattr(one, "SAID", None) for name, one in found.items()}
places = {name: [one.__file__, one.__package__, one.__spec__.origin] for name, one in found.items()}
print(json.dumps({"compiled": counts, "said": said, "places": places}))
"""


def sources() -> dict[str, str]:
    root = Path(next(iter(module_utils.__path__)))
    found = (*root.glob("*.py"), *(root / ROOM).rglob("*.py"), *(root / "_storage").glob("*.py"))
    return {str(path.relative_to(root)): path.read_text() for path in found}


def imported(folder: Path, files: dict[str, str], compiled: Path | str = "", names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """Import modules of an archive of these files in a new interpreter, and return how often it compiled each."""
    archive, inside = folder / "sent.zip", LIBRARY.replace(".", "/")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for parent in (Path(inside), *Path(inside).parents[:-1]):
            made.writestr(f"{parent}/__init__.py", "")
        for name, text in files.items():
            made.writestr(f"{inside}/{name}", text)
    argv = [sys.executable, "-I", "-c", PROGRAM, str(archive), LIBRARY, str(compiled), *names]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    found["compiled"] = {name.removeprefix(f"{inside}/"): count for name, count in found["compiled"].items()}
    return found


def below(found: dict[str, Any]) -> dict[str, int]:
    """Return what is imported after the hook: not the parents, nor the hook and the first package, which bring it."""
    return {name: count for name, count in found["compiled"].items() if name.startswith(f"{ROOM}/") and "_init_" not in name}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library as host_library installs it."""
    library, files = Library(tmp_path_factory.mktemp("installed")), sources()
    for step in library.plan(digest_of(files)).steps:
        library.apply(step, files)
    return library.root / "current" / "edge_cloud"


def test_each_file_is_compiled_once(tmp_path: Path) -> None:
    found = imported(tmp_path, sources())
    assert below(found) and set(below(found).values()) == {1}, found["compiled"]


def test_a_module_is_what_it_would_be(tmp_path: Path, installed: Path) -> None:
    plain = imported(tmp_path, sources(), "off")
    assert imported(tmp_path, sources())["places"] == plain["places"]
    assert imported(tmp_path, sources(), installed)["places"] == plain["places"]


def test_nothing_is_compiled_that_was_installed(tmp_path: Path, installed: Path) -> None:
    assert below(imported(tmp_path, sources(), installed)) == {}


def test_only_code_of_just_the_file_that_was_sent_is_taken(tmp_path: Path, installed: Path) -> None:
    files, name = sources(), f"{ROOM}/link/addressing.py"
    files[name] += "\nSAID = 'new'\n"
    found = imported(tmp_path, files, installed)
    assert below(found) == {name: 1}
    assert found["said"][f"{ROOM}.link.addressing"] == "new"


def test_damaged_code_is_compiled_anew(tmp_path: Path, installed: Path) -> None:
    """A file that was cut off at some byte, as a power cut may leave it, or that has zeros from there."""
    path = Path(cache_from_source(str(installed / ROOM / "link" / "addressing.py")))
    whole = path.read_bytes()
    try:
        for damaged in (
            b"",
            whole[:3],
            whole[:12],
            whole[:16],
            whole[:100],
            *(whole[:kept].ljust(len(whole), b"\0") for kept in (0, 16)),
        ):
            path.write_bytes(damaged)
            found = imported(tmp_path, sources(), installed)
            assert below(found) == {f"{ROOM}/link/addressing.py": 1}, damaged[:100]
    finally:
        path.write_bytes(whole)


def test_code_that_is_checked_by_time_is_not_taken(tmp_path: Path, installed: Path) -> None:
    path = Path(cache_from_source(str(installed / ROOM / "link" / "addressing.py")))
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:4] + bytes(4) + whole[8:])
        assert below(imported(tmp_path, sources(), installed)) == {f"{ROOM}/link/addressing.py": 1}
    finally:
        path.write_bytes(whole)


def test_an_error_shows_its_line(tmp_path: Path, installed: Path) -> None:
    files = {**sources(), f"{ROOM}/broken.py": "def fail() -> None:\n    raise ValueError('here')  # the line\n\n\nfail()\n"}
    for compiled in ("", installed):
        with pytest.raises(subprocess.CalledProcessError) as error:
            imported(tmp_path, files, compiled, (*NAMES, f"{ROOM}.broken"))
        assert "raise ValueError('here')  # the line" in error.value.stderr


def test_only_folders_of_root_are_trusted(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/usr/lib")
    assert folder_of_root(str(link)) == os.path.realpath("/usr/lib")
    assert folder_of_root(str(tmp_path)) is None, "others may write to the folder that it is in"
    assert folder_of_root("/usr/lib/no-such-folder") is None


def test_a_library_of_files_is_imported_by_python_alone() -> None:
    assert not [finder for finder in sys.meta_path if isinstance(finder, FromArchive)]
