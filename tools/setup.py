# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this checkout ready: distribution packages, a virtual environment from pinned and hashed requirements, the collection path.

Usage: setup.py run|dev|newest. Does nothing that is done already. Standard library only.
  run     what the playbooks need               (.venv)
  dev     and what make check and make test need (.venv)
  packages [NAME…]  install distribution packages, those of run without a name
  newest  units under the newest ansible-core   (.venv-newest; where Python 3.12 or newer is there)
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
REQUIREMENTS = TREE / "requirements"
OLDEST, NEWEST = (3, 11), (3, 13)
COLLECTIONS = ("community.crypto",)  # as galaxy.yml says
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def say(text: str) -> None:
    """Tell the user at once what goes on."""
    print(f"── {text}", flush=True)


def stop(text: str) -> None:
    """End with a message that says what to do."""
    sys.exit(f"setup: {text}")


def apt_names(kind: str) -> list[str]:
    """Return the distribution packages of ``kind``."""
    files = ["apt-run.txt"] if kind == "run" else ["apt-run.txt", "apt-dev.txt"]
    lines = [line.strip() for name in files for line in (REQUIREMENTS / name).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def install_packages(names: list[str]) -> None:
    """Install what dpkg does not have; without root say the command instead."""
    if shutil.which("dpkg-query") is None:
        return
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names], capture_output=True, text=True, check=False
    ).stdout
    have = {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
    missing = [name for name in names if name not in have]
    if not missing:
        return
    if os.geteuid() != 0:
        stop(f"packages are missing and you are not root; run: sudo apt-get install --no-install-recommends {' '.join(missing)}")
    say(f"Installing packages: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *missing]
    if subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return
    for command in (["apt-get", "-qq", "update"], install):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            stop(f"this command failed, see its words above: {' '.join(command)}")


def python_version(program: str) -> tuple[int, int] | None:
    """Return (major, minor) of a Python that runs, else None."""
    try:
        done = subprocess.run([program, "-c", VERSION], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        return None
    major, minor = done.stdout.strip().split(".")
    return int(major), int(minor)


def find_python(oldest: tuple[int, int], best_last: bool) -> str | None:
    """Return a Python between ``oldest`` and the newest that we support; the newest of them with ``best_last``."""
    names = ["python3", "python3.11", "python3.12", "python3.13"]
    root = os.environ.get("PYENV_ROOT")
    more = sorted(str(path) for path in Path(root, "versions").glob("3.1[1-3].*/bin/python3")) if root else []
    found = [(version, name) for name in names + more if (version := python_version(name)) and oldest <= version <= NEWEST]
    return (max(found)[1] if best_last else found[0][1]) if found else None


def split_bundle(text: str) -> tuple[str, str]:
    """Return the requirement of the package ``ansible``, with its hashes, and all the others."""
    parts = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)
    bundle = "".join(part for part in parts if part.startswith("ansible=="))
    return bundle, "".join(part for part in parts if not part.startswith("ansible=="))


def pip(folder: Path, verb: str, requirements: str, work: Path, *options: str) -> None:
    """Run pip of a virtual environment with pinned and hashed requirements."""
    listed = work / "requirements.txt"
    listed.write_text(requirements)
    argv = [str(folder / "bin/pip"), "--disable-pip-version-check", verb, "-qq", "--require-hashes", *options, "-r", str(listed)]
    if subprocess.run(argv, check=False).returncode != 0:
        stop("pip failed, see its words above; is a package index reachable?")


def install(folder: Path, requirements: str, work: Path) -> None:
    """Install requirements into a virtual environment."""
    pip(folder, "install", requirements, work, "--no-compile")


def add_collections(folder: Path, bundle: str, work: Path) -> None:
    """Put the collections that the roles need into a virtual environment; the package ``ansible`` has 36,000 files of others."""
    pip(folder, "download", bundle, work, "--no-deps", "--only-binary=:all:", f"--dest={work}")
    (packed,), (site,) = work.glob("*.whl"), folder.glob("lib/python3.*/site-packages")
    with zipfile.ZipFile(packed) as wheel:
        for collection in COLLECTIONS:
            inside = f"ansible_collections/{collection.replace('.', '/')}/"
            names = [name for name in wheel.namelist() if name.startswith(inside)]
            if not names:
                stop(f"{packed.name} has no collection {collection}; name another version in requirements/run.in")
            shutil.rmtree(site / inside, ignore_errors=True)
            wheel.extractall(site, names)


def make_venv(folder: Path, requirements: Path, python: str) -> None:
    """Make or renew the virtual environment; a stamp written last tells that it is whole."""
    wanted = hashlib.sha256(requirements.read_bytes() + str(python_version(python)).encode()).hexdigest()
    stamp = folder / f".{requirements.stem}.stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say(f"Making {folder.name} from {requirements.relative_to(TREE)} (Python {'.'.join(map(str, python_version(python) or ()))})")
    begun = time.monotonic()
    if python_version(str(folder / "bin/python3")) != python_version(python):
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    with tempfile.TemporaryDirectory(prefix="edge-setup-") as work:
        if requirements.stem == "run":
            bundle, others = split_bundle(requirements.read_text())
            install(folder, others, Path(work))
            add_collections(folder, bundle, Path(work))
        else:
            install(folder, requirements.read_text(), Path(work))
    stamp.write_text(wanted)
    say(f"{folder.name} is ready ({time.monotonic() - begun:.0f} s)")


def link_collection() -> None:
    """Let Ansible find this checkout as edge.cloud."""
    link = TREE / "collections/ansible_collections/edge/cloud"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to("../../..")


def main() -> None:
    """Prepare what the first argument names."""
    if sys.argv[1:2] == ["packages"]:
        install_packages(sys.argv[2:] or apt_names("run"))
        return
    kind = sys.argv[1] if len(sys.argv) == 2 else ""
    if kind not in ("run", "dev", "newest"):
        stop("say one of: run, dev, newest")
    python = find_python((3, 12) if kind == "newest" else OLDEST, best_last=kind == "newest")
    if python is None and kind == "newest":
        say("Skipped: no Python 3.12 or 3.13 here, so the newest ansible-core is not tried")
        return
    if python is None:
        found = ".".join(map(str, python_version("python3") or ("none",)))
        stop(f"Python 3.11 to 3.13 is needed (found: {found}); Debian 12 and 13 have it as python3")
    install_packages(apt_names(kind))
    link_collection()
    names = {"run": (".venv", "run.txt"), "dev": (".venv", "dev.txt"), "newest": (".venv-newest", "newest.txt")}
    folder, requirements = names[kind]
    if kind == "run" and (TREE / ".venv/.dev.stamp").is_file():
        requirements = "dev.txt"  # a superset that is there already
    make_venv(TREE / folder, REQUIREMENTS / requirements, str(python))


if __name__ == "__main__":
    main()
