# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's parts that decide, without a host."""

from __future__ import annotations

import ipaddress
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from edge_lab import inherit, machine, seed
from edge_lab.api import LabError
from edge_lab.base import Recipe
from edge_lab.command import run
from edge_lab.files import write_atomic
from edge_lab.hosts import Host, Spec, check_name
from edge_lab.lifecycle import check_bind
from edge_lab.network import rules
from edge_lab.settings import Settings
from edge_lab.shaping import Slow

SETTINGS = Settings("lab", Path("/var/cache/edge-lab"), ipaddress.IPv4Network("198.18.0.0/24"), "")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (("100mbit", "20ms", "1%"), Slow(100_000_000, 0.02, 0.01)),
        (("1.5gbit", None, None), Slow(1_500_000_000, 0, 0)),
        ((None, "250us", None), Slow(0, 0.00025, 0)),
        ((None, "1s", "0.5%"), Slow(0, 1.0, 0.005)),
    ],
)
def test_slowness_is_read(given: tuple[str | None, str | None, str | None], meant: Slow) -> None:
    assert Slow.parse(*given) == meant


@pytest.mark.parametrize(
    "given",
    [(None, None, None), ("100", None, None), ("fast", None, None), (None, "20", None), (None, None, "100%"), ("0bit", None, None)],
)
def test_wrong_slowness_is_refused(given: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(LabError, match="slow: "):
        Slow.parse(*given)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('Acquire::http::Proxy "http://192.0.2.1:3128";\n', True),
        ('// a word\nAcquire { Check-Date "false"; http { Proxy "DIRECT"; }; };\n', True),
        ('Acquire::Retries "3";\nDPkg::Post-Invoke { "rm -f /x"; };\n', False),
        ("# nothing\n", False),
        ('APT::Install-Recommends "0";\n', False),
    ],
)
def test_only_settings_of_fetching_are_inherited(text: str, taken: bool) -> None:
    assert inherit._only_acquires(text) is taken


def test_pip_folders_bring_the_parent_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror/simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nextra-index-url = file://{tmp_path}/mirror/simple https://index.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path}/wheels {tmp_path}/missing")
    found = inherit.pip_folders()
    assert f"{tmp_path}/mirror" in found
    assert f"{tmp_path}/wheels" in found
    assert f"{tmp_path}/missing" not in found


def test_the_hosts_block_is_replaced_and_the_rest_kept() -> None:
    first = seed._with_block("127.0.0.1 localhost\n", f"{seed.BEGIN}\n198.18.0.11 a\n{seed.END}")
    assert first == f"127.0.0.1 localhost\n{seed.BEGIN}\n198.18.0.11 a\n{seed.END}\n"
    edited = f"{first}192.0.2.1 mine\n"
    second = seed._with_block(edited, f"{seed.BEGIN}\n198.18.0.12 b\n{seed.END}")
    assert second == edited.replace("198.18.0.11 a", "198.18.0.12 b")


def test_a_recipe_is_named_by_all_that_goes_in() -> None:
    recipe = Recipe("trixie", "minimal", packages=("a",))
    same = Recipe("trixie", "minimal", packages=("a",))
    others = [
        Recipe("trixie", "minimal", packages=("a", "b")),
        Recipe("trixie", "minimal", mirror="http://mirror.example/debian", packages=("a",)),
        Recipe("trixie", "minimal", packages=("a",), certificates={"ca.crt": "x"}),
        Recipe("trixie", "minimal", packages=("a",), apt={"50x": "x"}),
    ]
    assert recipe.name == same.name
    assert len({recipe.name, *(other.name for other in others)}) == 5


def test_cuts_drop_both_ways_and_only_those() -> None:
    hosts = [Host(SETTINGS, Spec(f"h{index}", index, "trixie", "minimal", "", "")) for index in (11, 12, 13)]
    text = rules(SETTINGS, hosts, [("h11", "h12"), ("h13", None)])
    assert 'iifname "vb-lab-011" oifname "vb-lab-012" drop' in text
    assert 'iifname "vb-lab-012" oifname "vb-lab-011" drop' in text
    assert '  iifname "vb-lab-013" drop' in text
    assert '  oifname "vb-lab-013" drop' in text
    assert '  iifname "vb-lab-011" drop' not in text


@pytest.mark.parametrize("name", ["", "Host", "1host", "a_b", "a-", "../x", "a b", "localhost", "x" * 64])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(LabError, match="host name"):
        check_name(name)


@pytest.mark.parametrize("bind", ["/tmp", "tmp:/mnt", "/tmp:mnt", "/tmp:/mnt:rx", "/nowhere:/mnt"])
def test_binds_that_are_none_are_refused(bind: str) -> None:
    with pytest.raises(LabError, match="bind"):
        check_bind(bind)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EDGE_LAB", "Lab"),
        ("EDGE_LAB", "muchtoolong"),
        ("EDGE_LAB_SUBNET", "198.18.0.1/24"),
        ("EDGE_LAB_SUBNET", "198.18.0.0/30"),
        ("EDGE_LAB_DIR", "relative"),
        ("EDGE_LAB_DIR", "/with:colon"),
    ],
)
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(LabError, match=variable):
        Settings.from_environment()


def test_the_machines_settings_come_back_with_the_last_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    low.write_text("0\n")
    high.write_text("9\n")
    monkeypatch.setattr(machine, "WANTED", {str(low): 1, str(high): 5})
    monkeypatch.setattr(machine, "STATE", tmp_path / "state.json")
    monkeypatch.setattr(machine, "LOCK", tmp_path / "lock")
    for lab in ("one", "two", "one"):
        machine.acquire(lab)
    assert (low.read_text(), high.read_text()) == ("1\n", "9\n")
    machine.release("one")
    assert low.read_text() == "1\n"
    machine.release("two")
    assert (low.read_text(), high.read_text()) == ("0\n", "9\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["high", "low"]


def test_a_setting_that_someone_else_changed_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = tmp_path / "value"
    value.write_text("0\n")
    monkeypatch.setattr(machine, "WANTED", {str(value): 5})
    monkeypatch.setattr(machine, "STATE", tmp_path / "state.json")
    monkeypatch.setattr(machine, "LOCK", tmp_path / "lock")
    machine.acquire("one")
    value.write_text("7\n")
    machine.release("one")
    assert value.read_text() == "7\n"


def test_threads_of_one_process_replace_one_file_side_by_side(tmp_path: Path) -> None:
    file, texts = tmp_path / "hosts", [f"{number}\n" * 1000 for number in range(800)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_atomic(file, text), texts))
    assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize("seeded", [True, False])
def test_hosts_that_are_being_made_or_removed_are_not_touched(tmp_path: Path, seeded: bool) -> None:
    settings = Settings("parts", tmp_path, SETTINGS.subnet, "")
    host = Host(settings, Spec("h1", 11, "trixie", "plain", "base", "0" * 32))
    host.root.mkdir(parents=True)
    host.save(seeded=seeded)
    run(["mount", "-t", "tmpfs", "edge-lab", str(host.root)])
    try:
        (host.root / "etc").mkdir()
        (host.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        seed.write_hosts(settings)
        assert ("h1" in (host.root / "etc/hosts").read_text()) is seeded
    finally:
        run(["umount", str(host.root)])
