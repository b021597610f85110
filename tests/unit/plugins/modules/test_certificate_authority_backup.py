# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA that is restored of its backup signs and refuses as the first one did; a backup that is older lets nobody in again."""

from __future__ import annotations

import base64
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from support.authority import Room
from support.modules import run_module
from support.processes import TREE

Capsys = pytest.CaptureFixture[str]
BACKUP = "certificate_authority_backup"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def authority(capsys: Capsys, path: Path, **options: Any) -> dict[str, Any]:
    done = run_module(capsys, "certificate_authority", path=str(path), **options)
    assert not done["failed"], done
    return done


def sign(capsys: Capsys, room: Room, *names: str) -> dict[str, str]:
    made = {name: room.sign(name) for name in names}
    authority(capsys, room.path, issued=[{"name": name, "certificate": pem} for name, pem in made.items()])
    return made


def save(capsys: Capsys, path: Path) -> str:
    done = run_module(capsys, BACKUP, path=str(path))
    assert not done["failed"] and not done["changed"], done
    return str(done["backup"])


def restore(capsys: Capsys, path: Path, text: str, **options: Any) -> dict[str, Any]:
    return run_module(capsys, BACKUP, path=str(path), restore=text, **options)


def files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return all files of a CA with their modes and times, which are those of revocations, but the mark of a restored one."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "restored":
            about = path.stat()
            found[str(path.relative_to(folder))] = (path.read_bytes(), stat.S_IMODE(about.st_mode), int(about.st_mtime))
    return found


def test_the_restored_ca_is_the_same(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1", "edge2", "edge3")
    authority(capsys, room.path, revoked=["edge1"], members=["edge1", "edge2"], hold_removed=True)
    authority(capsys, room.path, rotation="overlap")
    (room.path / "ca.key").chmod(0o600)
    text, other = save(capsys, room.path), tmp_path / "new/pki/ca"
    assert save(capsys, room.path) == text, "the same CA makes the same backup"
    checked = restore(capsys, other, text, check=True)
    assert checked["changed"] and not other.exists() and not other.parent.exists()
    done = restore(capsys, other, text)
    assert done["changed"] and done["actions"] == checked["actions"] and done["authority"] == checked["authority"]
    assert files(other) == files(room.path) and stat.S_IMODE(other.stat().st_mode) == 0o700
    assert [one.name for one in other.parent.iterdir()] == ["ca"], "nothing else is left"
    assert not restore(capsys, other, text)["changed"]
    assert not authority(capsys, other)["changed"]
    assert restore(capsys, other, text)["authority"]["revoked"] == ["edge1"]


def test_tar_itself_restores_it(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1")
    (room.path / "ca.key").chmod(0o600)
    (tmp_path / "other").mkdir()
    archive = base64.b64decode(save(capsys, room.path))
    tar = ["tar", "--extract", "--same-permissions", "--directory", tmp_path / "other"]
    subprocess.run(tar, input=archive, check=True)
    assert files(tmp_path / "other/ca") == files(room.path)
    packed = subprocess.run(["tar", "--create", "--directory", tmp_path, "ca"], capture_output=True, check=True).stdout
    done = restore(capsys, tmp_path / "third", base64.b64encode(packed).decode())
    assert done["changed"], "a backup made by tar is taken, too"


def test_nothing_is_replaced(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    text = save(capsys, room.path)
    sign(capsys, room, "edge1")
    now = files(room.path)
    done = restore(capsys, room.path, text)
    assert done["error"]["code"] == "conflict" and "is not empty" in done["msg"]
    assert files(room.path) == now
    for name in ("half", "link"):
        place = tmp_path / name
        place.mkdir() if name == "half" else place.symlink_to(room.path)
        if name == "half":
            (place / "ca.key").write_text("of another CA")
        assert restore(capsys, place, text)["error"]["code"] == "conflict"
    assert (tmp_path / "half/ca.key").read_text() == "of another CA" and files(room.path) == now
    (tmp_path / "empty").mkdir()
    assert restore(capsys, tmp_path / "empty", text)["changed"]


def archive_of(**entries: bytes | None) -> str:
    """Return an archive with these files, or links where there is None."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            if data is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/shadow"
            entry.size = len(data or b"")
            archive.addfile(entry, io.BytesIO(data or b""))
    return base64.b64encode(made.getvalue()).decode()


def test_a_bad_backup_makes_nothing(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    good = save(capsys, room.path)
    pair = {f"ca/ca.{part}": (room.path / f"ca.{part}").read_bytes() for part in ("crt", "key")}
    other = (Room(tmp_path / "other").path / "ca.key").read_bytes()
    bad = {
        "no Base64": "$ANSIBLE_VAULT;1.1;AES256\n6162",
        "empty": "",
        "cut": base64.b64encode(base64.b64decode(good)[:700]).decode(),
        "no key": archive_of(**{"ca/ca.crt": pair["ca/ca.crt"]}),
        "another key": archive_of(**{**pair, "ca/ca.key": other}),
        "no key in it": archive_of(**{**pair, "ca/ca.key": b"x"}),
        "a path out": archive_of(**pair, **{"ca/../../evil": b"x"}),
        "an absolute path": archive_of(**pair, **{"/etc/evil": b"x"}),
        "a name out": archive_of(**pair, **{"ca/issued/../x.crt": b"x"}),
        "a link": archive_of(**pair, **{"ca/ca.crl": None}),
        "no certificate": archive_of(**pair, **{f"ca/issued/edge1/{'a' * 32}.crt": b"x"}),
    }
    for why, text in bad.items():
        place = tmp_path / "place"
        done = restore(capsys, place, text)
        assert done["failed"] and done["error"]["code"] == "invalid_input", (why, done)
        assert not place.exists() and not list(tmp_path.glob(".place*")), why


def test_a_broken_ca_is_not_backed_up(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    shutil.copy(Room(tmp_path / "other").path / "ca.key", room.path / "ca.key")
    done = run_module(capsys, BACKUP, path=str(room.path))
    assert "is not that of its certificate" in done["msg"]
    assert run_module(capsys, BACKUP, path=str(tmp_path / "none"))["error"]["code"] == "not_found"


def test_an_older_backup_lets_nobody_in_again(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1", "edge2")
    old = save(capsys, room.path)
    known = authority(capsys, room.path, revoked=["edge1"])["lists"]
    done = restore(capsys, tmp_path / "a", old, lists=[known, "", known])
    assert done["authority"]["revoked"] == ["edge1"] and len(done["actions"]) == 2, done
    assert authority(capsys, tmp_path / "a")["authority"]["issued"] == ["edge2"]
    sign(capsys, room, "edge3")
    later = authority(capsys, room.path, revoked=["edge3"])["lists"]
    done = restore(capsys, tmp_path / "b", old, lists=[known, later])
    assert done["error"]["code"] == "refused" and not (tmp_path / "b").exists()
    assert restore(capsys, tmp_path / "b", old, lists=[later], allow_forgotten=True)["authority"]["revoked"] == ["edge1"]
    foreign = Room(tmp_path / "foreign")
    sign(capsys, foreign, "edge2")
    lies = authority(capsys, foreign.path, revoked=["edge2"])["lists"]
    assert restore(capsys, tmp_path / "c", old, lists=[lies, "none"])["authority"]["revoked"] == [], "only this CA's lists count"


def passed(lists: str) -> None:
    """Wait until the clock has passed the number of a list, which is the second in which it was signed or a later one."""
    number = x509.load_pem_x509_crl(lists.encode()).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    while time.time() <= number + 1:
        time.sleep(0.05)


def test_a_list_that_is_older_than_the_backup_refuses_nobody(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1", "edge2", "edge3")
    away = authority(capsys, room.path, members=["edge1", "edge3"], hold_removed=True)["lists"]
    back = authority(capsys, room.path, members=["edge1", "edge2", "edge3"], hold_removed=True)
    assert back["authority"]["held"] == [], "edge2 was away for a time"
    text = save(capsys, room.path)
    for lists in ([away], [away, back["lists"]]):
        place = tmp_path / str(len(lists))
        done = restore(capsys, place, text, lists=lists)
        assert done["authority"]["issued"] == ["edge1", "edge2", "edge3"] and len(done["actions"]) == 1, done
    gone = authority(capsys, room.path, members=["edge1", "edge2"], hold_removed=True)["lists"]
    there = authority(capsys, room.path, members=["edge1", "edge2", "edge3"], hold_removed=True, revoked=["edge1"])["lists"]
    done = restore(capsys, tmp_path / "newest", text, lists=[there, gone, away])
    assert done["authority"]["revoked"] == ["edge1"] and done["authority"]["issued"] == ["edge2", "edge3"], done


def test_what_was_held_after_the_backup_is_held_and_what_was_revoked_stays_so(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1", "edge2", "edge3")
    authority(capsys, room.path, members=["edge2", "edge3"], hold_removed=True)
    text = save(capsys, room.path)
    authority(capsys, room.path, members=["edge3"], hold_removed=True)
    lists = authority(capsys, room.path, revoked=["edge1"], members=["edge3"], hold_removed=True)["lists"]
    done = restore(capsys, tmp_path / "a", text, lists=[lists])
    assert (done["authority"]["held"], done["authority"]["revoked"]) == (["edge2"], ["edge1"]), done
    after = authority(capsys, tmp_path / "a", members=["edge1", "edge2", "edge3"])["authority"]
    assert (after["issued"], after["revoked"]) == (["edge2", "edge3"], ["edge1"])


def test_a_later_run_takes_only_what_the_earlier_one_did_not_see(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1", "edge2", "edge3")
    text, place, everyone = save(capsys, room.path), tmp_path / "a", ["edge1", "edge2", "edge3"]
    seen = authority(capsys, room.path, members=["edge2", "edge3"], hold_removed=True)["lists"]
    unseen = authority(capsys, room.path, members=everyone, revoked=["edge3"])["lists"]
    passed(unseen)
    assert restore(capsys, place, text, lists=[seen])["authority"]["held"] == ["edge1"]
    own = authority(capsys, place)["lists"]
    again = restore(capsys, place, text, lists=[seen, own])
    assert not again["changed"] and again["authority"]["held"] == ["edge1"], again
    assert authority(capsys, place, members=everyone)["authority"]["issued"] == everyone
    assert not restore(capsys, place, text, lists=[seen, own])["changed"], "edge1 was admitted again since"
    before = files(place)
    checked = restore(capsys, place, text, lists=[seen, unseen, own], check=True)
    assert checked["changed"] and files(place) == before
    late = restore(capsys, place, text, lists=[seen, unseen, own])
    assert late["actions"] == checked["actions"] and late["authority"] == checked["authority"]
    assert (late["authority"]["issued"], late["authority"]["revoked"]) == (["edge1", "edge2"], ["edge3"])
    assert not restore(capsys, place, text, lists=[seen, unseen, own])["changed"]
    assert restore(capsys, place, save(capsys, room.path))["error"]["code"] == "conflict", "it is not of that backup"
    assert restore(capsys, tmp_path / "b", save(capsys, place))["changed"]
    assert (tmp_path / "b/restored").read_text() != (place / "restored").read_text(), "a mark is in no backup"


def playbook(folder: Path, name: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    words = [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
    return subprocess.run(
        [program, "-vvv", "--diff", "-i", "localhost,", "-c", "local", "-e", "pki_ca_host=localhost", *words,
         TREE / f"playbooks/{name}.yml"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE / "collections"), "ANSIBLE_HOME": str(folder / "home"),
             "ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow  # it runs Ansible several times
@pytest.mark.skipif(not Path("/usr/lib/python3/dist-packages/cryptography").exists(), reason="no python3-cryptography here")
def test_the_playbooks_keep_and_restore_it(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    sign(capsys, room, "edge1", "edge2")
    kept, pki = tmp_path / "kept.vault", tmp_path / "pki"
    pki.mkdir()
    old = {"backup_ca_file": kept, "backup_ca_passphrase": "c4n4ry", "pki_ca_dir": room.path}
    done = playbook(tmp_path, "backup_ca", **old)
    assert done.returncode == 0, done.stdout + done.stderr
    (pki / "crl.pem").write_text(authority(capsys, room.path, revoked=["edge1"])["lists"])
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and kept.read_text().startswith("$ANSIBLE_VAULT;")
    nobody = playbook(tmp_path, "backup_ca", **{**old, "pki_ca_host": "elsewhere"})
    assert nobody.returncode != 0 and "it has to be a host of the inventory" in nobody.stdout
    again = playbook(tmp_path, "backup_ca", **old)
    assert again.returncode != 0 and "A backup never replaces another one" in again.stdout
    plain = playbook(tmp_path, "backup_ca", backup_ca_file=tmp_path / "plain", pki_ca_dir=room.path)
    assert plain.returncode == 0 and "NOT encrypted" in plain.stdout
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o600

    new = {"restore_ca_file": kept, "pki_ca_dir": pki / "ca", "pki_dir": pki}
    for words, why in (({}, "the passphrase that backup_ca had"), ({"restore_ca_passphrase": "wrong"}, "ecrypt")):
        refused = playbook(tmp_path, "restore_ca", **new, **words)
        assert refused.returncode != 0 and why in refused.stdout and not (pki / "ca").exists(), refused.stdout
    good = playbook(tmp_path, "restore_ca", **new, restore_ca_passphrase="c4n4ry")
    assert good.returncode == 0, good.stdout + good.stderr
    assert authority(capsys, pki / "ca")["authority"]["revoked"] == ["edge1"]
    twice = playbook(tmp_path, "restore_ca", **new, restore_ca_passphrase="c4n4ry")
    assert twice.returncode == 0 and "changed=0" in twice.stdout, twice.stdout
    secret = (room.path / "ca.key").read_text().splitlines()[1]
    for run in (done, plain, good, twice):
        assert secret not in run.stdout + run.stderr
        for line in base64.b64encode((room.path / "ca.key").read_bytes()).decode()[24:].split():
            assert line[:40] not in run.stdout + run.stderr
