# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take over every domain of libvirt's own collection of XML, with nothing asked, and list what that changed.

The collection is in the source package of libvirt (tests/qemuxml2xmloutdata), which apt downloads into build/corpus; a copy that
is there is used again. Exit code 0 only if no domain changed. Usage: libvirt_corpus.py [--only TEXT] [--lines N]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError
from support.adoption import adopt, differences

TREE = Path(__file__).resolve().parents[2]
FOLDER = TREE / "build/corpus"
RELEASE = "bookworm"
MIRRORS = ("apt-get", "indextargets", "--format", "$(SITE)", "Identifier: Packages", "Label: Debian", "Component: main")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DATA = ("tests/qemuxml2xmloutdata/", "tests/qemuxml2argvdata/")  # the first has links into the second


def main() -> int:
    """Return 0 if all domains stayed as they were, 1 if one did not, or where there is nothing to try."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only files whose name has this text")
    parser.add_argument("--lines", type=int, default=12, help="how many differences of a file are shown")
    asked = parser.parse_args()
    if mirror() is None:
        print("skipped: libvirt's source package is downloaded with apt, from this machine's Debian mirror; it has none")
        return 0
    files = [path for path in sorted(unpacked().glob("*.xml")) if asked.only in path.name]
    domains = {path.name: path.read_text() for path in files if "<domain" in path.read_text()}
    changed = {name: found for name, text in domains.items() if (found := changes(text))}
    for name, found in changed.items():
        print(f"{name}:", *found[: asked.lines], sep="\n   ")
    print(f"{len(domains) - len(changed)} of {len(domains)} domains of libvirt are as they were once they were taken over")
    return 0 if domains and not changed else 1


def changes(text: str) -> list[str]:
    """Return what taking a domain over changed, and what taking it over again did."""
    before = parse_xml(text)
    try:
        once = adopt(before)
        twice = adopt(once)
    except EdgeError as error:
        return [f"refused: {error}"]
    return differences(before, once) or [f"again: {line}" for line in differences(once, twice)]


def mirror() -> str | None:
    """Return the first Debian mirror that this machine's apt has lists of, None without one."""
    if shutil.which("apt-get") is None or not KEYRING.exists():
        return None
    found = subprocess.run(MIRRORS, check=True, capture_output=True, text=True).stdout.split()
    return found[0] if found else None


def unpacked() -> Path:
    """Return the folder of domains, after downloading and unpacking what is missing."""
    done = FOLDER / "data"
    if not done.exists():
        work = FOLDER / "new"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        patterns = [f"*/{folder}*" for folder in DATA]
        subprocess.run(["tar", "--extract", "--file", download(), "--directory", work, "--wildcards", *patterns], check=True)
        work.rename(done)
    return next(done.glob(f"*/{DATA[0]}"))


def download() -> Path:
    """Return the archive of libvirt's source, which apt fetches and proves; the machine's own lists stay as they are."""
    for folder in ("lists/partial", "cache/archives/partial", "source"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    (FOLDER / "sources.list").write_text(f"deb-src [signed-by={KEYRING}] {mirror()} {RELEASE} main\n")
    places = {
        "Dir::Etc::sourcelist": FOLDER / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": FOLDER / "lists",
        "Dir::Cache": FOLDER / "cache", "APT::Sandbox::User": "root",
    }  # fmt: skip
    options = [word for name, place in places.items() for word in ("-o", f"{name}={place}")]
    for words in (["update"], ["source", "--download-only", "libvirt"]):
        if subprocess.run(["apt-get", "-qq", *options, *words], cwd=FOLDER / "source", check=False).returncode:
            sys.exit(f"corpus: apt-get {' '.join(words)} failed; its words are above.")
    return next((FOLDER / "source").glob("libvirt_*.orig.tar.*[!c]"))


if __name__ == "__main__":
    sys.exit(main())
