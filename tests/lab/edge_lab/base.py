# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base root file systems: built once by mmdebstrap, whole or not there, named by a hash of their recipe."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import inherit
from .command import LabError, run, say
from .locking import locked
from .packages import RELEASES, VARIANTS
from .settings import Settings

FREE_BYTES = 3 << 30
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "e2scrub_reap.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
)
"""Units that would take the package lock at odd times, or reach for the machine's own kernel."""

FINISH = (
    'chroot "$1" update-ca-certificates',
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id',
    'chroot "$1" systemctl enable systemd-networkd.service',
    f'chroot "$1" systemctl mask {" ".join(MASKED)}',
)
"""Shell commands of mmdebstrap's last step; $1 is the new root."""


@dataclass(frozen=True)
class Recipe:
    """All that a base root file system is made from."""

    release: str
    variant: str
    mirror: str = ""
    packages: tuple[str, ...] = ()
    apt: dict[str, str] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    finish: tuple[str, ...] = FINISH

    @classmethod
    def of(cls, release: str, variant: str, mirror: str) -> Recipe:
        """Return the recipe for a release and variant on this machine."""
        if release not in RELEASES:
            raise LabError(f"release {release!r}: not known. Choose one of {', '.join(RELEASES)}.")
        if variant not in VARIANTS:
            raise LabError(f"variant {variant!r}: not known. Choose one of {', '.join(VARIANTS)}.")
        return cls(release, variant, mirror, VARIANTS[variant], inherit.apt_settings(), inherit.ca_certificates())

    @property
    def name(self) -> str:
        """Name of the directory; two equal recipes have the same."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.release}-{self.variant}-{digest[:12]}"


def ensure(settings: Settings, release: str, variant: str) -> Path:
    """Return the base root file system of a release and variant, building it first if it is not there."""
    recipe = Recipe.of(release, variant, settings.mirror)
    target = settings.bases / recipe.name
    if target.is_dir():
        return target
    with locked(settings.bases / f".{release}-{variant}.lock", f"base {recipe.name}") as lock:
        if not target.is_dir():
            _build(recipe, target, lock)
            _forget_older(settings, recipe)
    return target


def _build(recipe: Recipe, target: Path, lock: int) -> None:
    """Build into a directory beside the target and rename it. The builder holds the lock too, so it outlives us safely."""
    free = shutil.disk_usage(target.parent).free
    if free < FREE_BYTES:
        raise LabError(f"{target.parent}: {free >> 20} MiB free, a base needs {FREE_BYTES >> 20}. Free some or set EDGE_LAB_DIR.")
    aside = target.with_name(f".{recipe.release}-{recipe.variant}.new")
    _remove_tree(aside)
    stock = aside.with_name(f"{aside.name}.stock")
    _remove_tree(stock)
    for folder, files in (("etc/apt/apt.conf.d", recipe.apt), ("usr/local/share/ca-certificates", recipe.certificates)):
        (stock / folder).mkdir(parents=True)
        for name, text in files.items():
            (stock / folder / name).write_text(text)
    say(f"base {recipe.name}", f"building from {len(recipe.packages)} packages and what they need")
    _run_builder(_command(recipe, aside, stock), f"base {recipe.name}", lock)
    _remove_tree(stock)
    os.utime(aside / "var/lib/apt/lists", (0, 0))  # empty, and old enough that whoever asks for fresh lists fetches them
    os.sync()
    aside.rename(target)
    say(f"base {recipe.name}", "ready")


def _command(recipe: Recipe, aside: Path, stock: Path) -> list[str]:
    """Return mmdebstrap's command, in a mount namespace of its own so that nothing stays mounted if it is killed."""
    command = ["unshare", "--mount", "--propagation", "private", "mmdebstrap", "--mode=root", "--variant=minbase"]
    command += ["--format=directory", '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"']
    command += ["--dpkgopt=force-unsafe-io", f"--include={','.join(recipe.packages)}"]
    command += [f'--setup-hook=cp -a {stock}/. "$1"/']
    command += [f"--customize-hook={step}" for step in recipe.finish]
    return [*command, recipe.release, str(aside), *([recipe.mirror] if recipe.mirror else [])]


def _run_builder(command: list[str], subject: str, lock: int) -> None:
    tail: deque[str] = deque(maxlen=40)
    env = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        pass_fds=(lock,),
    ) as builder:
        for line in builder.stdout or ():
            tail.append(line.rstrip())
            if line.startswith("I: ") and "-hook " not in line:
                say(subject, line[3:].rstrip())
    if builder.returncode != 0:
        raise LabError(f"{subject}: mmdebstrap ended with status {builder.returncode}. Its last words:\n" + "\n".join(tail))


def _forget_older(settings: Settings, recipe: Recipe) -> None:
    """Remove bases of the same release and variant that no host stands on any more."""
    used = {json.loads(path.read_text())["base"] for path in settings.directory.glob("labs/*/hosts/*/host.json")}
    for path in settings.bases.glob(f"{recipe.release}-{recipe.variant}-*"):
        if path.name != recipe.name and path.name not in used:
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    if path.exists():
        run(["rm", "-rf", "--one-file-system", "--", str(path)])


def purge(settings: Settings) -> None:
    """Remove every base root file system; refuse while a host of any lab stands on one."""
    users = sorted(path.parent.name for path in settings.directory.glob("labs/*/hosts/*/host.json"))
    if users:
        raise LabError(f"purge: hosts still stand on the bases: {', '.join(users)}. Take them down first.")
    _remove_tree(settings.bases)
    for path in (settings.directory / "labs", settings.directory):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
