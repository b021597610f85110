# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook's way of an image to the image datastore on one machine: real ansible-playbook, curl, nginx and import."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.images import qcow2
from support.local_play import local_play, printed
from support.processes import TREE
from support.role_server import Server, role_server

TASKS = TREE / "playbooks/tasks/send_image.yml"
HEX = "a" * 64
HOSTILE: list[tuple[Any, Any]] = [
    (f"sha256:../../{HEX[:58]}", 5), (f"sha256:{HEX}/../../x", 5), (f"sha256:{HEX}\n", 5), ("sha256:", 5), (None, 5), ([HEX], 5),
    (f"sha256:{HEX}", "5/../../x"), (f"sha256:{HEX}", "5\n"), (f"sha256:{HEX}", -1), (f"sha256:{HEX}", 0), (f"sha256:{HEX}", None),
    (f"sha256:{HEX}", 10**16), (f"sha256:{HEX}", True),
]  # fmt: skip


FLIP = """f=$(echo {}/*.qcow2); printf '\\377' | dd of="$f" bs=1 seek=$(( $(stat -c %s "$f") - 1 )) conv=notrunc"""


def sending(made: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the task that sends an image of which the hypervisor says this."""
    usual = {"made": {"image": made}, "frontend": "localhost", "name": "a", "version": "1"}
    return {
        "ansible.builtin.include_tasks": {"file": str(TASKS)},
        "vars": {f"save_image_{key}": value for key, value in {**usual, **variables}.items()},
    }


def test_what_a_hostile_hypervisor_says_reaches_no_path(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    counted = {"ansible.builtin.set_fact": {"refused": "{{ refused | default([]) + [ansible_failed_result.msg] }}"}}
    tasks = [
        {"block": [sending({"digest": digest, "size": size}, incoming=str(incoming), datastore="/none")], "rescue": [counted]}
        for digest, size in HOSTILE
    ]
    tasks += [{"ansible.builtin.debug": {"msg": "{{ refused }}"}}]
    done = local_play(tmp_path, {"tasks": tasks})
    assert done.returncode == 0, done.stdout + done.stderr
    refused = dict(printed(done))["localhost"]
    assert len(refused) == len(HOSTILE) and all("Nothing was sent." in why for why in refused), refused
    assert list(incoming.iterdir()) == []


@pytest.fixture
def server() -> Iterator[Server]:
    if os.geteuid() != 0 or not Path("/usr/sbin/nginx").exists():
        pytest.skip("needs root and nginx")
    with tempfile.TemporaryDirectory(prefix="edge-send-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        (folder / "incoming/edge-slots/body").mkdir(parents=True)
        (folder / "incoming/edge-slots").chmod(0o711)
        shutil.chown(folder / "incoming/edge-slots/body", "www-data")
        more = {"wanted": "", "readers": [], "requesters": [], "connections": 4}
        with role_server(folder, ["localhost"], "www-data", incoming=folder / "incoming", senders=["localhost"], **more) as found:
            pair = found.pairs["localhost"]
            shutil.copy(pair.cert, folder / "host.crt")
            shutil.copy(pair.key, folder / "host.key")
            shutil.copy(found.authority.ca_file, folder / "ca.crt")
            yield found


def curl_of_the_playbook(pki: Path, image: Path, url: str) -> list[str]:
    """Return the command by which the playbook sends an image."""
    block = next(task["block"] for task in yaml.safe_load(TASKS.read_text()) if "block" in task)
    argv = next(task["ansible.builtin.command"]["argv"] for task in block if task["name"] == "Send it")
    parts = {"{{ save_image_pki }}": str(pki), "{{ save_image_root }}/{{ save_image_hex }}.qcow2": str(image)}
    parts |= {"{{ save_image_url }}": url, "{{ save_image_seconds }}": "600"}
    for old, new in {**parts, "{{ save_image_hex }}": HEX}.items():
        argv = [word.replace(old, new) for word in argv]
    return [str(word) for word in argv]


IN_A_SYSTEM_THAT_TRUSTS = 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"'


def test_the_cas_of_the_system_are_not_trusted(server: Server) -> None:
    folder, trusted = server.folder, server.folder / "trusted"
    trusted.mkdir()
    named = ["openssl", "x509", "-hash", "-noout", "-in", folder / "ca.crt"]
    found = subprocess.run(named, capture_output=True, text=True, check=True).stdout
    shutil.copy(folder / "ca.crt", trusted / f"{found.strip()}.0")
    image, url = qcow2(folder / "a.qcow2", 1), f"https://127.0.0.1:{server.port}"
    own = curl_of_the_playbook(folder, image, url)
    assert "No slot is open" in subprocess.run(own, capture_output=True, text=True, check=False).stdout
    other = folder / "other"
    other.mkdir()
    made = ["openssl", "req", "-x509", "-newkey", "ed25519", "-noenc", "-keyout", other / "ca.key", "-out", other / "ca.crt"]
    subprocess.run([*made, "-subj", "/CN=another CA"], capture_output=True, check=True)
    for name in ("host.crt", "host.key"):
        shutil.copy(folder / name, other / name)
    wrapped = ["unshare", "--mount", "sh", "-c", IN_A_SYSTEM_THAT_TRUSTS, "sh", str(trusted)]
    done = subprocess.run([*wrapped, *curl_of_the_playbook(other, image, url)], capture_output=True, text=True, check=False)
    assert done.returncode == 60, done


@pytest.mark.slow  # a lab test sends one, too
def test_an_image_arrives_whole_or_not_at_all(server: Server) -> None:
    folder = server.folder
    (folder / "cache").mkdir()
    image = {"name": "a", "version": "1", "root": str(folder / "cache"), "source": str(qcow2(folder / "a.qcow2", 1))}
    made = {"edge.cloud.datastore_image": image, "register": "found"}
    where = {"incoming": folder / "incoming", "url": f"https://127.0.0.1:{server.port}", "pki": folder, "root": folder / "cache",
             "datastore": folder / "store", "retries": 1}  # fmt: skip
    variables = {key: str(value) for key, value in where.items()}
    task = sending({"digest": "{{ found.image.digest }}", "size": "{{ found.image.size }}"}, **variables)

    def run(before: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return local_play(folder, {"tasks": [made, before, task]})

    bad = run({"ansible.builtin.shell": FLIP.format(folder / "cache")})
    assert bad.returncode != 0 and "is expected; it was not imported" in bad.stdout, bad.stdout
    assert [one.name for one in (folder / "incoming/edge-slots").iterdir() if one.is_dir()] == ["body"]
    assert list((folder / "store").glob("*.qcow2")) == []
    shutil.rmtree(folder / "cache")
    # An earlier run was killed when the image had arrived, and its slot was closed.
    slot = f"{folder}/incoming/edge-slots/localhost.{{{{ found.image.digest[7:] }}}}.{{{{ found.image.size }}}}"
    arrived = {"ansible.builtin.shell": f"mkdir -m 700 {slot} && cp {folder}/cache/*.qcow2 {slot}/image && chmod 600 {slot}/image"}
    good = run(arrived)
    assert good.returncode == 0, good.stdout + good.stderr
    assert [one.name for one in (folder / "incoming/edge-slots").iterdir() if one.is_dir()] == ["body"]
    (kept,) = (folder / "store").glob("*.qcow2")
    assert kept.read_bytes() == (folder / f"cache/{kept.name}").read_bytes()
