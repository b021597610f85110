# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from . import base, inventory, ssh, verbs
from .command import LabError, say
from .files import write_if_changed
from .hosts import Spec, find
from .packages import RELEASES, VARIANTS, ensure_machine, require_root
from .settings import Settings
from .shaping import Slow

Verb = Callable[[Settings, argparse.Namespace], int]


def _base(settings: Settings, args: argparse.Namespace) -> int:
    ensure_machine()
    print(base.ensure(settings, args.release, args.variant))
    return 0


def _up(settings: Settings, args: argparse.Namespace) -> int:
    names = args.name or [f"{args.prefix}{number}" for number in range(1, args.n + 1)]
    specs = [Spec(name, 0, args.release, args.variant, "", "", args.kvm, tuple(args.bind)) for name in names]
    hosts = verbs.up(settings, specs)
    if args.json:
        wanted = {host.name for host in hosts}
        print(json.dumps([host for host in verbs.status(settings)["hosts"] if host["name"] in wanted], indent=1))
    return 0


def _status(settings: Settings, args: argparse.Namespace) -> int:
    found = verbs.status(settings)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"lab {found['lab']}: {len(found['hosts'])} hosts, bridge {found['bridge']}, {found['subnet']}")
    for host in found["hosts"]:
        more = [f"cut from {', '.join(host['cut'])}"] if host["cut"] else []
        more += [host["slow"]] if host["slow"] else []
        kind = f"{host['release']}/{host['variant']}"
        print(f"  {host['name']:<20} {host['address']:<15} {kind:<17} {host['state']:<11} {'; '.join(more)}".rstrip())
    return 0


def _exec(settings: Settings, args: argparse.Namespace) -> int:
    host = find(settings, args.host)
    words = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not words:
        raise LabError(f"exec {args.host}: no command. Give one: lab exec {args.host} -- uname -a")
    command = ssh.command(host, [shlex.join(words)])
    os.execvp(command[0], command)


def _shell(settings: Settings, args: argparse.Namespace) -> int:
    command = ssh.command(find(settings, args.host))
    os.execvp(command[0], command)


def _inventory(settings: Settings, args: argparse.Namespace) -> int:
    text = inventory.text(settings, args.format)
    if args.output is None:
        print(text, end="")
    elif write_if_changed(args.output, text):
        say("inventory", f"written to {args.output}")
    return 0


def _plain(function: Callable[..., None], *names: str) -> Verb:
    """Return a verb that calls a function with the named arguments."""

    def verb(settings: Settings, args: argparse.Namespace) -> int:
        function(settings, *(getattr(args, name) for name in names))
        return 0

    return verb


def _slow(settings: Settings, args: argparse.Namespace) -> int:
    verbs.slow(settings, args.host, Slow.parse(args.rate, args.delay, args.loss))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Several real hosts on one machine. See docs/lab.md.")
    adder = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, text: str, verb: Verb, *positionals: str) -> argparse.ArgumentParser:
        sub = adder.add_parser(name, help=text, description=text) if text else adder.add_parser(name)
        sub.set_defaults(function=verb)
        for positional in positionals:
            sub.add_argument(positional)
        return sub

    _add_making(add)
    sub = add("status", "say what there is", _status)
    sub.add_argument("--json", action="store_true", help="as JSON on standard output")
    sub = add("exec", "run a command on a host; ends with its exit status", _exec, "host")
    sub.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD …")
    add("shell", "a shell on a host", _shell, "host")
    add("push", "copy a file or folder into a host", _plain(verbs.push, "host", "src", "dst"), "host", "src", "dst")
    add("pull", "copy a file or folder from a host", _plain(verbs.pull, "host", "src", "dst"), "host", "src", "dst")
    sub = add("inventory", "print the Ansible inventory of the lab", _inventory)
    sub.add_argument("--format", choices=("yaml", "json", "ini"), default="yaml")
    sub.add_argument("--output", type=Path, help="write it to this file instead")
    _add_faults(add)
    return parser


def _add_making(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs that make and remove."""
    making = [
        add("base", "build a base root file system once, print its path", _base),
        add("up", "have hosts running and letting us in", _up),
    ]
    for sub in making:
        sub.add_argument("--release", choices=RELEASES, default=RELEASES[0])
        sub.add_argument("--variant", choices=sorted(VARIANTS), default="minimal")
    sub = making[1]
    sub.add_argument("-n", type=int, default=1, help="how many: PREFIX1 … PREFIXn")
    sub.add_argument("--prefix", default="host")
    sub.add_argument("--name", action="append", help="one host of this name, instead of -n; may be repeated")
    sub.add_argument("--bind", action="append", default=[], metavar="SRC:DST[:ro]", help="let the hosts see a folder")
    sub.add_argument("--kvm", action="store_true", help="let the hosts see /dev/kvm")
    sub.add_argument("--json", action="store_true", help="print the hosts as JSON")
    sub = add("down", "remove hosts (all if none is named); with the last one, everything of the lab", _plain(verbs.down, "host"))
    sub.add_argument("host", nargs="*")
    add("purge", "down, and remove the base root file systems too", _plain(verbs.purge))


def _add_faults(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs that hurt and heal."""
    add("kill", "pull a host's plug", _plain(verbs.kill, "host"), "host")
    add("start", "boot a host that does not run, on its disk", _plain(verbs.start, "host"), "host")
    for name, text, verb in (
        ("cut", "cut a host off the network, both ways", verbs.cut),
        ("mend", "end a host's cuts and slowness", verbs.mend),
    ):
        sub = add(name, text, _plain(verb, "host", "other"), "host")
        sub.add_argument("--from", dest="other", metavar="OTHER", help="only between it and this host")
    sub = add("slow", "make a host's cable slow, both ways", _slow, "host")
    for option, example in (("rate", "100mbit"), ("delay", "20ms"), ("loss", "1%%")):
        sub.add_argument(f"--{option}", metavar=example.replace("%%", "%"))
    add("route", "route a network behind a host to it", _plain(verbs.route, "host", "subnet"), "host", "subnet")
    add("replug", "", _plain(verbs.replug, "host"), "host")


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit status: 0, or 1 with one message."""
    args = _parser().parse_args(argv)
    try:
        require_root(args.verb)
        function: Verb = args.function
        return function(Settings.from_environment(), args)
    except (LabError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"lab {args.verb}: interrupted; run it again to go on.", file=sys.stderr)
        return 130
