# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of networks on a host made of name spaces: killed at each step and at random, a command killed, unplugged, two at once.

Links, forwarding entries, routes, rules of nftables and files of others are compared before and after each fault, and after the
next run. ``lost`` counts tries after which one of those had changed, the next run failed, the run after that still changed
something, or what is there is not what a run without a fault makes; ``doubled`` those that left something behind. A try counts only
if its fault hit while the work was under way. It needs no root.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import network_scene
from network_scene import Look, NetworkHost, differences, network_host
from support.outcomes import MISSED, Outcome, Row, not_run, repeated, table_row
from support.report import publish

NOTHING = "nothing"
ENDLESS = 400
NEVER = ENDLESS * ENDLESS  # a step that no work has
VXLAN = {"type": "vxlan", "underlay": "eth0", "members": ["192.0.2.11", "192.0.2.12", "192.0.2.13"]}
SERVICE = {"name": "private", "bridge": "br0", "domain": "private.example"}
SUBNET = {"subnet": "198.51.100.0/24", "address": "198.51.100.2"}
WEB = {"name": "web", "mac": "52:54:00:00:00:01", "addresses": ["198.51.100.10"]}
DB = {"name": "db", "mac": "52:54:00:00:00:02", "addresses": ["198.51.100.11"]}
MOVED = {"name": "br1", "ports": ["eth1"], "addresses": ["198.51.100.7/24"], "boot": "networkd", "allow_disruption": True}


@dataclass(frozen=True, eq=False)
class Kind:
    """A module and the options that bring a host to each of some states, from any other.

    ``changeable`` are links of others that it may change; ``locked``: two runs at once both end well.
    """

    module: str
    states: Mapping[str, Mapping[str, Any]]
    changeable: tuple[str, ...] = ()
    locked: bool = True

    def work(self, state: str, **more: Any) -> dict[str, Any]:
        """Return the order that brings a host to a state."""
        return {"module": self.module, "options": self.states[state], **more}


def networks(*present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of virtual_networks that make these networks, and remove the others."""
    gone = sorted({"private", "storage", "alone", "a-network-with-a-long-name"} - {one["name"] for one in present})
    return {"networks": [*present, *({"name": name, "state": "absent"} for name in gone)]}


KINDS = (
    Kind(
        "virtual_networks",
        {
            NOTHING: networks(),
            "first": networks(
                {"name": "private", "vni": 100, **VXLAN},
                {"name": "storage", "vni": 200, **VXLAN},
                {"name": "alone", "type": "isolated"},
            ),
            "second": networks(
                {"name": "private", "vni": 100, **VXLAN, "members": ["192.0.2.11", "192.0.2.14"], "mtu": 1400},
                {"name": "storage", "vni": 201, **VXLAN},
                {"name": "a-network-with-a-long-name", "type": "bridge"},
            ),
        },
    ),
    Kind(
        "virtual_network",
        {
            NOTHING: {"name": "private", "state": "absent"},
            "first": {"name": "private", "vni": 100, **VXLAN},
            "second": {"name": "private", "type": "isolated", "mtu": 1300},
        },
    ),
    Kind(
        "virtual_network_dhcp",
        {
            NOTHING: {"name": "private", "state": "absent"},
            "first": {**SERVICE, "subnets": [SUBNET], "hosts": [WEB]},
            "second": {**SERVICE, "subnets": [{**SUBNET, "address": "198.51.100.3"}], "hosts": [WEB, DB]},
        },
    ),
    Kind(
        "bridge",
        {
            NOTHING: {"name": "br1", "state": "absent", "allow_disruption": True},
            "first": {**MOVED, "mtu": 1500, "forward_delay": 15.0},
            "second": {**MOVED, "mtu": 1400, "forward_delay": 4.0},
        },
        changeable=("eth1",),
        locked=False,
    ),
)
ELSEWHERE = {
    "uplink": "its trial needs a timer of systemd; tests/integration/targets/uplink kills, cuts and unplugs it on lab hosts"
}
CHANGES = ((NOTHING, "first"), ("first", "second"), ("second", NOTHING))


@dataclass
class Stage:
    """A host, dice, and for each kind what a run without a fault makes of each state, and how long each change takes."""

    host: NetworkHost
    dice: random.Random
    made: dict[tuple[Kind, str], Look] = field(default_factory=dict)
    longest: dict[tuple[Kind, str, str], float] = field(default_factory=dict)

    def bring(self, kind: Kind, state: str) -> Look:
        """Have a new host in a state, and return what is there."""
        self.host.renew()
        if state != NOTHING:
            self.done(kind, state)
        return self.host.look(kind.changeable)

    def done(self, kind: Kind, state: str) -> dict[str, Any]:
        """Run without a fault and return the answer; raise where it fails."""
        (answer,) = self.host.order(kind.work(state))
        assert not failed(answer), f"{kind.module} to {state} failed by itself: {json.dumps(answer)[:2000]}"
        return answer

    def learn(self, kind: Kind) -> None:
        """Look at what each state is without faults, and measure each change."""
        for state in kind.states:
            self.made[kind, state] = self.bring(kind, state)
        for before, after in ((one, other) for one in kind.states for other in kind.states if one != other):
            self.bring(kind, before)
            answer = self.done(kind, after)
            self.longest[kind, before, after] = answer["ended"] - answer["begun"]

    def judge(self, kind: Kind, base: Look, after: str, what: str) -> Outcome:
        """Look for harm, run again, and again, which must have nothing to do, and look at what is there then."""
        changed = differences(self.host.look(kind.changeable).theirs, base.theirs)
        answers = [self.host.order(kind.work(after))[0] for _run in range(2)]
        seen, wanted = self.host.look(kind.changeable), self.made[kind, after]
        later = differences(seen.theirs, base.theirs)
        other, left = differences(seen.ours, wanted.ours)
        bad = any(map(failed, answers)) or answers[1]["result"]["changed"] is not False
        lost = bad or any((*changed, *later, other))
        if lost or left:
            told = [answer.get("result", {}).get("msg") or answer.get("result", {}).get("actions") for answer in answers]
            print(f"{kind.module} to {after}, {what}: {changed=} {later=} {other=} {left=} {told=}", file=sys.stderr)
        return lost, bool(left)


def failed(answer: Mapping[str, Any]) -> bool:
    """Return whether a work did not end well."""
    return answer["code"] != 0 or "result" not in answer or bool(answer["result"].get("failed"))


def dead(answer: Mapping[str, Any]) -> bool:
    """Return whether a kill hit: the work died of the signal and had told no result."""
    return answer["code"] == -9 and "result" not in answer


def each_step(stage: Stage, kind: Kind, fault: str) -> Iterator[Outcome]:
    """Do a fault before each step of each change, until one comes through."""
    for before, after in CHANGES:
        for step in range(1, ENDLESS):
            base = stage.bring(kind, before)
            (answer,) = stage.host.order(kind.work(after, stop=step, fault=fault))
            if "hit" not in answer:
                assert not failed(answer), f"a run failed by itself after step {step}: {json.dumps(answer)[:2000]}"
                break
            if fault == "killed":
                assert dead(answer), f"the kill at step {step} did not hit: {json.dumps(answer)[:2000]}"
            elif answer["code"] != 0:
                print(f"{kind.module} broke off where a command was killed: {answer['hit']}", file=sys.stderr)
                yield True, False
                continue
            yield stage.judge(kind, base, after, f"{fault} at {answer['hit']}")
        else:
            raise AssertionError("the steps have no end")


def unplugged(stage: Stage, kind: Kind) -> Iterator[Outcome]:
    """Pull the plug before each step of each change, and after its end; boot, and run again.

    Only files outlive it: of steps that leave the same files one is tried.
    """
    for before, after in CHANGES:
        known: set[str] = set()
        for step in (*range(1, ENDLESS), NEVER):
            base = stage.bring(kind, before)
            (answer,) = stage.host.order(kind.work(after, stop=step))
            for files in (answer["disk"] if "hit" in answer else answer["result"]["left"]).values():
                text = json.dumps([files, "hit" in answer], sort_keys=True)
                if text not in known:
                    known.add(text)
                    yield _booted(stage, kind, Cut(base, after, files, answer.get("hit")))
            if "hit" not in answer:
                break


@dataclass(frozen=True)
class Cut:
    """A power cut: what was there before, the state that was asked for, the files left, and the step; None at the end."""

    base: Look
    after: str
    files: Mapping[str, str | None]
    step: str | None


def _booted(stage: Stage, kind: Kind, cut: Cut) -> Outcome:
    """Boot with what the cut left, and judge; what was reported as done must be there without another run."""
    stage.host.cut_power(cut.files)
    (booted,) = stage.host.order({"module": "boot"})
    now = stage.host.look(kind.changeable)
    gone, _new = differences(now.theirs, {key: value for key, value in cut.base.theirs.items() if key.startswith("file ")})
    wanted = stage.made[kind, cut.after].ours
    if kind.module == "bridge":  # what its files make is for systemd-networkd
        wanted = {key: value for key, value in wanted.items() if key.startswith("file ")}
    missing = {} if cut.step else differences(now.ours, wanted)[0]
    what = f"unplugged at {cut.step or 'the end'}"
    if gone or missing or failed(booted):
        print(f"{kind.module} to {cut.after}, {what}: {gone=} {missing=} {json.dumps(booted)[:2000]}", file=sys.stderr)
        return True, False
    return stage.judge(kind, now, cut.after, what)


def random_kill(stage: Stage, kinds: tuple[Kind, ...]) -> Outcome:
    """Kill one of the modules at a random moment of a random change; what it had started goes on."""
    kind = stage.dice.choice(kinds)
    before, after = stage.dice.sample(list(kind.states), 2)
    base = stage.bring(kind, before)
    moment = stage.dice.uniform(0, stage.longest[kind, before, after])
    (answer,) = stage.host.order(kind.work(after), kill_after=moment)
    if dead(answer):
        return stage.judge(kind, base, after, f"killed after {moment:.3f} s")
    took = answer["ended"] - answer["begun"]  # a machine that was busy while it was measured makes no fault miss for ever
    stage.longest[kind, before, after] = 0.9 * min(took, stage.longest[kind, before, after])
    return MISSED


def together(stage: Stage, kind: Kind) -> Outcome:
    """Run two works at once, of the same or of different states; the later word is that of the next run."""
    before, one = stage.dice.sample(list(kind.states), 2)
    other = stage.dice.choice(list(kind.states))
    base = stage.bring(kind, before)
    answers = stage.host.order(kind.work(one), kind.work(other))
    if any(answer["code"] for answer in answers):
        print(f"{kind.module}: two at once: {json.dumps(answers)[:2000]}", file=sys.stderr)
        return True, False
    if max(answer["begun"] for answer in answers) >= min(answer["ended"] for answer in answers):
        return MISSED
    if kind.locked and any(map(failed, answers)):
        print(f"{kind.module}: two at once: {[answer['result'].get('msg') for answer in answers]}", file=sys.stderr)
        return True, False
    return stage.judge(kind, base, one, f"two at once, to {one} and {other}")


def rows(stage: Stage, kinds: tuple[Kind, ...], kills: int, tries: int, only: str) -> Iterator[Row]:
    """Yield a row for each kind of fault."""
    for kind in kinds:
        stage.learn(kind)
    cases = [
        (f"{kind.module}: {name}", outcomes)
        for kind in kinds
        for name, outcomes in (
            ("killed at each step", each_step(stage, kind, "killed")),
            ("a command killed at each step", each_step(stage, kind, "failed")),
            ("plug pulled at each step", unplugged(stage, kind)),
            ("two at once", repeated(partial(together, stage, kind), tries)),
        )
    ]
    cases.append(("killed at a random moment", repeated(partial(random_kill, stage, kinds), kills)))
    for name, outcomes in cases:
        if only in name:
            yield table_row(name, outcomes)


def main() -> int:
    """Run all, print the table, write build/faults/network.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", default="", help="run the cases with this text in their name")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    if reason := network_scene.usable():
        found = [not_run("faults of networks", reason)]
    else:
        kinds = tuple(kind for kind in KINDS if kind.module == options.only.split(":")[0]) or KINDS
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, network_host(Path(folder, "host")) as host:
            found = list(rows(Stage(host, random.Random(options.seed)), kinds, options.kills, options.tries, options.only))
    return publish("faults/network.json", {"seed": options.seed, "not_run": ELSEWHERE}, found)


if __name__ == "__main__":
    sys.exit(main())
