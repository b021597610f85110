# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Jinja expression of roles, playbooks and inventories, and how each uses options that a user may give as strings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, nodes
from support.processes import TREE

CONDITIONS = {"when", "until", "failed_when", "changed_when", "that"}
NUMBERS = {"int", "float"}
ALWAYS = {"ansible_check_mode", "ansible_diff_mode"}
JINJA = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])


@dataclass(frozen=True)
class Template:
    """A template of a file; ``condition`` if Ansible wants a boolean of it."""

    file: Path
    text: str
    condition: bool


def option_types() -> dict[str, str]:
    """Return the type of each option of the roles by name, those of an item as ``item.NAME``, and of what inventories set."""
    types: dict[str, str] = {}
    for path in sorted(TREE.glob("roles/*/meta/argument_specs.yml")):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            _collect(entry["options"], "", types)
    for path in sorted(
        [*TREE.glob("inventories/**/*.yml"), *TREE.glob("roles/*/vars/*.yml"), *TREE.glob("roles/*/defaults/*.yml")]
    ):
        for name, value in _mappings(yaml.safe_load(path.read_text())):
            types.setdefault(str(name), type(value).__name__)
    return types


def _collect(options: dict[str, Any], prefix: str, types: dict[str, str]) -> None:
    for name, about in options.items():
        types[prefix + name] = about["type"]
        _collect(about.get("options") or {}, "item.", types)


def _mappings(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mappings(inner)


def templates(*folders: Path) -> list[Template]:
    """Return all templates of the files below some folders: YAML by value, Jinja files whole."""
    found = []
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix == ".j2":
            found.append(Template(path, path.read_text(), False))
        elif path.suffix in {".yml", ".yaml"} and path.name != "argument_specs.yml":
            for document in yaml.safe_load_all(path.read_text()):
                found += [Template(path, text, condition) for text, condition in _texts(document, False)]
    return found


def _texts(value: Any, condition: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, key in CONDITIONS)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, condition)
    elif isinstance(value, str) and condition:
        yield "{{ " + value + " }}", True
    elif isinstance(value, str) and ("{{" in value or "{%" in value):
        yield value, False


@cache
def set_by_tasks() -> frozenset[str]:
    """Return the names that tasks register, set as facts or compute; no user gives them."""
    names: set[str] = set(ALWAYS)
    for path in [*TREE.glob("roles/**/*.yml"), *TREE.glob("playbooks/**/*.yml")]:
        for key, value in _mappings(yaml.safe_load(path.read_text())):
            if key == "register":
                names.add(str(value))
            elif key in {"vars", "ansible.builtin.set_fact"} and isinstance(value, dict):
                names |= {str(name) for name, inner in value.items() if isinstance(inner, str) and "{{" in inner}
    return frozenset(names)


def problems(template: Template, types: dict[str, str]) -> list[str]:
    """Return what a string in place of a boolean or number would turn round, as sentences."""
    tree = JINJA.parse(template.text)
    found: list[str] = []
    if template.condition:
        found += _untrue(tree.body[0].nodes[0], types)  # type: ignore[attr-defined]
    for node in tree.find_all((nodes.If, nodes.CondExpr, nodes.Not, nodes.And, nodes.Or, nodes.For)):
        for operand in _judged(node):
            found += _untrue(operand, types)
    found += [sentence for node in tree.find_all(nodes.BinExpr) for sentence in _unnumbered(node, types)]
    found += [sentence for node in tree.find_all(nodes.Compare) for sentence in _unnumbered(node, types)]
    found += [sentence for node in tree.find_all(nodes.Dict) for sentence in _written(node, types)]
    return sorted(set(found))


def _judged(node: nodes.Node) -> list[nodes.Node]:
    match node:
        case nodes.If() | nodes.CondExpr():
            return [node.test]
        case nodes.For():
            return [node.test] if node.test else []
        case nodes.Not():
            return [node.node]
        case nodes.And() | nodes.Or():
            return [node.left, node.right]
    return []


def name_of(node: nodes.Node) -> str:
    """Return the option that an expression is, perhaps with a default, or an empty string."""
    match node:
        case nodes.Name():
            return str(node.name)
        case nodes.Getattr(node=nodes.Name(name="item")):
            return f"item.{node.attr}"
        case nodes.Getitem(node=nodes.Name(), arg=nodes.Const(value=str() as key)):
            return key
        case nodes.Filter(name="default" | "d" | "string", node=inner) if inner is not None:
            return name_of(inner)
    return ""


def _untrue(node: nodes.Node, types: dict[str, str]) -> list[str]:
    name = name_of(node)
    if not name or name in set_by_tasks():
        return []
    kind = types.get(name, "of no known type")
    return [f"{name} ({kind}) is judged without | bool"] if kind not in {"str", "path", "list", "dict", "NoneType"} else []


def _unnumbered(node: nodes.Node, types: dict[str, str]) -> list[str]:
    if isinstance(node, nodes.Compare):
        operands = [node.expr, *[operand.expr for operand in node.ops]]
        kinds = NUMBERS | {"bool"}
    elif isinstance(node, (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)):
        operands, kinds = [node.left, node.right], NUMBERS
    else:
        return []
    return [f"{name_of(one)} is compared or counted without a filter" for one in operands if types.get(name_of(one)) in kinds]


def _written(node: nodes.Dict, types: dict[str, str]) -> list[str]:
    """A value of a dictionary goes into a file or result as it is."""
    names = [name_of(pair.value) for pair in node.items]
    return [f"{name} is written without a filter" for name in names if types.get(name) in NUMBERS | {"bool"}]


def names_in(template: Template) -> set[str]:
    """Return the options that a template uses, except where it only passes one on to a module or role, which converts it itself."""
    tree = JINJA.parse(template.text)
    outputs = [node for output in tree.find_all(nodes.Output) for node in output.nodes]
    if not template.condition and len(outputs) == 1 and name_of(outputs[0]):
        return set()
    return {name_of(node) for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem))} - {""}
