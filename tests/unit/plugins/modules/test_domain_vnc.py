# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VNC displays with a password: it reaches libvirt, stays there, and nothing shows it."""

from __future__ import annotations

import json
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host import view
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.modules import run_module

URI = "test:///default"
CANARY = "c4n&ry'1"
READABLE = "c4n4ry"
FOREIGN = (
    "<domain type='test'><name>theirs</name><memory>65536</memory><os><type>hvm</type></os><devices>"
    "<graphics type='vnc' port='5999' autoport='no' listen='0.0.0.0' passwd='f0reign' passwdValidTo='2040-01-01T00:00:00' "
    "connected='keep' sharePolicy='ignore'><listen type='address' address='0.0.0.0'/></graphics>"
    "<graphics type='spice' autoport='yes' passwd='f0reign2' connected='fail'/></devices></domain>"
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], folders: Folders) -> Any:
    def run_domain(**options: Any) -> dict[str, Any]:
        return run_module(capsys, "domain", uri=URI, **{"name": "web", "state": "stopped", **options})

    return run_domain


def readable(driver: Any, name: str) -> str:
    """What a connection that may only read sees."""
    found = driver.lookupByName(name)
    return str(found.XMLDesc() + found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def display(driver: Any, name: str) -> str:
    text = str(driver.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
    return next(line.strip() for line in text.splitlines() if "<graphics type='vnc'" in line)


def shown(*found: Any) -> str:
    """Return all that was printed, in one spelling."""
    text = json.dumps(found)
    for written, meant in (("&apos;", "'"), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&"), ("\\u0026", "&"), ("\\u0027", "'")):
        text = text.replace(written, meant)
    return text


@pytest.mark.parametrize("password", [READABLE, CANARY])
def test_a_password_is_in_the_xml_for_administrators_only(
    capsys: pytest.CaptureFixture[str], run: Any, driver: Any, logged: list[str], password: str
) -> None:
    options = {"memory": "64MiB", "vnc": True, "vnc_listen": "0.0.0.0", "vnc_password": password}
    planned = run_module(capsys, "domain", check=True, uri=URI, name="web", state="stopped", **options)
    results = [planned, run(**options), run(**options), run(), run(vnc_password=f"{password[:7]}!"), run(**options)]
    assert [one["changed"] for one in results] == [True, True, False, False, True, True], results
    assert results[0]["diff"] == results[1]["diff"]
    assert results[4]["actions"] == ["Redefine domain web: vnc_password"]
    assert (results[1]["domain"]["vnc_listen"], results[1]["domain"]["vnc_password"]) == ("0.0.0.0", True)
    many = {"domains": [{"name": "web", "state": "stopped"}, {"name": "db", "state": "stopped"}], "defaults": options}
    results += [run_module(capsys, "domains", uri=URI, **many) for _time in range(2)]
    assert [one["changed"] for one in results[-2:]] == [True, False]
    results.append(run_module(capsys, "domain_info", uri=URI))
    assert not any(one["failed"] for one in results)
    assert password[:5] not in shown(results, logged)
    for name in ("web", "db"):
        assert password[:3] not in readable(driver, name)
        assert "passwd=" in display(driver, name) and password[:3] in display(driver, name)
    gone = run(vnc_password="", vnc_listen="::1")
    assert gone["changed"] and gone["domain"]["vnc_password"] is False
    assert "passwd" not in display(driver, "web") and "listen='::1'" in display(driver, "web")


@pytest.mark.usefixtures("driver")
def test_no_error_shows_it(capsys: pytest.CaptureFixture[str], run: Any, logged: list[str]) -> None:
    wrong: list[dict[str, Any]] = [
        {"vnc_password": READABLE},
        {"vnc": True, "vnc_password": f"{READABLE}-too-long"},
        {"vnc": True, "vnc_password": [READABLE]},
        {"vnc": True, "vnc_password": {READABLE: 1}},
        {"vnc": True, "vnc_password": READABLE, "vnc_listen": "nowhere"},
        {
            "vnc": True,
            "vnc_password": READABLE,
            "xml_override": f"<domain><devices><graphics passwd='{READABLE}'/></devices></domain>",
        },
        {
            "vnc": True,
            "vnc_password": READABLE,
            "xml_override": f"<domain type='odd'><description>{READABLE}</description></domain>",
        },
        {"vnc": True, "vnc_passwd": READABLE},
        {"vnc": True, "vnc_password": READABLE, "memory": "none"},
    ]
    for options in wrong:
        many = run_module(capsys, "domains", uri=URI, domains=[{"name": "web", **options}])
        for result in (run(**options), many, run_module(capsys, "domains", uri=URI, domains=[{"name": "web"}], defaults=options)):
            assert result["failed"], options
            assert READABLE not in json.dumps(result), options
    assert READABLE not in "".join(logged)


def test_an_open_display_is_refused_and_nothing_is_made(
    run: Any, driver: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"memory": "64MiB", "vnc": True, "vnc_listen": "::"}
    refused = run(**options)
    assert refused["failed"] and refused["error"]["code"] == "refused" and refused["error"]["option"] == "vnc_listen"
    many = run_module(capsys, "domains", uri=URI, domains=[{"name": "web", "state": "stopped", **options}])
    assert many["error"]["errors"][0]["option"] == "vnc_listen"
    assert [one.name() for one in driver.listAllDomains()] == ["test"]
    strange = run(**{**options, "vnc_listen": "192.0.2.7", "vnc_password": "x"})
    assert strange["failed"] and strange["msg"].startswith("vnc_listen: this host has no address 192.0.2.7")
    monkeypatch.setattr(view, "guards_vnc", lambda: True)
    assert run(**options)["domain"]["vnc_listen"] == "::"


def test_what_others_gave_a_display_outlives_every_redefine_of_ours(
    capsys: pytest.CaptureFixture[str], run: Any, driver: Any, logged: list[str]
) -> None:
    driver.defineXML(FOREIGN)
    had, name = display(driver, "theirs"), {"name": "theirs"}
    results = [
        run(**name, adopt=True),
        run(**name, memory="128MiB"),
        run(**name, vnc=True, title="x", rng=True),
        run(**name, disks=[{"name": "data", "size": "1MiB"}]),
        run(**name, xml_override="<domain><devices><graphics type='vnc' keymap='de'/></devices></domain>"),
        run(**name, xml_override=""),
        run_module(capsys, "domains", uri=URI, domains=[{**name, "state": "stopped", "description": "y"}]),
        run_module(capsys, "domain_snapshot", uri=URI, **name, snapshot="a"),
        run_module(capsys, "domain_snapshot", uri=URI, **name, snapshot="a", state="absent"),
    ]
    assert all(one["changed"] for one in results), results
    assert display(driver, "theirs") == had and "passwd='f0reign'" in had and "connected='keep'" in had and "2040" in had
    secure = driver.lookupByName("theirs").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    assert "passwd='f0reign2' connected='fail'" in secure
    results.append(run_module(capsys, "domain_info", uri=URI))
    assert "f0reign" not in shown(results, logged)
    changed = run(**name, vnc_password="mine")
    assert changed["actions"] == ["Redefine domain theirs: vnc_password"]
    assert display(driver, "theirs") == had.replace("f0reign", "mine").replace(" passwdValidTo='2040-01-01T00:00:00'", "")


def test_an_override_that_sets_another_password_comes_to_rest(run: Any, driver: Any) -> None:
    override = "<domain><devices><graphics type='vnc' passwd='theirs'/></devices></domain>"
    run(memory="64MiB", vnc=True, vnc_password="ours")
    assert run(xml_override=override)["changed"]
    assert "passwd='theirs'" in display(driver, "web")
    assert [run(xml_override=override)["changed"], run(vnc=True)["changed"]] == [False, False]
    assert run(xml_override="")["changed"]
    assert "passwd=" in display(driver, "web"), "the display is open"
    assert not run()["changed"]
    run(name="bare", memory="64MiB", vnc=True)
    assert run(name="bare", xml_override=override)["changed"] and not run(name="bare", xml_override=override)["changed"]
    assert run(name="bare", xml_override="")["changed"]
    assert "passwd=" not in display(driver, "bare") and not run(name="bare")["changed"]


def test_a_clone_asks_for_the_password_of_its_source(
    capsys: pytest.CaptureFixture[str], run: Any, driver: Any, logged: list[str]
) -> None:
    run(memory="64MiB", vnc=True, vnc_password=READABLE, disks=[{"name": "root", "size": "1MiB"}])
    results = [run_module(capsys, "domain_clone", uri=URI, name="new", source="web"), run(name="new")]
    assert [one["changed"] for one in results] == [True, False], results
    assert f"passwd='{READABLE}'" in display(driver, "new")
    assert READABLE not in shown(results, logged) + readable(driver, "new")
    assert run(name="new", vnc_password="other")["changed"]
    assert f"passwd='{READABLE}'" in display(driver, "web") and "passwd='other'" in display(driver, "new")
