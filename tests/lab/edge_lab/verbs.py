# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab can do: one function a verb. Each can be run again after any interruption."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import base, cgroup, inventory, lifecycle, network, seed, shaping, ssh
from .command import LabError, run, say
from .hosts import Host, Spec, check_name, describe, every, find, links, mounted, mounts_under, refuse_difference
from .locking import locked
from .packages import ensure_machine
from .settings import Settings

BOOTS_AT_ONCE = 4


def lab_lock(settings: Settings) -> AbstractContextManager[int]:
    """Hold what all hosts of the lab share; always for a short time, and after a host's own lock."""
    return locked(settings.run / "lock", f"lab {settings.name}")


@contextmanager
def host_lock(settings: Settings, name: str) -> Iterator[Host]:
    """Hold one host, and yield it as it is then."""
    with locked(settings.run / f"host-{name}.lock", f"host {name}"):
        yield find(settings, name)


def up(settings: Settings, wanted: Sequence[Spec]) -> list[Host]:
    """Have the wanted hosts running and letting us in; leave those that already do. Returns them."""
    ensure_machine()
    for spec in wanted:
        check_name(spec.name)
        for bind in spec.binds:
            lifecycle.check_bind(bind)
        refuse_difference(settings, spec)  # before a base is built for nothing
    bases = {(spec.release, spec.variant): base.ensure(settings, spec.release, spec.variant).name for spec in wanted}
    with lab_lock(settings):
        ssh.ensure_key(settings.key, "edge-lab")
        network.ensure(settings)
        hosts = []
        for spec in wanted:
            whole = Spec(**{**spec.__dict__, "base": bases[spec.release, spec.variant]})
            hosts.append(describe(settings, whole, (host.spec.index for host in every(settings))))
    return each(hosts, _bring_up)


def each(hosts: Sequence[Host], action: Callable[[Host], Host]) -> list[Host]:
    """Do one thing to several hosts, some at a time; raise the first error after all have ended."""
    with ThreadPoolExecutor(BOOTS_AT_ONCE) as pool:
        futures = [pool.submit(action, host) for host in hosts]
    return [future.result() for future in futures]


def _bring_up(wanted: Host) -> Host:
    settings = wanted.settings
    with host_lock(settings, wanted.name) as host:
        if lifecycle.running(host) and host.spec.seeded:
            if not _cut_off(host):
                ssh.wait(host)
            say(f"host {host.name}", f"is up at {host.address}")
            return host
        return _boot(host)


def _boot(host: Host) -> Host:
    """Boot a host that does not run and wait for it. The caller holds its lock."""
    settings = host.settings
    began = time.monotonic()
    lifecycle.halt(host)
    host = lifecycle.prepare(host)
    with lab_lock(settings):
        network.ensure(settings)
        seed.write_hosts(settings)
        ssh.write_known_hosts(settings)
        inventory.write(settings)
    lifecycle.boot(host)
    if shaping.wanted(host) is not None:
        shaping.wait_new_cable(host)
        shaping.plug(host)
    if not _cut_off(host):
        ssh.wait(host)
    say(f"host {host.name}", f"up at {host.address} after {time.monotonic() - began:.1f} s")
    return host


def _cut_off(host: Host) -> bool:
    return (host.name, None) in network.cuts(host.settings)


def down(settings: Settings, names: Sequence[str]) -> None:
    """Remove the named hosts, or all; with the last one, everything else of the lab."""
    known = {host.name for host in every(settings)} | {path.name for path in settings.hosts.glob("*")}
    for name in names or sorted(known):
        if name in known:
            _take_down(settings, check_name(name))
        else:
            say(f"host {name}", "is not there")
    _remove_empty_lab(settings)


def _take_down(settings: Settings, name: str) -> None:
    with locked(settings.run / f"host-{name}.lock", f"host {name}"):
        with suppress(LabError):
            host = find(settings, name)
            with lab_lock(settings):
                network.forget(host)
                host = host.save(seeded=False)
            shaping.forget(host)
            lifecycle.remove(host)
            say(f"host {name}", "is gone")
        if (settings.hosts / name).exists():
            _take_down_fragment(settings, name)
        with lab_lock(settings):
            _refresh(settings)
        (settings.run / f"host-{name}.lock").unlink(missing_ok=True)


def _take_down_fragment(settings: Settings, name: str) -> None:
    """Remove what an interrupted command left of a host that has no description (any more)."""
    directory = settings.hosts / name
    if mounts_under(directory):
        raise LabError(f"{directory}: mounted, and nothing says what it is. Unmount what is below it, then try again.")
    run(["rm", "-rf", "--one-file-system", "--", str(directory)])
    say(f"host {name}", "remains removed")


def _refresh(settings: Settings) -> None:
    seed.write_hosts(settings)
    ssh.write_known_hosts(settings)
    if settings.home.exists():
        inventory.write(settings)


def _remove_empty_lab(settings: Settings) -> None:
    """Remove network, state and directories of a lab that has no host."""
    if not (settings.run.exists() or settings.home.exists()):
        return
    with lab_lock(settings):
        if any(settings.hosts.glob("*")):
            return
        for group in cgroup.groups(settings.name):
            group.kill()
            group.remove()
        for link in links(settings):
            run(["ip", "link", "delete", link], check=False)
        network.remove(settings)
        cgroup.remove_lab(settings.name)
        for folder in (settings.home, settings.run):
            run(["rm", "-rf", "--one-file-system", "--", str(folder)])
        lifecycle.drop_empty_folders()
        with suppress(OSError):  # another lab, or a base
            settings.home.parent.rmdir()
            settings.directory.rmdir()
        say(f"lab {settings.name}", "is gone")


def purge(settings: Settings) -> None:
    """Remove the lab, and every base root file system."""
    down(settings, [])
    base.purge(settings)


def kill(settings: Settings, name: str) -> None:
    """Pull a host's plug: all its processes end at one instant, nothing is shut down. Its disk stays."""
    with host_lock(settings, name) as host:
        began = time.monotonic()
        lifecycle.halt(host)
        say(f"host {name}", f"dead after {time.monotonic() - began:.2f} s")


def start(settings: Settings, name: str) -> None:
    """Boot a host that does not run, on the disk that it has; leave one that runs."""
    ensure_machine()
    with host_lock(settings, name) as host:
        if not (lifecycle.running(host) and host.spec.seeded):
            _boot(host)


def cut(settings: Settings, name: str, other: str | None = None) -> None:
    """Cut a host off, from everything or from one other host, both ways. Nothing else changes for it."""
    find(settings, name)
    if other is not None and find(settings, other).name == name:
        raise LabError(f"cut {name} --from {other}: a host cannot be cut from itself.")
    with lab_lock(settings):
        network.set_cuts(settings, [*network.cuts(settings), (name, other)])
    say(f"host {name}", f"cut off from {other or 'everything'}")


def mend(settings: Settings, name: str, other: str | None = None) -> None:
    """End a host's cuts and its slowness; or only the cut between it and one other host."""
    host = find(settings, name)
    with lab_lock(settings):
        found = network.cuts(settings)
        gone = {(name, other), (other, name)} if other else {cut for cut in found if name in cut}
        left = [cut for cut in found if cut not in gone]
        if left != found:
            network.set_cuts(settings, left)
    if other is None:
        with host_lock(settings, name):
            shaping.mend(host)
    say(f"host {name}", f"mended{f' with {other}' if other else ''}")


def slow(settings: Settings, name: str, how: shaping.Slow) -> None:
    """Make a host's cable slow, late or lossy, both ways; replaces what was asked before."""
    with host_lock(settings, name) as host:
        shaping.want(host, how)
        if lifecycle.running(host):
            shaping.plug(host)
    say(f"host {name}", f"slowed: {how.sentence()}")


def replug(settings: Settings, name: str) -> None:
    """Slow a host's cable again after it rebooted by itself (called by the shell that keeps the host)."""
    host = find(settings, name)
    if shaping.wanted(host) is not None:
        shaping.wait_new_cable(host)
        with host_lock(settings, name):
            shaping.plug(host)


def route(settings: Settings, name: str, subnet: str) -> None:
    """Route a network to a host, for the machine and every host; ends when the host is taken down."""
    host = find(settings, name)
    with lab_lock(settings):
        network.add_route(host, subnet)
    say(f"host {name}", f"is the way to {subnet}")


def push(settings: Settings, name: str, source: Path | str, target: str) -> None:
    """Copy a file or folder of the machine into a host."""
    if not Path(source).exists():
        raise LabError(f"push: {source} does not exist on this machine.")
    run(["scp", "-r", "-p", *ssh.options(settings), str(source), f"root@{find(settings, name).address}:{target}"])


def pull(settings: Settings, name: str, source: str, target: Path | str) -> None:
    """Copy a file or folder of a host to the machine."""
    run(["scp", "-r", "-p", *ssh.options(settings), f"root@{find(settings, name).address}:{source}", str(target)])


def status(settings: Settings) -> dict[str, Any]:
    """Return what there is: the lab's network, its hosts and their state."""
    broken = network.cuts(settings)
    hosts = every(settings)
    answers = each_answers(hosts)
    return {
        "lab": settings.name,
        "bridge": settings.bridge,
        "subnet": str(settings.subnet),
        "gateway": str(settings.gateway),
        "key": str(settings.key),
        "known_hosts": str(settings.known_hosts),
        "inventory": str(settings.inventory),
        "routes": network.routes(settings),
        "hosts": [
            {
                "name": host.name,
                "address": str(host.address),
                "release": host.spec.release,
                "variant": host.spec.variant,
                "state": "up" if answer else "unreachable" if lifecycle.running(host) else "stopped",
                "cut": sorted(other or "everything" for name, other in broken if name == host.name),
                "slow": shaping.sentence(host),
                "root": str(host.root) if mounted(host.root) else "",
                "console": str(host.console),
            }
            for host, answer in zip(hosts, answers, strict=True)
        ],
    }


def each_answers(hosts: Sequence[Host]) -> list[bool]:
    """Return for each host whether it lets us in at this moment."""
    with ThreadPoolExecutor(BOOTS_AT_ONCE) as pool:
        return list(pool.map(lifecycle.answers, hosts))
