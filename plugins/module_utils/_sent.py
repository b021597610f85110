# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that Ansible sent imports the library: each file is compiled once, or not at all.

Ansible sends a module and its library as one zip archive, and Python's own import from such an archive compiles each file twice
(once to learn its name), in each task. Here it is compiled once; and where ``edge.cloud.host_library`` installed the same file, the
code that it compiled then is loaded. Nothing is decided by a version: of the installed code only that is taken which carries the
hash of just the source that was sent (the rule of Python for checked hash-based pycs, PEP 552), was compiled by this Python, and
lies where only root can write. In every other case the source that was sent is compiled.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from zipimport import ZipImportError, zipimporter

COMPILED = "/usr/lib/edge/current/edge_cloud"
OTHERS_WRITE = 0o022
BY_HASH = 0b01  # flag of a pyc
HEAD = 16  # bytes of a pyc before its code: magic number, flags, hash of the source


def import_once(spec: ModuleSpec | None, compiled: str = COMPILED) -> None:
    """Have the rest of the library that the package ``spec`` is a folder of imported as above, if it is in an archive."""
    library = spec.name.rpartition(".")[0] if spec else ""
    if spec is None or not isinstance(spec.loader, zipimporter):
        return
    if not any(isinstance(finder, FromArchive) and finder.library == library for finder in sys.meta_path):
        sys.meta_path.insert(0, FromArchive(library, folder_of_root(compiled)))


def folder_of_root(path: str) -> str | None:
    """Return where a folder really is, or None unless it is there and only root can change it and what leads to it."""
    folder = Path(os.path.realpath(path))
    try:
        found = [one.stat() for one in (folder, *folder.parents)]
    except OSError:
        return None
    return None if any(one.st_uid != 0 or one.st_mode & OTHERS_WRITE for one in found) else str(folder)


def compiled_code(path: str, source: bytes) -> CodeType | None:
    """Return the code that a Python file was compiled to, or None if it is missing or not that of ``source``."""
    try:
        with open(cache_from_source(path), "rb") as file:  # noqa: PTH123 - this is to save milliseconds
            data = file.read()
        flags = int.from_bytes(data[4:8], "little")
        if data[:4] != MAGIC_NUMBER or not flags & BY_HASH or data[8:HEAD] != source_hash(source):
            return None
        code = marshal.loads(data[HEAD:])  # noqa: S302 - only root could write it
    except (OSError, NotImplementedError, EOFError, TypeError, ValueError):
        return None
    return code if isinstance(code, CodeType) else None


class FromArchive:
    """Finds the modules of a library in the archive that it was sent in."""

    def __init__(self, library: str, compiled: str | None) -> None:
        self.library, self.compiled = library, compiled

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what Python needs to load a module, or None to have Python look for itself; see importlib.abc.MetaPathFinder."""
        if not name.startswith(f"{self.library}.") or not path:
            return None
        (folder, *_others), parts = path, name.removeprefix(f"{self.library}.").split(".")
        try:
            archive = zipimporter(folder)
            package = archive.is_package(name)
        except ZipImportError:
            return None
        ending = "/__init__.py" if package else ".py"
        compiled = f"{self.compiled}/{'/'.join(parts)}{ending}" if self.compiled else None
        inside = f"{folder}/{parts[-1]}"
        loader = Loader(name, f"{inside}{ending}", archive, compiled)
        return spec_from_file_location(name, loader.path, loader=loader, submodule_search_locations=[inside] if package else None)


class Loader(SourceFileLoader):
    """Loads a module from its compiled code, else from its source in the archive."""

    def __init__(self, name: str, path: str, archive: zipimporter, compiled: str | None) -> None:
        super().__init__(name, path)
        self.archive, self.compiled = archive, compiled

    def get_data(self, path: str) -> bytes:
        """Return a file of the archive."""
        return self.archive.get_data(path)

    def get_code(self, _fullname: str) -> CodeType | None:
        """Return the code of the module."""
        source = self.get_data(self.path)
        code = compiled_code(self.compiled, source) if self.compiled else None
        return code or self.source_to_code(source, self.path)
