# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM templates and services as frozen data.

Only what is typed is here: nothing that a program runs, no path of a host, and no text that is parsed once more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")  # of a variable, a context variable and a user input
OF_SHELL = re.compile(r"_|PATH|IFS|ENV|BASH_.*|BASHOPTS|SHELLOPTS|PPID|E?UID|PS4|PROMPT_COMMAND|LD_.*")  # not for a context
NAME_SAYS = "upper-case letters, digits and underscores, at most 128"
TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]*")  # lines and tabs, and what can be printed
LONGEST_TEXT = 16 * 1024
SMALLEST_MEMORY, LARGEST_MEMORY = 16 * 2**20, 2**44
LARGEST_SIZE = 2**50
MOST_VCPUS = 1024
MOST_ITEMS = 1000
INPUT_TYPES = (
    "text", "text64", "password", "number", "number-float", "range", "range-float", "list", "list-multiple", "boolean", "fixed",
    "network",
)  # fmt: skip
DEPLOYMENTS = ("straight", "none")
FIRMWARES = ("bios", "uefi")
DISPLAYS = ("vnc", "spice")


@dataclass(frozen=True)
class Part:
    """A part of a value. ``kind`` says what ``text`` is.

    ``text``: itself; ``input``: the name of a user input or of a value of the service; ``fact``: ``name`` of the VM or its
    ``ssh_public_keys``; ``role``: a role of the service, of whose VMs the address of interface ``nic`` (from 0) is meant.
    """

    kind: str
    text: str
    nic: int = 0


PART_KINDS = ("text", "input", "fact", "role")
Value: TypeAlias = tuple[Part, ...]
Values: TypeAlias = tuple[tuple[str, Value], ...]


def literal(text: str) -> Value:
    """Return the value that is this text."""
    return (Part("text", text),) if text else ()


@dataclass(frozen=True)
class Dropped:
    """What a template has and was not taken, and why."""

    attribute: str
    reason: str


@dataclass(frozen=True)
class Reference:
    """An appliance that a disk or a role begins as.

    ``id`` is its identifier in the marketplace, None where none of the name is there. ``marketplace`` is the URL of another one.
    """

    name: str
    id: str | None = None
    marketplace: str | None = None


@dataclass(frozen=True)
class UserInput:
    """A question to who makes a VM: ``text`` is what is asked. Bounds and choices are texts, as OpenNebula has them."""

    name: str
    type: str = "text"
    mandatory: bool = False
    text: str = ""
    default: Value | None = None
    choices: tuple[str, ...] = ()
    minimum: str | None = None
    maximum: str | None = None


@dataclass(frozen=True)
class TemplateDisk:
    """A disk: of an appliance, or an empty one of ``size`` bytes."""

    name: str
    appliance: Reference | None = None
    size: int | None = None


@dataclass(frozen=True)
class TemplateNic:
    """An interface; ``role`` says which network it is for, such as Public, and is empty where the template does not tell."""

    name: str
    role: str = ""
    model: str | None = None
    address: Value | None = None


@dataclass(frozen=True)
class VmTemplate:
    """What a VM begins with. ``cpu`` is the share of the host's CPUs that it may count on; sizes are in bytes.

    ``values`` are what variables of the context get that no user input asks for.
    """

    memory: int | None = None
    vcpus: int | None = None
    cpu: float | None = None
    firmware: str | None = None
    display: str | None = None
    disks: tuple[TemplateDisk, ...] = ()
    nics: tuple[TemplateNic, ...] = ()
    context: Values = ()
    values: Values = ()
    inputs: tuple[UserInput, ...] = ()
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class Role:
    """VMs of one kind in a service; ``parents`` must be ready before them. ``template`` is over that of ``appliance``."""

    name: str
    cardinality: int = 1
    minimum: int | None = None
    maximum: int | None = None
    parents: tuple[str, ...] = ()
    appliance: Reference | None = None
    template: VmTemplate = field(default_factory=VmTemplate)


@dataclass(frozen=True)
class ServiceTemplate:
    """VMs that belong together. ``roles`` are in an order in which each comes after its parents.

    ``straight`` starts a role when its parents are ready, ``none`` all at once. ``networks`` are inputs of the type network.
    """

    deployment: str = "none"
    roles: tuple[Role, ...] = ()
    networks: tuple[UserInput, ...] = ()
    inputs: tuple[UserInput, ...] = ()
    dropped: tuple[Dropped, ...] = ()


Template: TypeAlias = "VmTemplate | ServiceTemplate"


def in_order(parents: dict[str, tuple[str, ...]]) -> list[str] | None:
    """Return the roles, each after its parents and else as they are given; None where they wait for each other."""
    ordered: list[str] = []
    while len(ordered) < len(parents):
        ready = [name for name, before in parents.items() if name not in ordered and set(before) <= set(ordered)]
        if not ready:
            return None
        ordered += ready
    return ordered
