# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate_authority on the files of a small CA; OpenSSL judges its certificates and lists."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from support.authority import Room
from support.modules import run_module

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def run(capsys: Capsys, room: Room, **options: Any) -> dict[str, Any]:
    return run_module(capsys, "certificate_authority", path=str(room.path), **options)


def record(capsys: Capsys, room: Room, *names: str) -> dict[str, str]:
    made = {name: room.sign(name) for name in names}
    done = run(capsys, room, issued=[{"name": name, "certificate": pem} for name, pem in made.items()])
    assert not done["failed"], done
    return made


def trusted(found: dict[str, Any], certificate: str, folder: Path) -> bool:
    """Ask OpenSSL whether it accepts a certificate with what hosts get."""
    for name, text in (("bundle", found["bundle"]), ("lists", found["lists"]), ("it", certificate)):
        (folder / name).write_text(text)
    argv = ["openssl", "verify", "-crl_check_all", "-CAfile", "bundle", "-CRLfile", "lists", "it"]
    return subprocess.run(argv, cwd=folder, check=False, capture_output=True).returncode == 0


def test_a_revoked_host_is_refused_and_no_other(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    made = record(capsys, room, "edge1", "edge2")
    again = run(capsys, room)
    assert not again["changed"]
    assert all(trusted(again, pem, tmp_path) for pem in made.values())
    checked = run(capsys, room, revoked=["edge1"], check=True)
    assert not run(capsys, room)["changed"]
    done = run(capsys, room, revoked=["edge1"])
    assert checked["changed"] and checked["actions"] == done["actions"] and checked["authority"] == done["authority"]
    assert [trusted(done, made[name], tmp_path) for name in made] == [False, True]
    assert not run(capsys, room, revoked=["edge1"])["changed"]
    assert done["authority"]["issued"] == ["edge2"]


def test_openssl_finds_the_list_whatever_the_key_identifier_of_the_ca(capsys: Capsys, tmp_path: Path) -> None:
    room = Room(tmp_path, key_id=b"any other identifier")
    made = record(capsys, room, "edge1", "edge2")
    done = run(capsys, room, revoked=["edge1"])
    assert [trusted(done, made[name], tmp_path) for name in made] == [False, True]


def test_all_certificates_of_a_host_are_revoked(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    made = [record(capsys, room, "edge1")["edge1"] for _any in range(3)]
    done = run(capsys, room, revoked=["edge1"])
    assert not any(trusted(done, pem, tmp_path) for pem in made)


@pytest.mark.parametrize("name", ["edge9", "", "edge1.", "EDGE1", "../edge1"])
def test_a_name_that_the_ca_never_signed_for_is_an_error(capsys: Capsys, room: Room, name: str) -> None:
    record(capsys, room, "edge1", "edge2")
    done = run(capsys, room, revoked=[name])
    assert done["error"]["code"] == "not_found"
    assert "edge1, edge2" in done["msg"]


def test_the_key_of_a_revoked_host_gets_no_other_certificate(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    key = room.new_key()
    run(capsys, room, issued=[{"name": "edge1", "certificate": room.sign("edge1", key)}])
    run(capsys, room, revoked=["edge1"])
    for name in ("edge1", "edge2"):
        done = run(capsys, room, issued=[{"name": name, "certificate": room.sign(name, key)}])
        assert done["error"]["code"] == "refused"
    made = record(capsys, room, "edge1")
    assert trusted(run(capsys, room), made["edge1"], tmp_path), "installed again, with a new key"


def test_a_host_that_left_the_inventory_is_refused_until_it_is_back(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    made = record(capsys, room, "edge1", "edge2")
    assert run(capsys, room)["removed"] == []
    told = run(capsys, room, members=["edge1"])
    assert told["removed"] == ["edge2"] and not told["changed"]
    checked = run(capsys, room, members=["edge1"], hold_removed=True, check=True)
    done = run(capsys, room, members=["edge1"], hold_removed=True)
    assert done["removed"] == [] and checked["actions"] == done["actions"] and checked["authority"] == done["authority"]
    assert [trusted(done, made[name], tmp_path) for name in made] == [True, False]
    for options in ({}, {"members": ["edge1"]}, {"members": ["edge1"], "hold_removed": True}):
        assert not run(capsys, room, **options)["changed"]
    back = run(capsys, room, members=["edge1", "edge2"], hold_removed=True)
    assert back["authority"]["held"] == [] and all(trusted(back, pem, tmp_path) for pem in made.values())


@pytest.mark.parametrize(("names", "members"), [("abcd", "ab"), ("abcd", "a"), ("abc", "x"), ("ab", "x")])
def test_a_run_with_a_part_of_the_inventory_refuses_nobody(capsys: Capsys, room: Room, names: str, members: str) -> None:
    record(capsys, room, *names)
    done = run(capsys, room, members=list(members), hold_removed=True)
    assert done["error"]["code"] == "refused" and "pki_refuse_removed" in done["msg"]
    after = run(capsys, room, members=list(members))
    assert after["authority"]["issued"] == list(names) and not after["changed"]
    revoked = run(capsys, room, members=list(members), revoked=sorted(set(names) - set(members)), hold_removed=True)
    assert revoked["authority"]["held"] == [], "those that are revoked are not counted"


def test_a_host_that_left_can_be_revoked_for_ever(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    made = record(capsys, room, "edge1", "edge2")
    run(capsys, room, members=["edge1"], hold_removed=True)
    run(capsys, room, members=["edge1"], revoked=["edge2"])
    done = run(capsys, room, members=["edge1", "edge2"], hold_removed=True)
    assert not trusted(done, made["edge2"], tmp_path) and done["authority"]["revoked"] == ["edge2"]


def test_a_list_says_what_is_refused_for_a_time_and_its_number_grows(capsys: Capsys, room: Room) -> None:
    record(capsys, room, "edge1", "edge2", "edge3")
    wants: list[dict[str, Any]] = [
        {"members": ["edge1", "edge2"], "hold_removed": True},
        {"members": ["edge1", "edge2"], "hold_removed": True, "revoked": ["edge2"]},
        {"revoked": ["edge3"]},
        {"list_days": 8000},
    ]
    seen = []
    for options in wants:
        done = run(capsys, room, **options)
        assert done["actions"][-1] == "Sign the revocation list ca.crl."
        read = x509.load_pem_x509_crl(done["lists"].encode())
        held = [len(list(entry.extensions)) for entry in read]
        seen.append((read.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number, sorted(held)))
    assert [held for _number, held in seen] == [[1], [0, 1], [0, 0], [0, 0]]
    assert [number for number, _held in seen] == sorted({number for number, _held in seen}), "also within a second"


def test_a_host_without_the_newest_list_is_told_of(capsys: Capsys, room: Room) -> None:
    record(capsys, room, "edge1", "edge2")
    first = run(capsys, room)
    assert first["behind"] == ["edge1", "edge2"]
    assert run(capsys, room, members=["edge2", "edge3"])["behind"] == ["edge2"]
    assert run(capsys, room, delivered=["edge1", "edge2"], digest=first["digest"])["behind"] == []
    assert not run(capsys, room, delivered=["edge1"], digest=first["digest"])["changed"]
    assert run(capsys, room, revoked=["edge2"])["behind"] == ["edge1"]
    assert run(capsys, room, delivered=["edge1"], digest=first["digest"])["behind"] == ["edge1"], "the list of before"
    assert run(capsys, room, delivered=["edge1"])["error"]["code"] == "invalid_input"


def test_a_list_is_signed_again_at_half_of_its_life(capsys: Capsys, room: Room) -> None:
    run(capsys, room, list_days=10)
    assert not run(capsys, room, list_days=10)["changed"]
    done = run(capsys, room, list_days=3650)
    assert done["actions"] == ["Sign the revocation list ca.crl."]
    (room.path / "ca.crl").write_text("broken")
    assert run(capsys, room)["changed"]


def test_a_revocation_that_was_interrupted_is_completed(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    made = record(capsys, room, "edge1")
    (room.path / "revoked/edge1").mkdir(parents=True)
    for path in (room.path / "issued/edge1").iterdir():
        path.rename(room.path / "revoked/edge1" / path.name)  # and the power is gone
    assert not trusted(run(capsys, room), made["edge1"], tmp_path)


def test_hosts_of_both_cas_are_trusted_until_the_old_one_is_dropped(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    old = record(capsys, room, "edge1", "lost")
    run(capsys, room, revoked=["lost"])
    assert run(capsys, room, rotation="finished")["changed"] is False
    both = run(capsys, room, rotation="overlap")
    assert not run(capsys, room, rotation="overlap")["changed"]
    assert run(capsys, room, rotation="finished")["error"]["code"] == "refused"
    assert room.signer() == "edge.cloud internal CA"
    run(capsys, room, rotation="switched")
    assert not run(capsys, room, rotation="switched")["changed"] and not run(capsys, room, rotation="overlap")["changed"]
    assert room.signer() == "edge.cloud internal CA G2"
    new = record(capsys, room, "edge1")
    for found in (both, run(capsys, room)):
        assert trusted(found, old["edge1"], tmp_path) and trusted(found, new["edge1"], tmp_path)
        assert not trusted(found, old["lost"], tmp_path)
    done = run(capsys, room, rotation="finished")
    assert trusted(done, new["edge1"], tmp_path) and not trusted(done, old["edge1"], tmp_path)
    assert done["authority"] == {**done["authority"], "trusted": ["CN=edge.cloud internal CA G2"], "rotating": False}


@pytest.mark.parametrize("renamed", [(), ("key",), ("key", "crl")])
def test_a_switch_that_was_interrupted_is_completed(capsys: Capsys, room: Room, tmp_path: Path, renamed: tuple[str, ...]) -> None:
    old = record(capsys, room, "edge1")
    run(capsys, room, rotation="overlap")
    for part in ("key", "crl", "crt"):
        (room.path / f"previous.{part}").write_bytes((room.path / f"ca.{part}").read_bytes())
    for part in renamed:
        (room.path / f"next.{part}").rename(room.path / f"ca.{part}")
    run(capsys, room, rotation="switched")
    new = record(capsys, room, "edge1")
    found = run(capsys, room)
    assert trusted(found, old["edge1"], tmp_path) and trusted(found, new["edge1"], tmp_path)


def test_a_certificate_of_another_ca_is_refused(capsys: Capsys, room: Room, tmp_path: Path) -> None:
    other = Room(tmp_path / "other", "another CA")
    done = run(capsys, room, issued=[{"name": "edge1", "certificate": other.sign("edge1")}])
    assert done["error"]["code"] == "conflict"
    assert run(capsys, room, issued=[{"name": "edge1", "certificate": "none"}])["error"]["code"] == "invalid_input"
    assert run(capsys, room, issued=[{"name": "../x", "certificate": room.sign("x")}])["error"]["code"] == "invalid_input"


def test_without_a_ca_it_says_so(capsys: Capsys, tmp_path: Path) -> None:
    done = run_module(capsys, "certificate_authority", path=str(tmp_path / "none"))
    assert done["error"]["code"] == "not_found"
    assert not (tmp_path / "none").exists()


def test_the_times_of_a_list_forgive_a_slow_clock(capsys: Capsys, room: Room) -> None:
    found = x509.load_pem_x509_crl(run(capsys, room)["lists"].encode())
    assert found.next_update_utc is not None
    assert (found.next_update_utc - found.last_update_utc).days == 3651
