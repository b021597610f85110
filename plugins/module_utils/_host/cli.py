# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``edge-host VERB``: options or JSON in, JSON out; an error is ``{"msg", "error": {"code", ...}}`` and exit code 1."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from .. import _cluster
from .._cluster import Cluster
from .._errors import EdgeError, InvalidInput, from_os_error
from .._json import load_object
from .._sizes import MIB

LARGEST_JSON = MIB


@dataclass(frozen=True)
class Verb:
    """A verb: its function as ``file.name``, loaded on use, its help, and its options with their types (bool is a flag).

    ``unseen`` are options that only stdin has, since a list of processes shows command lines.
    ``strict`` refuses unknown keys of the configuration; ``plain`` needs none, as a host that is a Front-end only has none;
    ``bare`` does without where there is none.
    """

    function: str
    help: str
    options: Mapping[str, type] = field(default_factory=dict)
    unseen: Mapping[str, type] = field(default_factory=dict)
    strict: bool = False
    plain: bool = False
    bare: bool = False

    def cluster(self, path: Path) -> Cluster | None:
        """Return the cluster of the configuration, None for a verb that needs none."""
        return None if self.plain or (self.bare and not path.exists()) else _cluster.load(path, strict=self.strict)

    def run(self, cluster: Cluster | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Run the verb; only what it needs is loaded, and only that must be installed."""
        file, _dot, name = self.function.partition(".")
        function: Callable[[Cluster | None, Mapping[str, Any]], dict[str, Any]] = getattr(
            import_module(f".{file}", __package__), name
        )
        return function(cluster, options)


@dataclass(frozen=True)
class Verbs:
    """Verbs about one thing, which is the first word of each."""

    help: str
    verbs: Mapping[str, Verb]


POINT = {"vm": str, "generation": str}
MAKE = {"vm": str, "quiesce": str, "final": bool, "epoch": str, "after": str}
RESTORE = {"disk": str, "path": str, "whole": bool, "copy": bool}
DRILL = {"text": str, "timeout": str, "memory": str, "days": str}
MOUNT = {"disk": str, "path": str, "partition": str}
LEASE = {"lease": str, "user": str, "timeout": str, "end": bool}
SERVE = {"listen": str, "port": str, "certificates": str, "readers": str}
IMAGE = {"digest": str, "name": str, "version": str}
VERBS: Mapping[str, Verb | Verbs] = {
    "config": Verb("images.config", "check the configuration and show what this host is", strict=True),
    "pull": Verb("images.pull", "make an image visible on this host", {**IMAGE, "pinned": bool, "progress_file": str}),
    "fill": Verb("fill.fill", "on a replica: pull what other hosts requested and what other replicas have"),
    "gc": Verb("images.collect", "keep the images within the quota"),
    "scrub": Verb("images.scrub", "read every image whole and repair what is damaged"),
    "arrive": Verb("arrive.arrive", "pull the images that running VMs wait for, and move the VMs onto them", {"wait": bool}),
    "networks": Verb("networks.networks", "make the virtual networks of this host as at boot", {"check": bool, "watch": bool}),
    "dhcp": Verb("dhcp.dhcp", "have the DHCP services of this host's virtual networks run, as at boot"),
    "status": Verb("status.status", "show what this host is, and what is wrong with its services and certificates", bare=True),
    "release": Verb("images.release", "end the use of images by a disk that is gone for ever", {"path": str, "check": bool}),
    "slots": Verb("slots.slots", "on a Front-end: end the slots for sent images whose time is over", {"path": str}, plain=True),
    "cache": Verb("images.cache", "show the images and how they are used"),
    "backup": Verbs(
        "backups of this host, as the role backup describes them",
        {
            "run": Verb("backup.run", "back up all that is described, as the timer does", plain=True),
            "check": Verb(
                "backup.check",
                "see that the repository can be opened",
                {"init": bool},
                {"settings": dict, "password": str},
                plain=True,
            ),
            "status": Verb("backup.status", "show what the last run did, and when each was tried", plain=True),
        },
    ),
    "point": Verbs(
        "the recovery points that this host keeps, and those that it makes of its VMs",
        {
            "make": Verb("point_make.make", "make one of a VM of this host, in a folder that replicas take", MAKE),
            "run": Verb("point_run.run", "make those of this host's VMs that are due, and remove those that enough hosts hold"),
            "status": Verb("point_run.status", "show how far those of this host's VMs are, and which are late"),
            "list": Verb("points.show", "show them, of all VMs or of one", {"vm": str}),
            "take": Verb("points.take", "take in the generation in a folder", {"folder": str}),
            "pull": Verb("point_pull.pull", "on a replica: take in what the other hosts made of their VMs"),
            "tidy": Verb("points.tidy", "drop old ones, merge long chains, and remove what none needs"),
            "verify": Verb("points.verify", "read all files of one, of a VM's or of all, and tell what is damaged", POINT),
            "restore": Verb("points.restore", "write a disk of one to a new file", {**POINT, **RESTORE}),
            "mount": Verb("point_mount.mount", "show disks and files of one, read-only", {**POINT, **MOUNT}),
            "drill": Verb("point_drill.drill", "start one as a VM that reaches nothing, and see it come up", {**POINT, **DRILL}),
            "copy": Verb("point_mount.copy", "copy a file out of what mount showed", {"path": str, "file": str, "to": str}),
            "umount": Verb("point_mount.umount", "end what mount showed, also after a kill", {"path": str}),
            "export": Verb(
                "point_export.export",
                "export the disks of one by NBD, or show what is exported",
                {**POINT, "end": bool, "force": bool},
            ),
            "lease": Verb("point_lease.lease", "have a replica export one for this host, for a time", {**POINT, **LEASE}),
            "grant": Verb("point_grant.grant", "on a replica: export those that hosts ask for, as its unit does", {"port": str}),
            "serve": Verb("point_export.serve", "be the NBD server of those that are exported, as its unit does", SERVE),
        },
    ),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"edge-host: {message}; see {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="edge-host", description="Run a task of a host of an edge cluster. Prints JSON.", allow_abbrev=False)
    parser.add_argument("--config", type=Path, default=_cluster.FILE, help="the host's configuration (%(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for name, verb in VERBS.items():
        below = verbs.add_parser(name, help=verb.help, description=verb.help, allow_abbrev=False)
        if isinstance(verb, Verb):
            _add_options(below, verb)
        else:
            several = below.add_subparsers(dest="what", required=True, metavar="WHAT", parser_class=_Parser)
            for word, one in verb.verbs.items():
                _add_options(several.add_parser(word, help=one.help, description=one.help, allow_abbrev=False), one)
    return parser


def _add_options(parser: argparse.ArgumentParser, verb: Verb) -> None:
    parser.add_argument("json", nargs="?", metavar="-", help="read the options as a JSON object from stdin")
    for option, kind in verb.options.items():
        if kind is bool:
            parser.add_argument(_spelled(option), action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(_spelled(option))


def _spelled(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _refuse_others(verb: Verb, found: argparse.Namespace, others: Sequence[str]) -> None:
    """Raise where there are words that are no options of the verb; what follows an unknown option may stand where "-" does."""
    words = [*others, *([found.json] if found.json not in (None, "-") else [])]
    if words:
        known = ", ".join(map(_spelled, verb.options)) or "none"
        raise InvalidInput(f"edge-host: {words[0]!r:.100} is unknown here; the options are {known}.")


def _given(verb: Verb, found: argparse.Namespace) -> dict[str, Any]:
    """Return the options, those of the command line over those of stdin."""
    read = _read_options(verb) if found.json else {}
    given = {key: value for key in verb.options if (value := getattr(found, key)) is not None}
    return {**read, **given}


def _read_options(verb: Verb) -> dict[str, Any]:
    options = load_object(sys.stdin.read(LARGEST_JSON + 1), "The text on stdin", LARGEST_JSON, InvalidInput)
    known = {**verb.options, **verb.unseen}
    for key, value in options.items():
        if key not in known:
            raise InvalidInput(f"{key:.100}: this option is unknown; the options are {', '.join(known) or 'none'}.", option=key)
        if value is not None and not isinstance(value, known[key]):
            shown = "its value" if key in verb.unseen else f"{value!r:.100}"
            raise InvalidInput(f"{key}: {shown} is not a {known[key].__name__}.", option=key)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and print its result; an expected failure is one JSON object and exit code 1."""
    try:
        found, others = _parser().parse_known_args(arguments)
        named = VERBS[found.verb]
        verb = named if isinstance(named, Verb) else named.verbs[found.what]
        _refuse_others(verb, found, others)
        options = _given(verb, found)
        result = verb.run(verb.cluster(found.config), options)
    except EdgeError as error:
        return _print(error.as_result(), 1)
    except OSError as error:
        return _print(from_os_error(error).as_result(), 1)
    return _print(result, 0)


def _print(result: Mapping[str, Any], code: int) -> int:
    sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")
    return code
