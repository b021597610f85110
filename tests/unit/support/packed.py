# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of the library Ansible packs with a module: all that it or they import, wherever the import stands in a file.

An import within a function or for type checkers only is packed, too, with the ``__init__`` of each folder above a file.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

PLUGINS = Path(__file__).parents[3] / "plugins"
PREFIX = "ansible_collections.edge.cloud.plugins"
Graph = Mapping[str, Collection[str]]  # dotted name below plugins → what it has packed


@cache
def library() -> Graph:
    """Return what each file of modules and of their library imports, with the folders that it lies in."""
    files = {name_of(path): path for folder in ("modules", "module_utils") for path in (PLUGINS / folder).rglob("*.py")}
    return {name: {*_imports(name, path, files), *_folders(name)} & files.keys() - {name} for name, path in files.items()}


def name_of(path: Path) -> str:
    """Return the dotted name of a file of the collection; a folder's ``__init__`` has the folder's."""
    parts = path.relative_to(PLUGINS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str, path: Path, files: Collection[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            inside = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            above = inside[: len(inside) - node.level + 1] if node.level else []
            place = ".".join([*above, *filter(None, [node.module])]).removeprefix(f"{PREFIX}.")
            for alias in node.names:
                yield found if (found := f"{place}.{alias.name}") in files else place
        elif isinstance(node, ast.Import):
            yield from (alias.name.removeprefix(f"{PREFIX}.") for alias in node.names)


def _folders(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(2, len(parts)))


def packed(graph: Graph, start: str, without: tuple[str, str] | None = None) -> set[str]:
    """Return what is packed with ``start``, itself not among it; ``without`` is an import that is left out."""
    found: set[str] = set()
    left = [start]
    while left:
        name = left.pop()
        new = {other for other in graph[name] if (name, other) != without} - found
        found |= new
        left += new
    return found


def suspects(graph: Graph, start: str, most: int) -> list[tuple[int, str, str]]:
    """Return the imports without any one of which at most so many files are packed, with the files that each saves, fewest first.

    Where no import alone is enough, those that save the most come first.
    """
    everything = packed(graph, start)
    imports = [(name, other) for name in {start, *everything} for other in graph[name]]
    saved = sorted((len(everything) - len(packed(graph, start, one)), *one) for one in imports)
    enough = [one for one in saved if len(everything) - one[0] <= most]
    return enough or [one for one in reversed(saved) if one[0] > 1]
