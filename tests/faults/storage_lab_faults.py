# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of real hosts: cables cut and slow, plugs pulled in the middle of an import, a pull, a disk being made.

A host has an image and a disk from the beginning; whatever happens, both are whole afterwards and the next run completes. A try
counts only if the work had begun and had not ended when the fault came.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ansible
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.manifest import Manifest
from edge_lab.api import Lab, LabHost
from support.certificates import Authority
from support.images import changed, datastore, qcow2
from support.outcomes import BOUND, MISSED, Outcome, RandomMoment, Row, repeated, table_row

TREE = Path(__file__).resolve().parents[2]
HERE, DISKS, ORIGIN, DATASTORE = "/var/lib/edge/images", "/var/lib/edge/vms", "/srv/origin", "/var/lib/edge/datastore"
INCOMING, MANIFEST, LIST, TALLY, PKI = "/srv/incoming.qcow2", "/srv/image.json", "/srv/image.pieces", "/root/tally", "/srv/pki"
TLS = [f"{PKI}/ca.crt", f"{PKI}/host.crt", f"{PKI}/host.key"]
SECONDS = 3.0  # of silence until a source is left, as a test can wait for them
NGINX = """
worker_processes 1; error_log stderr; pid /run/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on;
  server {{
    listen 8443 ssl; root {root};
    ssl_certificate {pki}/host.crt; ssl_certificate_key {pki}/host.key;
    ssl_client_certificate {pki}/ca.crt; ssl_verify_client on;
  }}
}}
"""


@dataclass
class Site:
    """Two hosts that serve an image and one that wants it; each try begins with an older image and a disk on it."""

    first: LabHost
    second: LabHost
    host: LabHost
    old: Manifest
    image: Manifest
    dice: random.Random

    @property
    def needed(self) -> int:
        """The bytes of the new image that the older one has not."""
        there = set(self.old.pieces)
        return sum(self.image.piece_length(number) for number, piece in enumerate(self.image.pieces) if piece not in there)

    def urls(self, *hosts: LabHost) -> list[str]:
        return [f"https://{one.address}:8443/" for one in hosts or (self.first, self.second)]

    def start(self, verb: str, **options: Any) -> subprocess.Popen[str]:
        """Begin the host program there and return once it works."""
        argv = self.host.ssh_command(program(verb, options))
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        if verb != "look":
            assert process.stdout and process.stdout.readline().strip() == '{"begun": true}', verb
        return process

    def run(self, verb: str, **options: Any) -> dict[str, Any]:
        """Run the host program there to its end."""
        return last(self.start(verb, **options))

    def pull(self, *hosts: LabHost, seconds: float = SECONDS) -> dict[str, Any]:
        """Return the options of a pull of the new image."""
        return {
            "root": HERE,
            "digest": self.image.digest,
            "sources": self.urls(*hosts),
            "tls": TLS,
            "seconds": seconds,
            "tally": TALLY,
        }

    def received(self) -> int:
        """Return the bytes that all pulls of this try took from their sources."""
        return int(self.host.run(["od", "-An", "-t", "u8", TALLY], check=False).stdout or 0)

    def fresh(self) -> None:
        """Have the older image and a disk on it, and nothing else, on a host whose cable is as good as new."""
        self.host.mend()
        hexes = self.old.hex
        script = (
            "test ! -e /etc/libvirt/qemu/second.xml || virsh -q undefine second; "
            f"rm -rf {HERE} {DISKS} {DATASTORE} {TALLY}; mkdir -p {HERE} {DISKS} {DATASTORE}; "
            f"cp /srv/old/{hexes}.* {HERE}/; cp /srv/old/{hexes}.* {DATASTORE}/; "
            f"qemu-img create -q -f qcow2 -b {HERE}/{hexes}.qcow2 -F qcow2 {DISKS}/first.qcow2"
        )
        self.host.run(["sh", "-ec", script])

    def harmed(self) -> dict[str, Any]:
        """Look at the host and raise AssertionError if anything that was there is not, or is wrong."""
        found = self.look()
        assert found["wrong"] == [] and found["broken"] == [], found
        assert self.old.digest in found["images"], found
        assert f"{DISKS}/first.qcow2" in found["disks"], found
        return found

    def look(self, root: str = HERE) -> dict[str, Any]:
        return self.run("look", root=root, manifest=MANIFEST, disks=DISKS)

    def power_cycle(self) -> None:
        self.host.kill()
        self.host.start()


def program(verb: str, options: dict[str, Any]) -> list[str]:
    """Return the command that runs the host program on a host."""
    path = "PYTHONPATH=/opt/edge/collections:/opt/site"
    return [
        "env",
        path,
        "PYTHONDONTWRITEBYTECODE=1",
        "python3",
        "/opt/edge/tests/faults/host_program.py",
        verb,
        json.dumps(options),
    ]


def last(process: subprocess.Popen[str], seconds: float = 90) -> dict[str, Any]:
    """Wait for a program's end and return its last line; an empty one if its host went away."""
    assert process.stdout
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines = process.stdout.read().splitlines()
    process.wait()
    timer.cancel()
    return json.loads(lines[-1]) if lines else {}


def module(name: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "options": {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False, **options}}


def replica_image(site: Site) -> dict[str, Any]:
    ca_file, cert_file, key_file = TLS
    tls = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    return module("replica_image", {"digest": site.image.digest, "sources": site.urls(), **tls})


def datastore_image(_site: Site) -> dict[str, Any]:
    return module("datastore_image", {"name": "debian", "version": "2", "source": INCOMING})


def qcow2_image(site: Site) -> dict[str, Any]:
    options = {"path": f"{DISKS}/second.qcow2", "backing_image": f"{HERE}/{site.old.hex}.qcow2", "size": "1G"}
    return module("qcow2_image", options)


def domain(site: Site) -> dict[str, Any]:
    disk = {"name": "root", "image": site.old.digest, "size": "1GiB"}
    small = {"virt_type": "qemu", "memory": "64MiB", "vcpus": 1}
    return module("domain", {"name": "second", "state": "stopped", "disks": [disk], **small})


@dataclass(frozen=True)
class Work:
    """What a plug is pulled in the middle of, which names it changes, how long it takes at most, and what it leaves when done."""

    name: str
    options: Callable[[Site], dict[str, Any]]
    below: str
    longest: float
    done: Callable[[Site, dict[str, Any]], bool]


def _imported(site: Site, _result: dict[str, Any]) -> bool:
    found = site.look(DATASTORE)
    return (
        found["wrong"] == []
        and site.old.digest in found["images"]
        and len(found["images"]) == 2
        and set(found["left"]) <= {"index.json"}
    )


def _pulled(site: Site, _result: dict[str, Any]) -> bool:
    found = site.look()
    return site.image.digest in found["images"] and found["left"] == []


def _laid(site: Site, _result: dict[str, Any]) -> bool:
    return site.look()["disks"] == [f"{DISKS}/first.qcow2", f"{DISKS}/second.qcow2"]


def _defined(site: Site, result: dict[str, Any]) -> bool:
    disks = [path for path in site.look()["disks"] if path.endswith((".qcow2", ".new"))]
    return disks == [f"{DISKS}/first.qcow2", f"{DISKS}/second/root.qcow2"] and result["domain"]["state"] == "stopped"


IMPORT = Work("import", datastore_image, DATASTORE, 0.8, _imported)
PULL = Work("pull", replica_image, HERE, 0.6, _pulled)
DISK = Work("disk being made", qcow2_image, DISKS, 0.3, _laid)
DOMAIN = Work("domain being made", domain, DISKS, 1.0, _defined)
WORKS = (IMPORT, PULL, DISK, DOMAIN)


def again(site: Site, work: Work) -> Outcome:
    """After an interruption: nothing is harmed, the next run completes, a third has nothing to do; no good byte came twice."""

    def judge() -> tuple[bool, bool]:
        found = site.harmed()
        done = site.run("module", **work.options(site))
        if done.get("failed"):
            raise AssertionError(done)
        site.harmed()
        second = site.run("module", **work.options(site))
        twice = done.get("bytes_fetched", 0) > site.image.size - found["good"]
        return not work.done(site, second) or second["changed"], twice

    try:
        return judge()
    except AssertionError as error:
        print(f"lost after a power cut during {work.name}: {error}", file=sys.stderr)
        return True, False


def power_cut(site: Site, work: Work, moment: RandomMoment) -> Outcome:
    """Pull the plug at a random point of the work."""
    site.fresh()
    process = site.start("module", **work.options(site))
    moment.await_in(process)
    return again(site, work) if unplugged(site, process) else MISSED


def _power_cuts(site: Site, work: Work, tries: int) -> Row:
    moment = RandomMoment(site.dice, work.longest)
    return table_row(f"plug pulled during {work.name}", repeated(partial(power_cut, site, work, moment), tries))


def power_cut_at_steps(site: Site, work: Work, steps: Iterable[int] = range(1, 100)) -> Iterator[Outcome]:
    """Pull the plug right before each change of a name that the work makes, until it comes through."""
    for call in steps:
        site.fresh()
        process = site.start("module", **work.options(site), stop_at=call, below=work.below)
        assert process.stdout
        line = json.loads(process.stdout.readline())
        if "stopped" not in line:
            process.wait()
            assert not line.get("failed"), f"the module failed by itself: {line}"
            return
        site.power_cycle()
        process.kill()
        yield again(site, work)


def unplugged(site: Site, process: subprocess.Popen[str]) -> bool:
    """Pull the host's plug, boot it, and return whether the program was at work until then."""
    running = process.poll() is None
    site.power_cycle()
    process.kill()
    return running and last(process) == {}


def completes(site: Site, fault: Callable[[subprocess.Popen[str]], bool], *hosts: LabHost) -> Outcome:
    """Have a pull suffer a fault, which tells whether it hit, and complete all the same."""
    process = site.start("pull", **site.pull(*hosts))
    hit = fault(process)
    done = last(process)
    try:
        found = site.harmed()
    except AssertionError as error:
        print(f"lost: {error}", file=sys.stderr)
        return True, False
    lost = site.image.digest not in found["images"] or found["left"] != []
    if lost:
        print(f"lost: the pull returned {done}", file=sys.stderr)
    return (lost, site.received() > site.needed + BOUND) if hit else MISSED


def sometime(site: Site, share: float = 0.8) -> int:
    """Return a random number of bytes of the image, to be here when something happens."""
    return site.dice.randrange(site.image.size // 20, int(site.image.size * share))


def wait_for(site: Site, count: int, process: subprocess.Popen[str]) -> bool:
    """Wait until so many bytes came; return whether more of them have yet to come."""
    until = time.monotonic() + 120
    while (received := site.received()) < count and process.poll() is None:
        assert time.monotonic() < until, f"{received} of {count} bytes came in two minutes"
        time.sleep(0.02)  # between looks at a counter of another host
    return received < site.needed and process.poll() is None


def cut_and_mended(site: Site) -> Outcome:
    """Cut the cable to the source in the middle, for less or for longer than a source may be silent."""
    site.fresh()
    site.host.slow(rate="40mbit")
    seconds = site.dice.choice((0.5, 1.5, SECONDS + 1))

    def fault(process: subprocess.Popen[str]) -> bool:
        under_way = wait_for(site, sometime(site), process)
        site.host.cut(site.first)
        cut_at_work = site.received() < site.needed
        time.sleep(seconds)  # the fault: the cable is out for so long
        site.host.mend(site.first)
        return under_way and cut_at_work

    return completes(site, fault)


def cut_for_good(site: Site) -> Outcome:
    """Cut the cable to the source in the middle; the other one goes on."""
    site.fresh()
    site.host.slow(rate="40mbit")

    def fault(process: subprocess.Popen[str]) -> bool:
        under_way = wait_for(site, sometime(site), process)
        site.host.cut(site.first)
        return under_way and site.received() < site.needed

    found = completes(site, fault)
    site.host.mend()
    return found


def source_unplugged(site: Site) -> Outcome:
    """Pull the plug of the source's host in the middle; the other one goes on."""
    site.fresh()
    site.host.slow(rate="40mbit")

    def fault(process: subprocess.Popen[str]) -> bool:
        under_way = wait_for(site, sometime(site), process)
        site.first.kill()
        return under_way

    found = completes(site, fault)
    site.first.start()
    return found


def cut_in_a_piece(site: Site) -> Outcome:
    """Cut the cable while a piece is on its way (one takes 65 ms), then pull the host's plug; the next run completes."""
    site.fresh()
    site.host.slow(rate="8mbit")
    process = site.start("pull", **site.pull(site.first, seconds=60.0))
    under_way = wait_for(site, sometime(site, 0.3), process)
    site.host.cut()
    site.host.kill()
    site.host.mend()
    site.host.start()
    process.kill()
    return completes(site, lambda _process: under_way and last(process) == {})


def slow_network(site: Site) -> Outcome:
    """Pull through a cable of 20 to 60 Mbit/s that is late and loses frames: no byte comes twice."""
    site.fresh()
    rate, begun = site.dice.randrange(20, 60), time.monotonic()
    site.host.slow(rate=f"{rate}mbit", delay="20ms", loss=f"{site.dice.choice((0, 0.5, 1))}%")
    lost, _bound = completes(site, lambda _process: True) or (True, False)
    slow = time.monotonic() - begun > site.needed * 8 / (rate * 1e6) / 2  # half, as a buffer may pass some at once
    return (lost, site.received() != site.needed) if slow else MISSED


@contextlib.contextmanager
def site(folder: Path, lab: Lab, seed: int, prefix: str, release: str = "trixie") -> Iterator[Site]:
    """Have three hosts for the faults, with the tree of this checkout to be read, and remove them at the end."""
    names = [f"{prefix}-{name}" for name in ("src1", "src2", "host")]
    binds = [f"{TREE}:/opt/edge:ro", f"{Path(ansible.__file__).resolve().parents[1]}:/opt/site:ro"]
    try:
        hosts = lab.up(names=names, variant="full", release=release, binds=binds)
        yield furnish(folder, hosts, seed)
    finally:
        lab.down(*names)


def furnish(folder: Path, hosts: list[LabHost], seed: int) -> Site:
    """Make the images and certificates, serve them from two hosts, and give the third what it begins with."""
    old_file = qcow2(folder / "1.qcow2", 12)
    new_file = changed(old_file, folder / "2.qcow2", share=0.95, extent=65536)
    (origin, old), image = datastore(folder / "store", old_file), datastore(folder / "store", new_file, version="2")[1]
    first, second, host = hosts
    authority = Authority(folder / "ca")
    for one in hosts:
        give_certificates(one, authority)
        one.put(origin.root, ORIGIN)
    for one in (first, second):
        serving = "cat > /etc/nginx/nginx.conf; systemctl enable -q nginx; systemctl restart nginx"
        one.run(["sh", "-ec", serving], stdin=NGINX.format(root=ORIGIN, pki=PKI))
    script = (
        f"mkdir -p /srv/old; cp {ORIGIN}/{old.hex}.* /srv/old/; cp {ORIGIN}/{image.hex}.json {MANIFEST}; "
        f"cp {ORIGIN}/{image.hex}.pieces {LIST}; "
        f"cp {ORIGIN}/{image.hex}.qcow2 {INCOMING}; rm -r {ORIGIN}"
    )
    host.run(["sh", "-ec", script])
    return Site(first, second, host, old, image, random.Random(seed))


def give_certificates(host: LabHost, authority: Authority) -> None:
    """Put the CA and a certificate of the host's own on it."""
    pair = authority.issue(host.address)
    host.run(["mkdir", "-p", PKI])
    for path, name in ((authority.ca_file, "ca.crt"), (pair.cert, "host.crt"), (pair.key, "host.key")):
        host.put(path, f"{PKI}/{name}")


CABLES: tuple[tuple[str, Callable[[Site], Outcome]], ...] = (
    ("cable cut in the middle, then mended", cut_and_mended),
    ("cable cut for good, another source", cut_for_good),
    ("cable cut in a piece, then the plug", cut_in_a_piece),
    ("slow, late and lossy cable", slow_network),
    ("source's plug pulled, another source", source_unplugged),
)


def rows(place: Site, tries: int) -> list[Row]:
    """Return a row for each kind of fault."""
    found = [table_row(name, repeated(partial(case, place), tries)) for name, case in CABLES]
    for work in WORKS:
        found.append(_power_cuts(place, work, tries))
        found.append(table_row(f"plug pulled at each step of {work.name}", power_cut_at_steps(place, work)))
    return found


def sample(place: Site) -> list[Row]:
    """Return the rows of a quick sample: each kind of fault of one source once, and a plug at one step of each work."""
    found = [table_row(name, repeated(partial(case, place), 1)) for name, case in (CABLES[0], CABLES[2], CABLES[3])]
    for work, step in ((IMPORT, 12), (PULL, 6), (DISK, 3), (DOMAIN, 2)):
        found.append(table_row(f"plug pulled at step {step} of {work.name}", power_cut_at_steps(place, work, (step,))))
    return [*found, _power_cuts(place, PULL, 1)]
