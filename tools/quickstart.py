# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""make quickstart and its undo: prepares what Ansible needs, runs the playbook, keeps its records in .quickstart/.

Usage: quickstart.py up|down|ssh|page [ARGS for ansible-playbook or ssh]
QUICKSTART_ON=here runs on this machine, =lab inside a lab host (systemd-nspawn) of it; without it, a machine that systemd
booted is used itself, any other gets a lab host. QUICKSTART_COMMAND is the command of ssh, one text for the guest's shell.
Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parent.parent
RECORDS = TREE / ".quickstart"
LAB = [sys.executable, str(TREE / "tests/lab/lab.py")]
LAB_HOST = "quickstart"
INSIDE = "/opt/edge.cloud"


def say(text: str) -> None:
    """Print at once what happens now."""
    print(f"── {text}", flush=True)


def place() -> str:
    """Return ``here`` or ``lab``."""
    wanted = os.environ.get("QUICKSTART_ON", "auto")
    if wanted not in ("auto", "here", "lab"):
        sys.exit(f"quickstart: QUICKSTART_ON is {wanted}; use auto, here or lab.")
    if wanted == "auto":
        return "here" if Path("/run/systemd/system").is_dir() else "lab"
    return wanted


def packages() -> set[str]:
    """Return the names of all installed packages."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"], capture_output=True, text=True, check=True
    )
    return {line.split()[0] for line in shown.stdout.splitlines() if line.endswith(" installed")}


def playbook(name: str, arguments: list[str]) -> int:
    """Run a playbook of this collection on this machine and return its exit code."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": os.environ.get("ANSIBLE_STDOUT_CALLBACK", "edge.cloud.phases"),
        "ANSIBLE_HOME": str(TREE / ".ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_PIPELINING": "true",
        "EDGE_PHASES_FILE": str(RECORDS / "phases.json"),
    }
    argv = [
        str(TREE / ".venv/bin/ansible-playbook"),
        "-i",
        str(TREE / "inventories/quickstart"),
        str(TREE / f"playbooks/{name}.yml"),
    ]
    return subprocess.run([*argv, *arguments], env=environment, cwd=TREE, check=False).returncode


def variables(arguments: list[str]) -> dict[str, str]:
    """Return the plain variables of the inventory, with those that the arguments override (-e name=value)."""
    text = (TREE / "inventories/quickstart/group_vars/all.yml").read_text()
    found = dict(re.findall(r"^(\w+): ([^\s\"{]+)$", text, re.MULTILINE))
    given = [pair for words in pairwise(arguments) if words[0] == "-e" for pair in words[1].split()]
    return {**found, **dict(pair.split("=", 1) for pair in given if "=" in pair)}


def preflight(arguments: list[str]) -> None:
    """Find what would stop the quick start before the first package is installed; the playbook checks more."""
    known = variables(arguments)
    wanted = {
        "--subnet": known["quickstart_subnet"],
        "--network": known["quickstart_network"],
        "--bridge": known["quickstart_bridge"],
        "--vm-dir": f"/var/lib/edge/vms/{known['quickstart_vm']}",
        "--package": "python3-venv",
    }
    ports = [f"--port={known[name]}" for name in ("quickstart_frontend_port", "quickstart_replica_port")]
    sizes = [f"--size={name}={known[name]}" for name in ("quickstart_memory", "quickstart_disk")]
    check = [sys.executable, str(TREE / "roles/preflight/files/preflight"), "--text", *ports, *sizes]
    done = subprocess.run(
        [*check, *[word for pair in wanted.items() for word in pair]], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"quickstart: nothing was changed. Fix this first:\n{done.stdout}{done.stderr}")


def wanted_packages() -> list[str]:
    """Return the distribution packages that the playbook installs."""
    text = (TREE / "inventories/quickstart/group_vars/all.yml").read_text()
    found = re.search(r"^quickstart_packages:\n((?:  - \S+\n)+)", text, re.MULTILINE)
    return found[1].replace("  - ", "").split() if found else []


def prepare(arguments: list[str]) -> None:
    """Make Ansible ready, and install meanwhile what the playbook would install first.

    Two programs of apt cannot run at once, so those that Ansible needs come first. What fails aside is reported by the playbook,
    which does it again.
    """
    setup = [sys.executable, str(TREE / "tools/setup.py")]
    subprocess.run([*setup, "packages"], check=True)
    names = [] if "--check" in arguments else wanted_packages()
    with subprocess.Popen([*setup, "packages", *names]):
        subprocess.run([*setup, "run"], check=True)


def note_packages() -> None:
    """Record which packages were installed since the quick start began."""
    before = json.loads((RECORDS / "packages-before.json").read_text())
    write(RECORDS / "packages.json", sorted(packages() - set(before)))


def up_here(arguments: list[str]) -> int:
    """Bring it up on this machine."""
    begun = time.monotonic()
    preflight(arguments)
    RECORDS.mkdir(exist_ok=True)
    before = RECORDS / "packages-before.json"
    if not before.exists():
        write(before, sorted(packages()))
    prepare(arguments)
    prepared = round(time.monotonic() - begun, 1)
    code = playbook("quickstart", arguments)
    note_packages()
    if code != 0 or "--check" in arguments or not (RECORDS / "facts.json").exists():
        return code
    summary = json.loads((RECORDS / "facts.json").read_text())
    phases = [
        {"name": "Prepare Ansible", "seconds": prepared, "changed": 0, "ok": True},
        *json.loads((RECORDS / "phases.json").read_text()),
    ]
    summary |= {"phases": phases, "seconds": round(time.monotonic() - begun, 1)}
    write(RECORDS / "summary.json", summary)
    show(summary)
    return 0


def write(path: Path, value: object) -> None:
    """Write JSON so that a power cut leaves the old file or the new one whole."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as handle:
        handle.write(json.dumps(value, indent=2) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    new.rename(path)


def show(summary: dict[str, Any]) -> None:
    """Print what exists now and what to do next."""
    changed = sum(phase["changed"] for phase in summary["phases"])
    speed = "KVM" if summary["virt_type"] == "kvm" else "emulated (no working KVM here, so it is slow)"
    print(f"""
═══ Your edge cloud runs ({summary["seconds"]} s, {changed} changes) ═══
  VM        {summary["vm"]} at {summary["address"]}, {speed}
  image     {summary["image_name"]} {summary["image_version"]}, {str(summary["image"])[:19]}…
  page      make quickstart-page       (http://{summary["address"]}/)
  enter it  make quickstart-ssh        (ssh -i .quickstart/id_ed25519 {summary["user"]}@{summary["address"]})
  another   make quickstart ARGS="-e quickstart_vm=web2"
  remove    make quickstart-down
  facts     .quickstart/summary.json
""")


def down_here(arguments: list[str]) -> int:
    """Remove all that the quick start made on this machine, and only that."""
    if not (TREE / ".venv/.run.stamp").exists() and not (TREE / ".venv/.dev.stamp").exists():
        if not Path("/etc/edge/quickstart.json").exists():
            say("This machine has no quick start; nothing to remove.")
            return 0
        subprocess.run([sys.executable, str(TREE / "tools/setup.py"), "run"], check=True)
    if (RECORDS / "packages-before.json").exists() and not (RECORDS / "packages.json").exists():
        note_packages()  # the run was killed before it could record them
    code = playbook("quickstart_down", arguments)
    if code == 0 and "--check" not in arguments:
        shutil.rmtree(RECORDS, ignore_errors=True)
        say("Removed. Anything that stays is named above.")
    return code


def lab(*arguments: str) -> int:
    """Run a command of the lab."""
    return subprocess.run([*LAB, *arguments], check=False).returncode


def inside(verb: str, arguments: list[str]) -> list[str]:
    """Return the lab's words that run this program inside the lab host, each argument as it is."""
    command = os.environ.get("QUICKSTART_COMMAND", "")
    given = ["env", f"QUICKSTART_COMMAND={command}"] if command and not arguments else []
    return ["exec", LAB_HOST, "--", *given, "python3", f"{INSIDE}/tools/quickstart.py", verb, *arguments]


def up_lab(arguments: list[str]) -> int:
    """Create a lab host on this machine and bring the quick start up inside."""
    say("systemd did not boot this machine: the quick start runs inside a lab host of it (a systemd-nspawn container).")
    release = os.environ.get("LAB_RELEASE", "trixie")
    if lab("up", "--name", LAB_HOST, "--variant", "minimal", "--release", release) != 0:
        return 1
    say("Copying this checkout into the lab host")
    copy_checkout()
    code = lab(*inside("up", arguments))
    RECORDS.mkdir(exist_ok=True)
    for name in ("summary.json", "id_ed25519"):
        shown = subprocess.run(
            [*LAB, "exec", LAB_HOST, "--", "cat", f"{INSIDE}/.quickstart/{name}"], capture_output=True, text=True, check=False
        )
        if shown.returncode == 0:
            (RECORDS / name).write_text(shown.stdout)
            (RECORDS / name).chmod(0o600)
    return code


def copy_checkout() -> None:
    """Copy this checkout, without generated files, into the lab host."""
    made = [".git", ".venv*", ".quickstart", ".ansible", "build", "collections", "*.tar.gz", "__pycache__", ".*_cache"]
    packed = subprocess.run(
        ["tar", "-C", str(TREE), *[f"--exclude=./{name}" for name in made], "-cf", "-", "."], capture_output=True, check=True
    )
    lab("exec", LAB_HOST, "--", "mkdir", "-p", INSIDE)
    subprocess.run([*LAB, "exec", LAB_HOST, "--", "tar", "-C", INSIDE, "-xf", "-"], input=packed.stdout, check=True)


def down_lab(_arguments: list[str]) -> int:
    """Remove the lab host with everything in it."""
    code = lab("down", LAB_HOST)
    if code == 0:
        shutil.rmtree(RECORDS, ignore_errors=True)
    return code


def reach(verb: str, arguments: list[str]) -> int:
    """Enter the VM, or print its page."""
    if place() == "lab":
        return lab(*inside(verb, arguments))
    try:
        summary = json.loads((RECORDS / "summary.json").read_text())
    except FileNotFoundError:
        sys.exit("quickstart: this machine has no quick start yet; run: make quickstart")
    if verb == "page":
        from urllib.request import urlopen

        with urlopen(f"http://{summary['address']}/", timeout=30) as page:
            print(page.read().decode())
        return 0
    return subprocess.run(ssh(summary, arguments), check=False).returncode


def ssh(summary: dict[str, Any], arguments: list[str]) -> list[str]:
    """Return the command that enters the VM; a command for its shell is one argument, which no shell of this machine reads."""
    command = os.environ.get("QUICKSTART_COMMAND", "")
    known = ["-o", f"UserKnownHostsFile={RECORDS}/known_hosts", "-o", "StrictHostKeyChecking=accept-new"]
    words = arguments or ([command] if command else [])
    return ["ssh", "-i", summary["key"], *known, f"{summary['user']}@{summary['address']}", *words]


def main() -> int:
    """Run the verb."""
    verb, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    verbs = {("up", "here"): up_here, ("up", "lab"): up_lab, ("down", "here"): down_here, ("down", "lab"): down_lab}
    if verb in ("ssh", "page"):
        return reach(verb, arguments)
    if (verb, place()) not in verbs:
        sys.exit("quickstart: use one of: up, down, ssh, page")
    return verbs[verb, place()](arguments)


if __name__ == "__main__":
    sys.exit(main())
