# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real apt and dpkg in a folder of their own: a mirror of empty packages, and a list of what is installed of them."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

ARCH = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
FOLDERS = ("root/var/lib/dpkg/info", "root/var/lib/dpkg/updates", "lists/partial", "cache/archives/partial", "state")
FOLDERS += ("etc/apt.conf.d", "etc/preferences.d")


def offer(mirror: Path, name: str, **fields: str) -> None:
    """Have an empty package on the mirror, with more fields such as Depends."""
    about = {"Package": name, "Version": "1", "Architecture": ARCH, "Maintainer": "edge <edge@edge.example>", "Description": name}
    made, file = mirror / "made" / name, mirror / f"{name}.deb"
    (made / "DEBIAN").mkdir(parents=True)
    (made / "DEBIAN/control").write_text(_stanza(about | fields))
    subprocess.run(["dpkg-deb", "--build", "-Znone", str(made), str(file)], check=True, capture_output=True)
    data = file.read_bytes()
    found = {"Filename": f"./{name}.deb", "Size": str(len(data)), "SHA256": sha256(data).hexdigest()}
    with (mirror / "Packages").open("a") as index:
        index.write(_stanza(about | fields | found) + "\n")


def _stanza(fields: dict[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


class SmallPackages:
    """Programs that are started while it is in use see the packages of a mirror, and none of this machine's."""

    def __init__(self, mirror: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = folder / "root"
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        options = [
            f"--root={self.root}",
            "--force-not-root",
            "--force-script-chrootless",
            "--force-unsafe-io",
            f"--log={folder}/dpkg.log",
        ]
        settings = {
            "Dir::Etc": f"{folder}/etc/",
            "Dir::State": f"{folder}/state/",
            "Dir::State::lists": f"{folder}/lists/",
            "Dir::State::status": f"{self.root}/var/lib/dpkg/status",
            "Dir::Cache": f"{folder}/cache/",
            "Dir::Log": f"{folder}/",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        text = "".join(f'{name} "{value}";\n' for name, value in settings.items())
        text += "DPkg::Options {" + "".join(f'"{one}";' for one in options) + "};\n"
        (folder / "apt.conf").write_text(text)
        (folder / "etc/sources.list").write_text(f"deb [trusted=yes] file:{mirror} ./\n")
        patch.setenv("APT_CONFIG", f"{folder}/apt.conf")
        patch.setenv("DPKG_ADMINDIR", f"{self.root}/var/lib/dpkg")

    def apt(self, *words: str) -> str:
        """Do as the administrator of the host."""
        done = subprocess.run(["apt-get", "-q", "-y", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def installed(self) -> set[str]:
        """Return what is installed."""
        argv = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]
        shown = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        return {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
