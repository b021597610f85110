# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every YAML example of README, guides, roles and modules is Ansible, and names only options and roles that exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

TREE = Path(__file__).resolve().parents[3]
MODULES = {path.stem: path for path in (TREE / "plugins/modules").glob("*.py")}
PAGES = [TREE / "README.md", *sorted((TREE / "docs").glob("*.md")), *sorted((TREE / "roles").glob("*/README.md"))]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def section(path: Path, name: str) -> Any:
    found = re.search(rf'^{name} = r?"""(.*?)"""', path.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{path.name} has no {name}"
    return yaml.safe_load(found[1])


def options_of(module: str) -> dict[str, Any]:
    """Return the module's options with those of its documentation fragments."""
    documented = section(MODULES[module], "DOCUMENTATION")
    options = dict(documented.get("options", {}))
    for fragment in documented.get("extends_documentation_fragment", []):
        _namespace, _collection, name, *part = fragment.split(".")
        file = TREE / f"plugins/doc_fragments/{name}.py"
        text = re.search(rf'{(part or ["DOCUMENTATION"])[0].upper()} = r"""(.*?)"""', file.read_text(), re.DOTALL)
        assert text, fragment
        options |= yaml.safe_load(text[1]).get("options", {})
    return options


def examples() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text())):
            yield pytest.param(block, id=f"{page.relative_to(TREE)}:{number}")
    for name, path in sorted(MODULES.items()):
        yield pytest.param(yaml.safe_dump(section(path, "EXAMPLES"), sort_keys=False), id=name)


def as_plays(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found if "hosts" in found[0] else [{"hosts": "all", "tasks": found}]


def tasks_of(found: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping that may be a task, however deep."""
    if isinstance(found, dict):
        yield found
        for value in found.values():
            yield from tasks_of(value)
    elif isinstance(found, list):
        for value in found:
            yield from tasks_of(value)


@pytest.mark.parametrize("text", list(examples()))
def test_example(text: str, tmp_path: Path) -> None:
    found = yaml.safe_load(text)
    assert isinstance(found, list), "an example is a list of plays or tasks"
    for task in tasks_of(found):
        for name, arguments in task.items():
            if name.startswith("edge.cloud.") and isinstance(arguments, dict):
                unknown = set(arguments) - set(options_of(name.removeprefix("edge.cloud.")))
                assert not unknown, f"{name} has no {unknown}"
                if name == "edge.cloud.domains":
                    used = {key for item in (arguments.get("defaults", {}), *arguments["domains"]) for key in item}
                    assert used <= set(options_of("domain")) - {"uri"}, f"{name} takes the options of domain, not {used}"
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump(as_plays(found), sort_keys=False))
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "-i", "localhost,", str(book)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections")},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
