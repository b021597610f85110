# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stages make check, make test and make test-all have, in which groups, and the share of time of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """The groups of one make target, which run one after another: each two stages at a time, the longest first.

    Two cores emulate two guests at a time, and more of them only wait for each other. ``adds`` is what only test-all has.
    """

    groups: tuple[tuple[Stage, ...], ...]
    adds: tuple[str, ...] = ()


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a program of the virtual environment."""
    return (str(BIN / name), *arguments)


def pytest(*arguments: str) -> tuple[str, ...]:
    """Return a pytest command."""
    return tool("python", "-m", "pytest", "-q", "--color=no", "--durations=0", "--durations-min=1", *arguments)


REUSE = "test -e .git || { echo 'skipped: not a git checkout'; exit 0; }; exec reuse lint --lines"
# three at a time: they wait for timers and other programs, too
BY_FILE = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")
UNIT = pytest("--timeout=900", *BY_FILE, "-m", "not slow", "tests/unit")
UNIT_SLOW = pytest("--timeout=1800", *BY_FILE, "-m", "slow", "tests/unit")

LINT = (
    Stage("ruff", tool("ruff", "check", ".")),
    Stage("ruff-format", tool("ruff", "format", "--check", ".")),
    Stage("yamllint", tool("yamllint", "--strict", ".")),
    Stage("mypy", tool("mypy", "-p", "ansible_collections.edge.cloud.plugins"), 60),
    Stage("mypy-programs", ("tools/mypy-programs",), 60),
    Stage("import-linter", tool("lint-imports", "--no-cache")),
    Stage("reuse", ("sh", "-c", REUSE)),
)
UNITS = Stage("unit", UNIT, 300)
COVERED = Stage("unit", UNIT, 450, environment={"EDGE_COVERAGE": "1"})  # half as much again: each line that runs is noted
COVERAGE = Stage("coverage", ("sh", "-c", "coverage combine --quiet && exec coverage report --fail-under=88"))

DOCS = Stage("docs", tool("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", "."))
ANSIBLE_LINT = Stage("ansible-lint", tool("ansible-lint", "--offline", "--strict"), 45)
BUILD = Stage("build-and-import", ("tools/build-and-import",), 45)


def lab(name: str, lab_name: str, *arguments: str, seconds: float) -> Stage:
    """Return a stage of tests on lab hosts, which are a lab of its own."""
    return Stage(name, pytest("--timeout=1500", *arguments), seconds, root=True, environment={"EDGE_LAB": lab_name})


CORPUS = Stage("corpus", tool("python", "tests/corpus/libvirt_corpus.py"), environment={"PYTHONPATH": "collections:tests/unit"})
MIGRATION = "tests/integration/targets/domain_migration"
MODULES = (f"--ignore={MIGRATION}", "tests/integration/targets", "tests/integration/appliance", "tests/integration/kvm_check")
CLUSTER = tuple(f"tests/integration/{folder}" for folder in ("cluster", "corosync", "faults", "lab", "pki", "reset"))
TWO_HOSTS = (MIGRATION, "tests/integration/two_hosts")


def gate(sample: bool) -> tuple[tuple[Stage, ...], ...]:
    """Return the groups of make test (``sample``) or make test-all, which differ in how much of a stage runs and in its share."""

    def part(name: str, program: str, quick: str, seconds: tuple[float, float], **more: Any) -> Stage:
        return Stage(name, (program, quick if sample else "all"), seconds[0 if sample else 1], **more)

    def labs(name: str, lab_name: str, folders: tuple[str, ...], seconds: tuple[float, float]) -> Stage:
        chosen = ("-m", "not slow") if sample else ()
        return lab(name, lab_name, *chosen, *folders, seconds=seconds[0 if sample else 1])

    return (
        LINT,
        (UNITS if sample else COVERED,),
        (
            ANSIBLE_LINT,
            DOCS,
            BUILD,
            *(() if sample else (COVERAGE, CORPUS, Stage("unit-slow", UNIT_SLOW, 900))),
            part("sanity", "tools/sanity", "quick", (60, 300)),
            part("unit-newest", "tools/unit-newest", "quick", (60, 240)),
            part("molecule", "tools/molecule", "cluster", (200, 480), root=True, environment={"EDGE_LAB": "molecule"}),
            labs("quickstart", "qslab", ("tests/quickstart",), (300, 1500)),
            labs("two-hosts", "twohosts", TWO_HOSTS, (400, 1300)),
            labs("modules", "modules", MODULES, (900, 2400)),
            labs("cluster", "cluster", CLUSTER, (400, 4800)),
        ),
    )


LEFT_TO_TEST_ALL = (
    "the share of lines that unit tests run",
    "the other molecule scenarios",
    "the domains of libvirt's own collection, taken over",
    "all sanity tests of ansible-test",
    "every unit test of modules, plugins and docs under the newest ansible-core",
    "property tests with four times the examples",
)

KINDS = {
    "check": Kind((LINT, (UNITS,))),
    "test": Kind(gate(sample=True), LEFT_TO_TEST_ALL),
    "test-all": Kind(gate(sample=False)),
}
