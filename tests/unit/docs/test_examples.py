# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every YAML example of README, guides, roles and modules is Ansible, and names only options and roles that exist, however deep."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

TREE = Path(__file__).resolve().parents[3]
MODULES = {path.stem: path for path in (TREE / "plugins/modules").glob("*.py")}
INVENTORY = TREE / "plugins/inventory/libvirt.py"
CONSTRUCTED = ("strict", "compose", "groups", "keyed_groups", "use_extra_vars", "leading_separator")
ROLES = {path.parents[1].name: path for path in (TREE / "roles").glob("*/meta/argument_specs.yml")}
PAGES = [*(TREE / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((TREE / "docs").glob("*.md"))]
PAGES += sorted((TREE / "roles").glob("*/README.md"))
BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
OTHERS = {"console", "python", ""}


def section(path: Path, name: str) -> Any:
    found = re.search(rf'^{name} = r?"""(.*?)"""', path.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{path.name} has no {name}"
    return yaml.safe_load(found[1])


@cache
def options_of(module: Path) -> dict[str, Any]:
    """Return a module's or plugin's options with those of its documentation fragments."""
    documented = section(module, "DOCUMENTATION")
    options = dict(documented.get("options", {}))
    for fragment in documented.get("extends_documentation_fragment", []):
        namespace, _collection, name, *part = f"{fragment}..".split(".")
        if namespace != "edge":  # of ansible-core
            options |= {key: {} for key in (CONSTRUCTED if namespace == "constructed" else ())}
            continue
        file = TREE / f"plugins/doc_fragments/{name}.py"
        text = re.search(rf'{(part[0] or "DOCUMENTATION").upper()} = r"""(.*?)"""', file.read_text(), re.DOTALL)
        assert text, fragment
        options |= yaml.safe_load(text[1]).get("options", {})
    return options


@cache
def variables_of(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(ROLES[role].read_text())["argument_specs"]["main"]["options"]
    return found


def unknown(asked: dict[str, Any], options: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the path of each option that is asked for and not documented."""
    for name, value in asked.items():
        if name not in options:
            yield f"{where}.{name}"
            continue
        within = options[name].get("suboptions") or options[name].get("options")
        for one in value if isinstance(value, list) else [value]:
            if within and isinstance(one, dict):
                yield from unknown(one, within, f"{where}.{name}")


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of each fenced block; one that is not found so would not be checked."""
    text = page.read_text()
    found = BLOCK.findall(text)
    assert 2 * len(found) == text.count("```"), f"{page.name} has a block that is not fenced at the beginning of a line"
    yield from found


def examples() -> Iterator[Any]:
    for page in PAGES:
        for number, text in enumerate(text for language, text in blocks(page) if language == "yaml"):
            yield pytest.param(text, id=f"{page.relative_to(TREE)}:{number}")
    for name, path in sorted(MODULES.items()):
        yield pytest.param(yaml.safe_dump(section(path, "EXAMPLES"), sort_keys=False), id=name)


EXAMPLES = list(examples())


def as_plays(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found if "hosts" in found[0] else [{"hosts": "all", "tasks": found}]


def mappings(found: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping that may be a task or a role, however deep."""
    if isinstance(found, dict):
        yield found
        for value in found.values():
            yield from mappings(value)
    elif isinstance(found, list):
        for value in found:
            yield from mappings(value)


def wrong_in(task: dict[str, Any]) -> Iterator[str]:
    for name, arguments in task.items():
        if name.startswith("edge.cloud.") and isinstance(arguments, dict):
            module = name.removeprefix("edge.cloud.")
            yield from unknown(arguments, options_of(MODULES[module]), module)
            if module == "domains":
                of_one = {key: value for key, value in options_of(MODULES["domain"]).items() if key != "uri"}
                for item in (arguments.get("defaults", {}), *arguments["domains"]):
                    yield from unknown(item, of_one, "domains[]")
            if module == "virtual_networks":
                for item in (arguments.get("defaults", {}), *arguments["networks"]):
                    yield from unknown(item, options_of(MODULES["virtual_network"]), "networks[]")
    role = str(task.get("role", "")).removeprefix("edge.cloud.")
    if role in ROLES:
        asked = {key: value for key, value in {**task, **task.get("vars", {})}.items() if key.startswith(f"{role}_")}
        yield from unknown(asked, variables_of(role), role)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_names_what_there_is(text: str) -> None:
    found = yaml.safe_load(text)
    if isinstance(found, dict):
        wrong = list(unknown(found, {**options_of(INVENTORY), "plugin": {}}, "inventory"))
    else:
        wrong = [path for one in mappings(found) for path in wrong_in(one)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_a_page_has_no_marks_of_a_merge(page: Path) -> None:
    assert [line for line in page.read_text().splitlines() if re.match(r"(<{7}|={7}|>{7})( |$)", line)] == []


def test_what_is_no_yaml_says_so() -> None:
    languages = {(language, page.name) for page in PAGES for language, _text in blocks(page) if language != "yaml"}
    assert {language for language, _page in languages} <= OTHERS, languages
    for page in PAGES:
        for language, text in blocks(page):
            assert language == "yaml" or not re.search(r"^(- \w+|\w+):( |$)", text, re.MULTILINE), f"{page.name}: {text}"


def test_ansible_takes_the_syntax_of_all(tmp_path: Path) -> None:
    books = []
    for example in EXAMPLES:
        found = yaml.safe_load(example.values[0])
        if isinstance(found, list):
            books.append(tmp_path / f"{str(example.id).replace('/', '-')}.yml")
            books[-1].write_text(yaml.safe_dump(as_plays(found), sort_keys=False))
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "--syntax-check", "-i", "localhost,", *map(str, books)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections")},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert all(f"playbook: {book}" in checked.stdout for book in books)
