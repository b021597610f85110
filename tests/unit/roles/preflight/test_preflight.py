# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight program, run as users run it: each problem named, with what to do, and nothing invented."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.netspace import ip, netspace
from support.waiting import until

PROGRAM = Path(__file__).resolve().parents[4] / "roles/preflight/files/preflight"


def preflight(*arguments: str, path: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Return the problems; another apt of this machine, which would be one, is waited for."""
    found: dict[str, list[dict[str, str]]] = {}

    def alone() -> bool:
        found.clear()
        found.update(_preflight(arguments, path))
        return "another apt" not in json.dumps(found.get("apt", []))

    until(alone, "the end of another apt", every=1)
    return found


def _preflight(arguments: tuple[str, ...], path: str | None) -> dict[str, list[dict[str, str]]]:
    environment = {**os.environ, **({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})}
    done = subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode in (0, 3), done.stderr
    found: dict[str, list[dict[str, str]]] = {}
    for problem in json.loads(done.stdout)["problems"]:
        found.setdefault(problem["check"], []).append(problem)
    assert (done.returncode == 3) is bool(found)
    return found


def program(folder: Path, name: str, text: str) -> str:
    """Put a program called ``name`` before the real one, as a broken machine would have it."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(folder)


@pytest.fixture(scope="module")
def route() -> dict[str, str]:
    """A network route of this machine."""
    found = json.loads(subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=True).stdout)
    return next((row for row in found if "/" in row["dst"]), {})


@pytest.fixture(scope="module")
def wrong(route):
    """The problems of a machine on which all is in use, by what is told of each, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asked = [f"--port={port}", "--disk-gib=1000000", "--memory-mib=100000000", "--bridge=lo", "--network=none-such"]
        asked += ["--package=no-such-package-anywhere", *([f"--subnet={route['dst']}"] if route else [])]
        return {**preflight(*asked), "used": port}


@pytest.fixture(scope="module")
def right():
    """The problems of this machine with a port and an address range that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return preflight(f"--port={port}", "--subnet", "203.0.113.240/30")


def test_a_port_in_use_is_named(wrong):
    (problem,) = wrong["port"]
    assert str(wrong["used"]) in problem["found"]
    assert "another port" in problem["do"]


def test_a_free_port_and_address_range_are_no_problem(right):
    assert not {"port", "address range"} & set(right)


def test_disk_and_memory_say_how_much_is_there_and_needed(wrong):
    assert "GiB free" in wrong["disk"][0]["found"]
    assert "1e+06" in wrong["disk"][0]["do"]
    assert "100000000 MiB" in wrong["memory"][0]["do"]


def test_an_address_range_in_use_is_named(wrong, route):
    if not route:
        pytest.skip("this machine has no network route")
    (problem,) = wrong["address range"]
    assert route["dev"] in problem["found"]
    assert "quickstart_subnet" in problem["do"]


def address_range(subnet: str) -> list[tuple[str, str]]:
    """What the program finds of ``subnet`` alone, in this process."""
    check = runpy.run_path(str(PROGRAM))["check_subnet"]
    return list(check(argparse.Namespace(subnet=subnet, bridge="edgebr0")))


HALVES = ("0.0.0.0/1", "128.0.0.0/1")


@pytest.mark.parametrize(
    ("parts", "subnet"),
    [
        (HALVES, "10.77.0.0/24"),
        (("0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"), "172.29.77.0/24"),
        (("::/1", "8000::/1"), "fd00:77::/64"),
        (("2000::/3",), "2001:db8:77::/64"),
        (("default", "0.0.0.0/1", "128.0.0.0/1"), "192.168.77.0/24"),
    ],
)
@pytest.mark.parametrize("table", ["main", "51820"])
def test_the_parts_of_a_vpns_default_route_are_no_network(tmp_path, monkeypatch, parts, subnet, table):
    with netspace(tmp_path, monkeypatch):
        ip("link", "add", "tun0", "up", "type", "veth", "peer", "name", "far0")
        for part in parts:
            ip(*(["-6"] if ":" in part else []), "route", "add", part, "dev", "tun0", "table", table)
        assert address_range(subnet) == []


def test_the_address_range_that_is_advised_is_free(tmp_path, monkeypatch):
    with netspace(tmp_path, monkeypatch):
        ip("link", "add", "tun0", "up", "type", "veth", "peer", "name", "far0")
        for target, table in (*zip(HALVES, ("main", "main"), strict=True), ("10.77.0.0/16", "52"), ("10.0.0.0/24", "main")):
            ip("route", "add", target, "dev", "tun0", "table", table)
        ip("address", "add", "10.0.1.1/24", "dev", "tun0", "noprefixroute")
        ((found, do),) = address_range("10.77.0.0/24")
        assert found == "address range 10.77.0.0/24 overlaps 10.77.0.0/16 on tun0 in table 52"
        assert "quickstart_subnet=10.0.2.0/24" in do
        assert address_range("10.0.2.0/24") == []


def test_a_bridge_name_in_use_is_named(wrong):
    assert "lo exists already" in wrong["bridge"][0]["found"]


def test_a_package_that_nobody_has_is_a_broken_apt(wrong):
    (problem,) = wrong["apt"]
    assert "no-such-package-anywhere" in problem["found"]


def test_half_installed_packages_are_reported_with_the_cure(tmp_path: Path):
    path = program(tmp_path, "dpkg", "echo 'The following packages are only half configured: thing'")
    (problem,) = preflight(path=path)["apt"]
    assert "half configured" in problem["found"]
    assert "dpkg --configure -a" in problem["do"]


def test_a_foreign_network_of_our_name_is_left_alone(tmp_path: Path):
    path = program(tmp_path, "virsh", "echo '<network><name>edge</name></network>'")
    (problem,) = preflight("--network", "edge", path=path)["network"]
    assert "did not make" in problem["found"]


def test_our_own_network_is_no_problem(tmp_path: Path):
    path = program(tmp_path, "virsh", """echo '<network xmlns:edge="urn:edge-cloud:network:1"/>'""")
    assert "network" not in preflight("--network", "edge", path=path)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_without_root_it_says_so():
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-", "--text"],
        stdin=PROGRAM.open(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "root: you are user id 65534" in done.stdout


SIZES = [
    ("1024", "1024 bytes"), ("4", "4 bytes"), ("512 KiB", "not a size"), ("512KiB", "too small"), ("1,5GiB", "not a size"),
    ("", "not a size"), ("2 bananas", "not a size"), ("768MiB", None), ("1G", None), ("1073741824", None), ("4gib", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def sizes() -> list[dict[str, str]]:
    """The problems of all SIZES by one run, which asks apt too, each the size of an option of its own."""
    return preflight(*(f"--size=size_{place}={text}" for place, (text, _says) in enumerate(SIZES))).get("size", [])


@pytest.mark.parametrize("place", range(len(SIZES)), ids=[text for text, _says in SIZES])
def test_a_size_has_a_unit(sizes: list[dict[str, str]], place: int) -> None:
    _text, says = SIZES[place]
    found = [one for one in sizes if one["found"].startswith(f"size_{place} is ")]
    assert [says in one["found"] and f"size_{place}=1GiB" in one["do"] for one in found] == ([True] if says else [])


def test_no_size_is_a_problem_of_another(sizes: list[dict[str, str]]) -> None:
    assert len(sizes) == sum(says is not None for _text, says in SIZES)
