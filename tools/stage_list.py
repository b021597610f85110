# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stages make check, make test and make test-all have, in which lanes, and the share of time of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(__file__).resolve().parent.parent / ".venv/bin"


@dataclass(frozen=True)
class Stage:
    """A command of the gate. ``seconds`` is its share on a quiet machine of two cores; ``root``: it makes hosts and networks."""

    name: str
    argv: tuple[str, ...]
    seconds: float = 30
    root: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """The lanes of one make target: the first runs alone, the others side by side. ``adds`` is what only test-all has."""

    lanes: tuple[tuple[Stage, ...], ...]
    adds: tuple[str, ...] = ()


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a program of the virtual environment."""
    return (str(BIN / name), *arguments)


def pytest(*arguments: str) -> tuple[str, ...]:
    """Return a pytest command."""
    return tool("python", "-m", "pytest", "-q", "--color=no", "--durations=60", *arguments)


REUSE = "test -e .git || { echo 'skipped: not a git checkout'; exit 0; }; exec reuse lint --quiet"
UNIT = pytest("--timeout=900", "--numprocesses=2", "--dist=loadfile", "tests/unit")

CHECK = (
    Stage("ruff", tool("ruff", "check", ".")),
    Stage("ruff-format", tool("ruff", "format", "--check", ".")),
    Stage("yamllint", tool("yamllint", "--strict", ".")),
    Stage("mypy", tool("mypy", "-p", "ansible_collections.edge.cloud.plugins")),
    Stage("mypy-programs", ("tools/mypy-programs",)),
    Stage("import-linter", tool("lint-imports", "--no-cache")),
    Stage("reuse", ("sh", "-c", REUSE)),
    Stage("unit", UNIT, 200, environment={"EDGE_COVERAGE": "1"}),
    Stage("coverage", ("sh", "-c", "coverage combine --quiet && exec coverage report --fail-under=88")),
)

DOCS = Stage("docs", tool("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", "."))
ANSIBLE_LINT = Stage("ansible-lint", tool("ansible-lint", "--offline", "--strict"), 45)
BUILD = Stage("build-and-import", ("tools/build-and-import",), 45)


def lab(name: str, lab_name: str, *arguments: str, seconds: float) -> Stage:
    """Return a stage of tests on lab hosts, which are a lab of its own."""
    return Stage(name, pytest("--timeout=1500", *arguments), seconds, root=True, environment={"EDGE_LAB": lab_name})


MODULES = ("tests/integration/targets", "tests/integration/appliance", "tests/integration/kvm_check")
CLUSTER = ("tests/integration/cluster", "tests/integration/faults", "tests/integration/lab")
TWO_HOSTS = ("tests/integration/two_hosts",)

# Two lanes run side by side: two cores emulate two guests at a time, and more of them only wait for each other.
TEST = Kind(
    (
        CHECK,
        (
            ANSIBLE_LINT,
            DOCS,
            BUILD,
            Stage("sanity", ("tools/sanity", "quick"), 60),
            Stage("unit-newest", ("tools/unit-newest", "quick"), 60),
            Stage("molecule", ("tools/molecule", "cluster"), 200, root=True, environment={"EDGE_LAB": "molecule"}),
            lab("quickstart", "qslab", "-m", "not slow", "tests/quickstart", seconds=420),
            lab("two-hosts", "twohosts", "-m", "not slow", *TWO_HOSTS, seconds=240),
        ),
        (
            lab("modules", "modules", "-m", "not slow", *MODULES, seconds=750),
            lab("cluster", "cluster", "-m", "not slow", *CLUSTER, seconds=300),
        ),
    ),
    adds=(
        "the other molecule scenarios",
        "all sanity tests of ansible-test",
        "every unit test of modules, plugins and docs under the newest ansible-core",
        "property tests with ten times the examples",
    ),
)

TEST_ALL = Kind(
    (
        CHECK,
        (
            ANSIBLE_LINT,
            DOCS,
            BUILD,
            Stage("sanity", ("tools/sanity", "all"), 300),
            Stage("unit-newest", ("tools/unit-newest", "all"), 240),
            Stage("molecule", ("tools/molecule", "all"), 480, root=True, environment={"EDGE_LAB": "molecule"}),
            lab("quickstart", "qslab", "tests/quickstart", seconds=1500),
            lab("two-hosts", "twohosts", *TWO_HOSTS, seconds=900),
        ),
        (
            lab("modules", "modules", *MODULES, seconds=2700),
            lab("cluster", "cluster", *CLUSTER, seconds=1500),
        ),
    ),
)

KINDS = {"check": Kind((CHECK,)), "test": TEST, "test-all": TEST_ALL}
