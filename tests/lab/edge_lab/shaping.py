# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow cables: a host's cable goes through a piece of line with a rate, a delay and a loss, the same both ways.

    host0 ═ vb ── middle ── vs ═ vr ── the lab's bridge

The queues stand where frames leave the middle, on vb and vs. With netem in the kernel the middle is a bridge and the queues
do everything. Without it the queues do the rate (tbf), and the middle is a relay process that holds frames back and loses some.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .cgroup import Group
from .command import LabError, run
from .files import read_json, write_json
from .hosts import Host

_RATE = re.compile(r"(\d+(?:\.\d+)?)([kmg]?)bit")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)")
_LOSS = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class Slow:
    """How slow a cable is, each way: bits a second (0: as fast as it can), seconds of delay, share of frames lost."""

    rate: int = 0
    delay: float = 0.0
    loss: float = 0.0

    @classmethod
    def parse(cls, rate: str | None, delay: str | None, loss: str | None) -> Slow:
        """Read texts like 100mbit, 20ms and 1%; raise LabError if one is something else, or none is given."""
        scale = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
        values = [0.0, 0.0, 0.0]
        for place, (text, pattern, example) in enumerate(
            ((rate, _RATE, "rate 100mbit"), (delay, _DELAY, "delay 20ms"), (loss, _LOSS, "loss 1%"))
        ):
            if text is None:
                continue
            found = pattern.fullmatch(text)
            if not found:
                raise LabError(f"slow: {text!r} is not understood. Give it like {example}.")
            values[place] = float(found[1]) * (scale[found[2]] if pattern is not _LOSS else 0.01)
        if not any(values) or values[2] >= 1:
            raise LabError("slow: give a rate (100mbit), a delay (20ms) or a loss below 100% (1%), or several of them.")
        return cls(round(values[0]), values[1], values[2])

    def sentence(self) -> str:
        """Return it in words."""
        parts = [f"{self.rate / 1e6:g} Mbit/s"] if self.rate else []
        parts += [f"{self.delay * 1e3:g} ms each way"] if self.delay else []
        parts += [f"{self.loss:.3%} lost each way"] if self.loss else []
        return ", ".join(parts)


def _state(host: Host) -> Path:
    return host.settings.run / "slow" / f"{host.name}.json"


def want(host: Host, how: Slow) -> None:
    """Note how slow a host's cable is to be, for now and for its next boots."""
    write_json(_state(host), asdict(how))


def wanted(host: Host) -> Slow | None:
    """Return how slow a host's cable is to be, None if it is not."""
    data = read_json(_state(host), None)
    return Slow(**data) if data else None


def sentence(host: Host) -> str:
    """Return how slow a host's cable is to be in words, nothing if it is not."""
    how = wanted(host)
    return how.sentence() if how else ""


def forget(host: Host) -> None:
    """Forget that a host's cable is to be slow."""
    _state(host).unlink(missing_ok=True)


def mend(host: Host) -> None:
    """Plug a host's cable into the lab's bridge again, if it was slow."""
    if wanted(host) is None:
        return
    unplug(host)
    forget(host)


def unplug(host: Host) -> None:
    """Take the slow piece of line away, as much of it as there is; the cable is in the lab's bridge after."""
    host.relay.kill()
    host.relay.remove()
    for kind in ("vs", "vm"):
        run(["ip", "link", "delete", host.link(kind)], check=False)
    run(["tc", "qdisc", "delete", "dev", host.link("vb"), "root"], check=False)
    run(["ip", "link", "set", host.link("vb"), "master", host.settings.bridge, "up"], check=False)


def plug(host: Host) -> None:
    """Put the slow piece of line between a host's cable and the lab's bridge; if that fails, the cable is as it was before."""
    how = wanted(host)
    if how is None:
        return
    unplug(host)
    try:
        _insert(host, how)
    except BaseException:
        unplug(host)
        raise


def _insert(host: Host, how: Slow) -> None:
    cable, near, far = (host.link(kind) for kind in ("vb", "vs", "vr"))
    run(["ip", "link", "add", near, "type", "veth", "peer", "name", far])
    _silence(near, far)
    has_netem = run(["tc", "qdisc", "replace", "dev", near, "root", "netem", "limit", "1"], check=False).returncode == 0
    for link in (cable, near):
        _queue(link, how, has_netem)
    run(["ip", "link", "set", cable, "nomaster"])
    run(["ip", "link", "set", far, "master", host.settings.bridge, "up"])
    run(["ip", "link", "set", near, "up"])
    if has_netem or not (how.delay or how.loss):
        _join(host, cable, near)
    else:
        _relay(host, how, cable, near)


def _silence(*links: str) -> None:
    """Keep the machine's own IPv6 off links that only pass frames on."""
    for link in links:
        with suppress(FileNotFoundError):
            Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").write_text("1")


def _queue(link: str, how: Slow, has_netem: bool) -> None:
    """Set the queue at the end of a link: all of the slowness with netem, else its rate."""
    run(["tc", "qdisc", "delete", "dev", link, "root"], check=False)
    queue = ["tc", "qdisc", "replace", "dev", link, "root"]
    if has_netem:
        rate = ["rate", f"{how.rate}bit"] if how.rate else []
        delay = ["delay", f"{how.delay * 1e6:.0f}us"] if how.delay else []
        run([*queue, "netem", "limit", "10000", *delay, *(["loss", f"{how.loss:.4%}"] if how.loss else []), *rate])
    elif how.rate:
        burst = max(5000, how.rate // 8 // 100)
        run([*queue, "tbf", "rate", f"{how.rate}bit", "burst", str(burst), "latency", "100ms"])


def _join(host: Host, cable: str, near: str) -> None:
    middle = host.link("vm")
    run(["ip", "link", "add", middle, "type", "bridge", "mcast_snooping", "0"])
    _silence(middle)
    for link in (cable, near):
        run(["ip", "link", "set", link, "master", middle])
    run(["ip", "link", "set", middle, "up"])


def _relay(host: Host, how: Slow, cable: str, near: str) -> None:
    """Start the relay process and wait until it says that it relays."""
    group: Group = host.relay
    group.create()
    relay = [sys.executable, str(Path(__file__).with_name("relay.py")), cable, near, repr(how.delay), repr(how.loss)]
    join = 'for group in $EDGE_LAB_GROUPS; do echo $$ > "$group/cgroup.procs" || exit 1; done; exec "$@"'
    log = host.directory / "relay.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            ["setsid", "--fork", "sh", "-c", join, "edge-lab", *relay],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "EDGE_LAB_GROUPS": " ".join(map(str, group.directories))},
        )
    assert process.stdout is not None
    answer = process.stdout.readline().strip()
    process.stdout.close()
    process.wait()
    if answer != "relaying":
        raise LabError(f"host {host.name}: the relay did not start: {log.read_text().strip() or 'it answer nothing'}")


def wait_new_cable(host: Host, timeout: float = 30) -> None:
    """Wait until a host that boots again has a cable in the lab's bridge; a slowed old one is not in it."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = run(["ip", "-json", "link", "show", "dev", host.link("vb")], check=False)
        if found.returncode == 0 and json.loads(found.stdout)[0].get("master") == host.settings.bridge:
            return
        time.sleep(0.05)
    raise LabError(f"host {host.name}: no new cable {host.link('vb')} in {host.settings.bridge} after {timeout:.0f} s.")
